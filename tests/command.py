"""The command line, in this process: as a user's shell sees it, without starting Python anew."""

import io
import sys
from contextlib import redirect_stderr, redirect_stdout
from types import SimpleNamespace

import pytest

from mdpl.cli import main
from mdpl.report import processes


def mdpl(*arguments, **environment):
    """What a command says (``stdout``, ``stderr``) and its exit code (``returncode``)."""
    out, err, code = io.StringIO(), io.StringIO(), 0
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
        patch.setattr(sys, "argv", ["mdpl", *map(str, arguments)])
        patch.setattr(processes, "_ALLOWED", False)  # what the command allows ends with it
        for name, value in {"COLUMNS": "200", **environment}.items():
            patch.setenv(name, value)
        try:
            main()
        except SystemExit as end:
            code = end.code or 0
    return SimpleNamespace(returncode=code, stdout=out.getvalue(), stderr=err.getvalue())
