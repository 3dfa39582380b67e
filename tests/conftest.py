"""Programs compiled by one test serve the others, and the next time; gradients in two ways."""

import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mdpl import pipeline
from mdpl.experiments import virtual_study
from mdpl.lsm.matsiro.parameters import PARAMETERS
from mdpl.progress import SilentProgress

sys.path.insert(0, str(Path(__file__).parent))  # for toy_bucket, small_run, interruption
import small_run

jax.config.update(
    "jax_compilation_cache_dir", str(Path(__file__).parents[1] / ".pytest_cache" / "jax")
)


@pytest.fixture(scope="session")
def small_config(tmp_path_factory):
    """A run of seconds; see small_run.py."""
    folder = tmp_path_factory.mktemp("study")
    virtual_study.make(folder, small_run.STUDY, SilentProgress())
    return small_run.config_of(folder / "towers")


@pytest.fixture(scope="session")
def small_whole(small_config, tmp_path_factory):
    """The folder of that run, uninterrupted; to be copied, not changed."""
    folder = tmp_path_factory.mktemp("whole") / "run"
    pipeline.run(small_config, folder, SilentProgress())
    return folder


@pytest.fixture(scope="session")
def two_gradients():
    """Slopes of mean outputs by every parameter in the unit cube: reverse mode, differences.

    Near the defaults of a tower, each an array (output, parameter).
    """

    def find(model, site, outputs, step=1e-6):
        run = model.differentiable(site, outputs)
        base = PARAMETERS.to_unit(PARAMETERS.defaults(site.attributes))
        base = jnp.asarray(np.clip(base, 0.05, 0.95))
        low, high, log = (
            jnp.asarray(x) for x in (PARAMETERS.lower, PARAMETERS.upper, PARAMETERS.is_log)
        )

        def means(unit):
            linear = low + unit * (high - low)
            geometric = jnp.where(log, low, 1.0) * jnp.where(log, high / low, 1.0) ** unit
            out = run(jnp.where(log, geometric, linear))
            return jnp.stack([out[name].mean(0) for name in outputs])

        # One row a displaced parameter set: all differences in one run.
        n = len(PARAMETERS)
        moved = jnp.concatenate([base + step * jnp.eye(n), base - step * jnp.eye(n)])
        shifted = jax.jit(means)(moved)
        differences = np.asarray((shifted[:, :n] - shifted[:, n:]) / (2 * step))
        slope = jax.jit(jax.grad(lambda u, weights: weights @ means(u[None])[:, 0]))
        reverse = np.asarray([slope(base, weights) for weights in jnp.eye(len(outputs))])
        return reverse, differences

    return find
