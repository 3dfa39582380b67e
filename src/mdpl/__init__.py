"""MdPL: calibrate a land surface model by learning."""

import os
import sys

from mdpl.memory import keep_within_stages
from mdpl.xla import compile_loops_whole

__version__ = "0.1.0"

# The column needs float64 (docs/decisions/0001); networks ask for float32 by name. JAX is not
# imported here: it takes a second, which commands that compute nothing need not wait.
os.environ["JAX_ENABLE_X64"] = "1"
if "jax" in sys.modules:
    sys.modules["jax"].config.update("jax_enable_x64", True)
compile_loops_whole()
keep_within_stages()
