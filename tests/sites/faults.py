"""Faults real records have had, each planted into a record, and the check that should find it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from mdpl.sites.attributes import saturation_vapour_pressure, specific_humidity, vapour_pressure
from mdpl.sites.clock import legal_offset
from mdpl.sites.record import Record, on_axis

MINUTE, DAY = np.timedelta64(1, "m"), np.timedelta64(1, "D")


@dataclass(frozen=True)
class Fault:
    """How to plant it, the check that finds it, and the variables a record must have."""

    plant: Callable[[Record], Record]
    check: str
    needs: tuple[str, ...] = ()


def changed(record: Record, **series: np.ndarray) -> Record:
    return replace(record, series={**record.series, **series})


def scaled(name: str, factor: float, offset: float = 0.0) -> Callable[[Record], Record]:
    return lambda r: changed(r, **{name: r.series[name] * factor + offset})


def shifted(minutes: int) -> Callable[[Record], Record]:
    def plant(record: Record) -> Record:
        by = minutes * MINUTE
        return replace(record, stamps=record.stamps + by, time=record.time + by)

    return plant


def in_utc(record: Record) -> Record:
    zone = legal_offset(float(record.place["latitude"]), float(record.place["longitude"]))
    return shifted(round(-60 * zone))(record)


def daylight_saving(record: Record) -> Record:
    """Values stand an hour later from the end of March to the end of October."""
    month = record.time.astype("M8[M]").astype(int) % 12 + 1
    summer = (month > 3) & (month < 11)
    steps = 3600 // record.step_seconds
    return replace(
        record,
        series={n: np.where(summer, np.roll(v, steps), v) for n, v in record.series.items()},
    )


def late_fluxes(record: Record) -> Record:
    """Fluxes stamped at the end, forcing at the start of the interval."""
    names = [n for n in ("Qle", "Qh", "Rnet", "Qg", "NEE", "GPP") if n in record.series]
    moved = {n: np.roll(record.series[n], 1) for n in names}
    flags = {n: np.roll(record.flags[n], 1) for n in names if n in record.flags}
    return replace(record, series={**record.series, **moved}, flags={**record.flags, **flags})


def stuck_wind(record: Record) -> Record:
    wind = record.series["Wind"].copy()
    start = np.flatnonzero(record.measured("Wind"))[wind.size // 5]
    wind[start : start + 10 * record.steps_per_day] = wind[start]
    return changed(record, Wind=wind)


def stamps_twice(record: Record) -> Record:
    day = slice(100 * record.steps_per_day, 101 * record.steps_per_day)
    stamps = np.insert(record.stamps, day.stop, record.stamps[day])
    return replace(record, stamps=stamps)


def copied_day(record: Record) -> Record:
    n = record.steps_per_day
    good = record.measured("Tair") & record.measured("Wind") & record.measured("SWdown")
    whole = np.flatnonzero(record.by_day(good.astype(float)).min(axis=1) > 0)
    lead = int((record.time[0] - record.days[0]) / (record.time[1] - record.time[0]))
    at = int(whole[whole.size // 3]) * n - lead
    series = {k: v.copy() for k, v in record.series.items()}
    for values in series.values():
        values[at + n : at + 2 * n] = values[at : at + n]
    flags = {k: v.copy() for k, v in record.flags.items()}
    for values in flags.values():
        values[at + n : at + 2 * n] = values[at : at + n]
    return replace(record, series=series, flags=flags)


def without_a_day(record: Record) -> Record:
    """The leap day, or another 28 February's morrow, is not in the file."""
    days = record.stamps.astype("M8[D]")
    leap = [d for d in np.unique(days) if str(d).endswith("-02-29")]
    gone = leap[0] if leap else np.unique(days)[59]
    kept = record.stamps[days != gone]
    values = {n: on_axis(kept, v[days != gone], record.time) for n, v in record.series.items()}
    return replace(record, stamps=kept, series=values)


def missing_marks(record: Record) -> Record:
    """-9999 that went through an averaging, as it does when it is not masked."""
    flux = record.series["Qle"].copy()
    flux[~record.measured("Qle")] = -9999.0
    flux[1000:1040] = -9999.0
    return changed(record, Qle=flux)


def converted_marks(record: Record) -> Record:
    air = record.series["Tair"].copy()
    air[2000:2030] = -9999.0 + 273.15
    return changed(record, Tair=air)


def turned_flags(record: Record) -> Record:
    flags = dict(record.flags)
    for name in ("Qle", "Qh"):
        if name in flags:
            flags[name] = np.where(np.isfinite(flags[name]), 1.0 - (flags[name] > 0), np.nan)
    return replace(record, flags=flags)


def zero_flags(record: Record) -> Record:
    zero = {n: np.zeros(record.time.size) for n in ("Qle", "Qh", "NEE") if n in record.series}
    return replace(record, flags={**record.flags, **zero})


def corrected(record: Record) -> Record:
    return changed(record, Qle=record.series["Qle_cor"], Qh=record.series["Qh_cor"])


def closed_here(record: Record) -> Record:
    """Closed step by step at the measured Bowen ratio, and the raw fluxes thrown away."""
    ground = record.series["Qg"] if record.has("Qg") else 0.0
    ground = np.where(np.isfinite(ground), ground, 0.0)
    turbulent = record.series["Qle"] + record.series["Qh"]
    factor = (record.series["Rnet"] - ground) / np.where(np.abs(turbulent) < 5, np.nan, turbulent)
    series = {n: v for n, v in record.series.items() if not n.endswith("_cor")}
    if "Qg" in series and np.isfinite(series["Qg"]).mean() >= 0.3:
        series["Qg"] = ground
    out = replace(record, series=series)
    return changed(out, Qle=series["Qle"] * factor, Qh=series["Qh"] * factor)


def swapped(record: Record) -> Record:
    flags = dict(record.flags)
    flags["Qle"], flags["Qh"] = record.flags.get("Qh"), record.flags.get("Qle")
    flags = {n: f for n, f in flags.items() if f is not None}
    series = {**record.series, "Qle": record.series["Qh"], "Qh": record.series["Qle"]}
    return replace(record, series=series, flags=flags)


def vpd_in_kpa(record: Record) -> Record:
    """Qair computed from a VPD in kPa that was taken for hPa."""
    t, q, p = (record.series[n] for n in ("Tair", "Qair", "Psurf"))
    saturated = saturation_vapour_pressure(t)
    deficit = np.maximum(saturated - vapour_pressure(q, p), 0.0) / 10.0
    return changed(record, Qair=specific_humidity(saturated - deficit, p))


def from_the_middle(name: str, change: Callable[[np.ndarray], np.ndarray]) -> Callable:
    def plant(record: Record) -> Record:
        values = record.series[name].copy()
        middle = int(0.55 * values.size)
        values[middle:] = change(values[middle:])
        return changed(record, **{name: values})

    return plant


def net_longwave(record: Record) -> Record:
    return changed(record, LWdown=record.series["LWdown"] - 5.67e-8 * record.series["Tair"] ** 4)


def other_hemisphere(record: Record) -> Record:
    return replace(record, place={**record.place, "latitude": -float(record.place["latitude"])})


def irrigated(record: Record) -> Record:
    return changed(record, Precip=record.series["Precip"] * 0.2, Qle=record.series["Qle"] * 4.0)


def bridged(record: Record) -> Record:
    air = record.series["Tair"].copy()
    n = 2 * record.steps_per_day
    start = np.flatnonzero(record.measured("Tair"))[air.size // 4]
    air[start : start + n] = np.linspace(air[start], air[start + n] + 1.0, n)
    return changed(record, Tair=air)


FAULTS = {
    "half an hour late": Fault(shifted(30), "clock"),
    "an hour early": Fault(shifted(-60), "clock"),
    "an hour late": Fault(shifted(60), "clock"),
    "UTC for local time": Fault(in_utc, "clock"),
    "daylight saving": Fault(daylight_saving, "clock jump"),
    "fluxes at the end of the interval": Fault(late_fluxes, "flux clock", ("Rnet",)),
    "latitude of the other hemisphere": Fault(other_hemisphere, "place"),
    "Celsius": Fault(scaled("Tair", 1.0, -273.15), "range"),
    "hPa": Fault(scaled("Psurf", 0.01), "range"),
    "kPa": Fault(scaled("Psurf", 0.001), "range"),
    "pressure at sea level": Fault(scaled("Psurf", 1.06), "pressure"),
    "g per kg": Fault(scaled("Qair", 1000.0), "range"),
    "VPD in kPa, file": Fault(scaled("VPD", 0.1), "humidity", ("VPD",)),
    "VPD in kPa, Qair made of it": Fault(vpd_in_kpa, "humidity"),
    "mm a time step": Fault(scaled("Precip", 1800.0), "range"),
    "CO2 in mol per mol": Fault(scaled("CO2air", 1e-6), "range"),
    "NEE in g C": Fault(scaled("NEE", 12.01e-6), "units", ("NEE",)),
    "net for incoming longwave": Fault(net_longwave, "range"),
    "PAR for SWdown": Fault(scaled("SWdown", 2.0), "radiation amount"),
    "offset of the radiometer": Fault(scaled("SWdown", 1.0, 15.0), "night radiation"),
    "sign of NEE": Fault(scaled("NEE", -1.0), "sign", ("NEE",)),
    "sign of Qh": Fault(scaled("Qh", -1.0), "sign"),
    "sign of Rnet": Fault(scaled("Rnet", -1.0), "sign", ("Rnet",)),
    "Qh and Qle swapped": Fault(swapped, "swapped fluxes"),
    "Qle in mmol": Fault(
        lambda r: changed(r, Qle=r.series["Qle"] / 44.0, Qh=r.series["Qh"] / 44.0),
        "energy balance",
        ("Rnet",),
    ),
    "stuck wind": Fault(stuck_wind, "stuck sensor"),
    "a day bridged by a line": Fault(bridged, "straight line"),
    "a day's stamps twice": Fault(stamps_twice, "time axis"),
    "a day's values copied": Fault(copied_day, "copied day"),
    "a day left out": Fault(without_a_day, "time axis"),
    "-9999 left in": Fault(missing_marks, "missing value left in"),
    "-9999 converted": Fault(converted_marks, "missing value left in"),
    "flags turned": Fault(turned_flags, "flags", ("Qle_filled",)),
    "flags all zero": Fault(zero_flags, "unflagged gap-filling", ("Qle_whole",)),
    "corrected called raw": Fault(corrected, "corrected as raw", ("Qle_cor",)),
    "closed and called raw": Fault(closed_here, "corrected as raw", ("Rnet",)),
    "warmer by 6 K from the middle on": Fault(
        from_the_middle("Tair", lambda x: x + 6.0), "step change"
    ),
    "wind halved from the middle on": Fault(
        from_the_middle("Wind", lambda x: x / 2.5), "step change"
    ),
    "dimmer by 35 % from the middle on": Fault(
        from_the_middle("SWdown", lambda x: 0.65 * x), "step change"
    ),
    "no rain": Fault(scaled("Precip", 0.0), "precipitation"),
    "irrigated": Fault(irrigated, "other water"),
}


def can_have(record: Record, fault: Fault) -> bool:
    """Whether a record has what a fault is planted into."""
    for need in fault.needs:
        if need == "Qle_filled":
            flag = record.flags.get("Qle")
            share = 0.0 if flag is None else float(np.mean(flag > 0))
            if not 0.03 < share < 0.9:
                return False
        elif need == "Qle_whole":
            flag = record.flags.get("Qle")
            if flag is None or not (flag > 0).any() or np.isnan(record.series["Qle"]).any():
                return False
        elif not record.has(need):
            return False
    return True
