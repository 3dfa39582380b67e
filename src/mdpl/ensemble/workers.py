"""Where land-model runs are done: threads of this process, or processes of a dask cluster."""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from mdpl.config import ClusterConfig
from mdpl.errors import ConfigError, MdplError, RunError

RETRIES = 3
"""Times a batch of runs is tried again when its worker died."""

AHEAD = 2
"""Batches in hand for every slot, so that no worker waits for the next."""


@dataclass(frozen=True)
class Workers:
    """What runs batches.

    Attributes:
        submit: as `concurrent.futures.Executor.submit`.
        share: hands an object over that many tasks need, once for all of them.
        slots: how many batches may be in hand now; may change as a cluster grows.
        lost: what a task raises whose worker died again and again.
    """

    submit: Callable[..., Future]
    share: Callable[[Any], Any]
    slots: Callable[[], int]
    lost: tuple[type[Exception], ...] = ()


@contextmanager
def threads(count: int | None = None) -> Iterator[Workers]:
    """Threads of this process; a land model leaves the interpreter lock while it computes."""
    number = count or os.cpu_count() or 1
    pool = ThreadPoolExecutor(max_workers=number)
    try:
        yield Workers(pool.submit, lambda thing: thing, lambda: number)
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


@contextmanager
def open_workers(settings: ClusterConfig | None) -> Iterator[Workers]:
    """The workers of a configuration; None means threads.

    Raises:
        ConfigError: dask is not installed.
        RunError: the cluster cannot be reached, or goes away.
    """
    if settings is None or settings.kind == "threads":
        with threads(None if settings is None else settings.workers) as found:
            yield found
        return
    try:
        from distributed import Client, KilledWorker
        from distributed.comm import CommClosedError
    except ImportError as error:
        raise ConfigError(
            f"cluster.kind {settings.kind!r} needs dask: pip install 'mdpl[cluster]'"
        ) from error
    with _cluster(settings) as cluster, _client(Client, cluster, settings) as client:
        executor = client.get_executor(pure=False, retries=RETRIES)

        def slots() -> int:
            return max(1, AHEAD * sum(client.nthreads().values()))

        def share(thing: Any) -> Any:
            # A task that gives the thing, not `scatter`: what dies with a worker is made again.
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", message="Sending large graph")
                return client.submit(_itself, thing, pure=False, retries=RETRIES)

        try:
            yield Workers(executor.submit, share, slots, (KilledWorker,))
        except Exception as error:
            # A question may find the connection broken before the client knows that it is.
            gone = client.status != "running" or isinstance(error, CommClosedError)
            if isinstance(error, MdplError) or not gone:
                raise
            raise RunError(
                f"the dask scheduler {settings.address or settings.kind} went away; what is "
                "finished is kept: start a scheduler and workers, and give the same command again"
            ) from error
        finally:
            executor.shutdown(wait=False)


def _itself(thing: Any) -> Any:
    return thing


def _client(kind: Any, cluster: Any, settings: ClusterConfig) -> Any:
    # What dask logs of a lost scheduler is a traceback; `open_workers` says it in words.
    logging.getLogger("distributed.client").setLevel(logging.CRITICAL)
    try:
        return kind(cluster, timeout=settings.timeout)
    except OSError as error:
        raise RunError(
            f"cluster.address {settings.address}: no dask scheduler answers within "
            f"{settings.timeout:g} s ({error}); start it, or mend the address"
        ) from error


@contextmanager
def _cluster(settings: ClusterConfig) -> Iterator[Any]:
    """What a dask client connects to: an address, or a cluster that ends with this block."""
    if settings.kind == "address":
        yield settings.address
        return
    with _make(settings) as cluster:
        if settings.kind in {"slurm", "pbs"}:
            cluster.scale(settings.workers or 1)
        yield cluster


def _make(settings: ClusterConfig) -> Any:
    if settings.kind == "local":
        from distributed import LocalCluster

        return LocalCluster(
            n_workers=settings.workers or os.cpu_count() or 1,
            threads_per_worker=1,
            dashboard_address="127.0.0.1:0",
            **settings.options,
        )
    try:
        import dask_jobqueue
    except ImportError as error:
        raise ConfigError(
            f"cluster.kind {settings.kind!r} needs dask-jobqueue: pip install 'mdpl[cluster]'"
        ) from error
    kinds = {"slurm": dask_jobqueue.SLURMCluster, "pbs": dask_jobqueue.PBSCluster}
    try:
        return kinds[settings.kind](**settings.options)
    except (TypeError, ValueError) as error:
        raise ConfigError(
            f"cluster.options: dask-jobqueue refuses them ({error}); it wants such as cores, "
            "memory, queue, account, walltime"
        ) from error
