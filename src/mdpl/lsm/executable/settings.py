"""What a tower and its record say to a program, by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from mdpl.errors import ModelError
from mdpl.lsm.executable.adapter import Adapter, Setting
from mdpl.sites.site import Site

Value = float | int | str
_PARTS = ("year", "month", "day", "hour", "minute")


def clock(adapter: Adapter, site: Site) -> np.ndarray:
    """Start of each interval as the program counts, (time,), datetime64[s]."""
    time = site.time.astype("datetime64[s]")
    if not adapter.utc:
        return time
    shift = round(float(site.attributes["utc_offset"]) * 3600)
    return time - np.timedelta64(shift, "s")


def known(adapter: Adapter, site: Site, length: int) -> dict[str, Value]:
    """Attributes of a tower, and numbers of the first ``length`` steps of its record.

    ``code``, ``step_seconds``, ``steps``, ``days``, and of ``start`` and ``end`` (of the last
    interval) the year, month, day, hour and minute, as the program counts.
    """
    time = clock(adapter, site)
    found: dict[str, Value] = {
        name: value.item() if isinstance(value, np.generic) else value
        for name, value in site.attributes.items()
    }
    found |= {
        "code": site.code,
        "step_seconds": site.step_seconds,
        "steps": length,
        "days": -(-length // site.steps_per_day),
    }
    ends = {"start": time[0], "end": time[length - 1] + np.timedelta64(site.step_seconds, "s")}
    for name, moment in ends.items():
        date = moment.astype(object)
        found |= {f"{name}_{part}": int(getattr(date, part)) for part in _PARTS}
    return found


def resolve(adapter: Adapter, site: Site, length: int) -> dict[str, Value]:
    """What is known of a tower, and the adapter's settings made from it.

    Raises:
        ModelError: a setting asks for something that is not known, or has no entry for it.
    """
    values: dict[str, Value] = known(adapter, site, length)
    for name, setting in adapter.settings.items():
        values[name] = _resolve(name, setting, values, site)
    return values


def _resolve(name: str, setting: Setting, values: Mapping[str, Value], site: Site) -> Value:
    found: Any = setting.constant
    if setting.value is not None:
        if setting.value not in values:
            raise ModelError(
                f"setting {name}: {site.code} has no {setting.value!r}; known: "
                f"{', '.join(sorted(values))}"
            )
        found = values[setting.value]
    if setting.map:
        key = str(found) if str(found) in setting.map else "other"
        if key not in setting.map:
            raise ModelError(
                f"setting {name}: no entry for {setting.value} {found!r} of {site.code}; there "
                f"are {', '.join(setting.map)}; add it, or 'other'"
            )
        return setting.map[key]
    if isinstance(found, str) or (setting.scale == 1.0 and setting.offset == 0.0):
        return found
    return float(found) * setting.scale + setting.offset
