"""MdPL: calibrate a land surface model by learning."""

import jax

from mdpl.memory import keep_within_stages
from mdpl.xla import compile_loops_whole

__version__ = "0.1.0"

# The column needs float64 (docs/decisions/0001); networks ask for float32 by name.
jax.config.update("jax_enable_x64", True)
compile_loops_whole()
keep_within_stages()
