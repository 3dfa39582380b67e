"""How long work tells that it moves on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.progress import Progress as Bars


class Task(Protocol):
    """One piece of work under way."""

    def advance(self, n: int) -> None: ...

    def note(self, text: str) -> None: ...


class Progress(Protocol):
    """Where stages report to."""

    def stage(self, name: str) -> None: ...

    def say(self, text: str) -> None: ...

    def task(self, description: str, total: int) -> AbstractContextManager[Task]: ...


class _Quiet:
    def advance(self, n: int) -> None:
        pass

    def note(self, text: str) -> None:
        pass


class SilentProgress:
    """Says nothing; for tests and libraries."""

    def stage(self, name: str) -> None:
        pass

    def say(self, text: str) -> None:
        pass

    @contextmanager
    def task(self, description: str, total: int) -> Iterator[Task]:
        yield _Quiet()


class _Bar:
    def __init__(self, bars: Bars, description: str, total: int):
        self._bars = bars
        self._id = bars.add_task(description, total=total, note="")

    def advance(self, n: int) -> None:
        self._bars.advance(self._id, n)

    def note(self, text: str) -> None:
        self._bars.update(self._id, note=text)


class RichProgress:
    """Bars in a terminal, a line for every finished piece of work elsewhere."""

    def __init__(self, console: Console):
        self._console = console

    def stage(self, name: str) -> None:
        self._console.print(f"[bold]{name}[/bold]")

    def say(self, text: str) -> None:
        self._console.print(text, markup=False, highlight=False)

    @contextmanager
    def task(self, description: str, total: int) -> Iterator[Task]:
        bars = Bars(
            TextColumn("  {task.description}"),
            BarColumn(bar_width=28),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[note]}"),
            console=self._console,
        )
        with bars:
            yield _Bar(bars, description, total)
