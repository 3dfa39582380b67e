import sys
from pathlib import Path

# The bucket land model of the surrogate's tests gives the generator's own objective.
sys.path.insert(0, str(Path(__file__).resolve().parent))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "surrogate"))
