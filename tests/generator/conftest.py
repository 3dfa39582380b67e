import sys
from pathlib import Path

# The bucket land model of the surrogate's tests is the truth here as well.
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "surrogate"))
