"""Programs compiled by one test serve the others, and the next time."""

from pathlib import Path

import jax

jax.config.update(
    "jax_compilation_cache_dir", str(Path(__file__).parents[1] / ".pytest_cache" / "jax")
)
