"""A straight line as a land model, which dies or fails when told to; other processes import it."""

from __future__ import annotations

import os
import signal
import time
from dataclasses import dataclass, field
from pathlib import Path

import xarray as xr

from mdpl.lsm.model import Parameter, ParameterSpace

SPACE = ParameterSpace(
    (
        Parameter("gain", "1", "multiplies the sun", 0.0, 2.0, 1.0, "test"),
        Parameter("offset", "W m-2", "adds to it", 1.0, 100.0, 10.0, "test", "log"),
    )
)


@dataclass
class Line:
    """Qle = gain * SWdown + offset; kills its own process once, if told where to note it.

    It does so at the call that follows as many ``first``.
    """

    note: Path | None = None
    first: int = 0
    slow: float = 0.0
    always: bool = False
    parameters: ParameterSpace = SPACE
    outputs: dict = field(default_factory=lambda: {"Qle": "W m-2", "Qh": "W m-2"})

    def simulate(self, site, values=None, outputs=None):
        self.first -= 1
        if self.note is not None and self.first < 0 and (self.always or not self.note.exists()):
            self.note.write_text("died")
            os.kill(os.getpid(), signal.SIGKILL)
        time.sleep(self.slow)
        qle = values[:, :1] * site.forcing["SWdown"].values + values[:, 1:]
        data = {"Qle": qle, "Qh": 0.5 * qle}
        return xr.Dataset({k: (("member", "time"), data[k]) for k in outputs})


def brittle(site, values):
    if values["gain"] > 1.6:
        raise ArithmeticError(f"gain {values['gain']:.3f} is too much")
    sun = values["gain"] * site.forcing["SWdown"].values
    return {"Qle": sun + values["offset"], "Qh": sun}
