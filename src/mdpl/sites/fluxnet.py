"""FLUXNET tables: FLUXNET2015, FLUXNET-1F and ICOS, FULLSET and SUBSET, half-hours and hours."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from mdpl.sites.csv_files import code_of, header, read_columns, starts
from mdpl.sites.network import Column, record_of
from mdpl.sites.record import Record

_ERA = 4

COLUMNS = {
    "SWdown": ("SW_IN_F", "SW_IN_F_MDS", "SW_IN"),
    "LWdown": ("LW_IN_F", "LW_IN_F_MDS", "LW_IN"),
    "Tair": ("TA_F", "TA_F_MDS", "TA"),
    "VPD": ("VPD_F", "VPD_F_MDS", "VPD"),
    "RH": ("RH",),
    "Psurf": ("PA_F", "PA"),
    "Wind": ("WS_F", "WS"),
    "Precip": ("P_F", "P"),
    "CO2air": ("CO2_F_MDS", "CO2"),
    "Qle": ("LE_F_MDS", "LE"),
    "Qh": ("H_F_MDS", "H"),
    "Qle_cor": ("LE_CORR",),
    "Qh_cor": ("H_CORR",),
    "Qle_uc": ("LE_RANDUNC",),
    "Qh_uc": ("H_RANDUNC",),
    "Qle_cor_uc": ("LE_CORR_JOINTUNC",),
    "Qh_cor_uc": ("H_CORR_JOINTUNC",),
    "Rnet": ("NETRAD",),
    "Qg": ("G_F_MDS", "G"),
    "NEE": ("NEE_VUT_REF", "NEE_CUT_REF"),
    "NEE_uc": ("NEE_VUT_REF_RANDUNC", "NEE_CUT_REF_RANDUNC"),
    "GPP": ("GPP_NT_VUT_REF", "GPP_NT_CUT_REF"),
    "Ustar": ("USTAR",),
}
"""Our name -> the columns it is taken from, the first that is there
(Pastorello et al. 2020, doi:10.1038/s41597-020-0534-3, and its variable list)."""

_FLAGS_OF = {"Qle_cor": "Qle", "Qh_cor": "Qh", "GPP": "NEE"}
"""Derived variables are as measured as what they are derived from."""


def is_fluxnet(names: list[str]) -> bool:
    """Whether a header is that of a FLUXNET table."""
    known = set(names)
    return "TIMESTAMP_START" in known and bool(known & {"TA_F", "TA_F_MDS", "LE_F_MDS"})


def read_fluxnet(path: Path) -> Record:
    """Read a table; gaps stay, values filled by the network keep their flag.

    Flags are those of PLUMBER2: 0 measured, 1 to 3 filled well to poorly, 4 from reanalysis (2 of
    a ``_F_QC``).

    Raises:
        SiteError: as `mdpl.sites.csv_files` has it.
    """
    names, skip, comments = header(path)
    chosen = {
        our: next(name for name in there if name in names)
        for our, there in COLUMNS.items()
        if set(there) & set(names)
    }
    flags = {our: f"{name}_QC" for our, name in chosen.items() if f"{name}_QC" in names}
    wanted = ["TIMESTAMP_START", *dict.fromkeys([*chosen.values(), *flags.values()])]
    frame = read_columns(path, wanted, skip)
    columns = {}
    for our, name in chosen.items():
        flag = frame[flags[our]].to_numpy(copy=True) if our in flags else None
        if flag is not None and name.endswith("_F"):
            flag = np.where(flag == 2, _ERA, flag)
        columns[our] = Column(frame[name].to_numpy(), flag)
    for our, of in _FLAGS_OF.items():
        if our in columns and of in columns and columns[our].flag is None:
            columns[our] = Column(columns[our].values, columns[of].flag)
    return record_of(code_of(path, comments), starts(path, frame), columns, (path,))
