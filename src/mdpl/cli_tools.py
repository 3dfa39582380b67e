"""What all commands share: how they speak, and how they are interrupted."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer
from rich.console import Console
from typer.core import TyperGroup

if TYPE_CHECKING:
    from mdpl.progress import Progress

out = Console(soft_wrap=True)
_err = Console(stderr=True, soft_wrap=True)


def say(text: str) -> None:
    out.print(text, markup=False, highlight=False)


def complain(text: str) -> None:
    _err.print(text, markup=False, highlight=False)


@contextmanager
def resumable(left: str = "the same command goes on from here") -> Iterator[None]:
    """Tell a user who interrupts (exit code 130) what is left."""
    try:
        yield
    except KeyboardInterrupt:
        complain(f"interrupted; {left}")
        raise typer.Exit(130) from None


def progress() -> Progress:
    from mdpl.progress import RichProgress

    keep_compiled()
    return RichProgress(_err)


def keep_compiled() -> None:
    """Let compiled programs outlive the process, where the user's cache can be written.

    The small ones as well: a hundred of them take two seconds of every start. What a user has set
    in the environment holds.
    """
    import jax

    base = os.environ.get("XDG_CACHE_HOME")
    folder = (Path(base) if base else Path.home() / ".cache") / "mdpl" / "jax"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return
    if os.access(folder, os.W_OK) and not os.environ.get("JAX_COMPILATION_CACHE_DIR"):
        jax.config.update("jax_compilation_cache_dir", str(folder))
    if not os.environ.get("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"):
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)


def first_unless_told(command: str) -> type[TyperGroup]:
    """A group of commands one of which needs no name: ``mdpl surrogate RUN`` trains it."""

    class Group(TyperGroup):
        def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
            if args and not args[0].startswith("-") and args[0] not in self.commands:
                args = [command, *args]
            return super().parse_args(ctx, args)

    return Group
