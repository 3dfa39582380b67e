"""One run of a program: started, watched, and ended when its time is over."""

from __future__ import annotations

import signal
import subprocess
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

LOG = "mdpl-run.log"
TAIL = 5
"""Lines of the log that the reason of a failure quotes."""


class Stopped(Exception):
    """The run was ended because the whole job was interrupted."""


@dataclass
class Processes:
    """The programs running now, so that an interrupt can end them."""

    _live: set[Any] = field(default_factory=set)
    _lock: Any = field(default_factory=threading.Lock)
    _stopped: bool = False

    def run(self, command: Sequence[str], folder: Path, timeout: float) -> str:
        """Run a command in a folder, what it says going to `LOG`.

        Returns:
            why it failed; empty text if it did not.

        Raises:
            Stopped: `stop` was called meanwhile.
        """
        with (folder / LOG).open("ab") as log:
            try:
                program = self._start(command, folder, log)
            except OSError as error:
                return f"cannot be started: {error}"
            over = threading.Event()

            def end() -> None:
                over.set()
                _kill(program)

            clock = threading.Timer(timeout, end)
            clock.daemon = True
            clock.start()
            try:
                code = program.wait()
            finally:
                clock.cancel()
                with self._lock:
                    self._live.discard(program)
        if self._stopped:
            raise Stopped
        if over.is_set():
            return f"did not end within {timeout:g} s{tail(folder)}"
        if code < 0:
            return f"killed by signal {signal.Signals(-code).name}{tail(folder)}"
        return f"exit code {code}{tail(folder)}" if code else ""

    def stop(self) -> None:
        """End every program running, for good."""
        with self._lock:
            self._stopped = True
            for program in self._live:
                _kill(program)

    def _start(self, command: Sequence[str], folder: Path, log: Any) -> subprocess.Popen:
        with self._lock:
            if self._stopped:
                raise Stopped
            program = subprocess.Popen(
                list(command),
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # an interrupt at the terminal is ours to pass on
            )
            self._live.add(program)
            return program


def tail(folder: Path) -> str:
    """The last lines of a run's log, to be put behind a reason."""
    try:
        lines = (folder / LOG).read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return ""
    said = [line.strip() for line in lines if line.strip()][-TAIL:]
    return f"; it said: {' | '.join(said)[-400:]}" if said else ""


def _kill(program: subprocess.Popen) -> None:
    """End a program and what it started."""
    import os

    try:
        os.killpg(program.pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        program.kill()
