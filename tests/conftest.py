"""Programs compiled by one test serve the others, and the next time; gradients in two ways."""

import os
import sys
from pathlib import Path

import jax
import numpy as np
import pytest
from jax.experimental.compilation_cache import compilation_cache

from mdpl import pipeline
from mdpl.lsm.matsiro.parameters import PARAMETERS
from mdpl.progress import SilentProgress

sys.path.insert(0, str(Path(__file__).parent))  # for toy_bucket, small_run, command
import small_run

# Processes that tests start take these over.
os.environ.setdefault(
    "JAX_COMPILATION_CACHE_DIR", str(Path(__file__).parents[1] / ".pytest_cache" / "jax")
)
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0.3")
jax.config.update("jax_compilation_cache_dir", os.environ["JAX_COMPILATION_CACHE_DIR"])
jax.config.update(
    "jax_persistent_cache_min_compile_time_secs",
    float(os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"]),
)


SHARING = {
    "small": ("test_faults.py", "test_fuzz.py", "test_pipeline.py", "test_resuming.py"),
    "exports": ("test_alma.py", "test_callmip.py", "test_daily_run.py"),
}
"""Files whose tests use the same run; one process makes it for all of them."""


def pytest_collection_modifyitems(items):
    """With ``--dist loadgroup``, a file or those that share a run go to one process."""
    groups = {name: group for group, names in SHARING.items() for name in names}
    for item in items:
        group = groups.get(item.path.name, str(item.path))
        item.add_marker(pytest.mark.xdist_group(group))


@pytest.fixture(scope="session")
def small_config(tmp_path_factory):
    """A run of seconds; see small_run.py."""
    folder = tmp_path_factory.mktemp("study") / "towers"
    small_run.make_towers(folder)
    return small_run.config_of(folder)


@pytest.fixture(scope="session")
def small_whole(small_config, tmp_path_factory):
    """The folder of that run, uninterrupted, before its report; to be copied, not changed."""
    folder = tmp_path_factory.mktemp("whole") / "run"
    pipeline.run(small_config, folder, SilentProgress(), report=False)
    return folder


@pytest.fixture
def compiled_anew(tmp_path):
    """Grows by one for every program that took its time to compile and was not in a cache that
    is empty at first."""
    found = []
    usual = jax.config.jax_compilation_cache_dir

    def noted(event, **_):
        if event == "/jax/compilation_cache/cache_misses":
            found.append(event)

    jax.monitoring.register_event_listener(noted)
    jax.config.update("jax_compilation_cache_dir", str(tmp_path))
    compilation_cache.reset_cache()
    yield found
    jax.monitoring.unregister_event_listener(noted)
    jax.config.update("jax_compilation_cache_dir", usual)
    compilation_cache.reset_cache()


@pytest.fixture(scope="session")
def two_gradients():
    """Slopes of mean outputs by every parameter in the unit cube: reverse mode, differences.

    Near the defaults of a tower, each an array (output, parameter).
    """

    def find(model, site, outputs, step=1e-6):
        base = PARAMETERS.to_unit(PARAMETERS.defaults(site.attributes))
        base = np.clip(base, 0.05, 0.95)
        # A column for each output, so that one pull gives the slopes of all.
        series, pull = model.vjp(
            site, PARAMETERS.from_unit(np.tile(base, (len(outputs), 1))), outputs
        )
        pick = np.eye(len(outputs))[..., None] / len(site.time)
        slopes = {
            name: np.broadcast_to(pick[k], series[name].shape) for k, name in enumerate(outputs)
        }
        reverse = pull(slopes) * PARAMETERS.slope(base)

        n = len(PARAMETERS)
        moved = np.concatenate([base + step * np.eye(n), base - step * np.eye(n)])
        run = model.simulate(site, PARAMETERS.from_unit(moved), outputs)
        shifted = np.stack([run[name].values.mean(axis=1) for name in outputs])
        return reverse, (shifted[:, :n] - shifted[:, n:]) / (2 * step)

    return find
