"""Files as they should not be: a clear error each, from reading and from checking."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import netCDF4
import numpy as np
import pandas as pd
import pytest

from mdpl.errors import SiteError
from mdpl.sites.catalogue import find_towers, open_sites
from mdpl.sites.checks.examine import examine_tower
from mdpl.sites.csv_files import header
from mdpl.sites.plumber2_writing import write_pair

from .conftest import made_up_site
from .test_network_files import PLACES, as_fluxnet, as_mapped

Spoil = Callable[[Path], object]


def nc(edit: Callable[[netCDF4.Dataset], object], kind: str = "Met") -> Spoil:
    def spoil(folder: Path) -> None:
        with netCDF4.Dataset(next(folder.glob(f"*_{kind}.nc")), "a") as dataset:
            edit(dataset)

    return spoil


def raw(edit: Callable[[bytes], bytes], pattern: str = "*_Met.nc") -> Spoil:
    def spoil(folder: Path) -> None:
        path = next(folder.glob(pattern))
        path.write_bytes(edit(path.read_bytes()))

    return spoil


def anew(name: str, dimensions: tuple[str, ...], dtype: object, value: object) -> Callable:
    """A variable replaced by another of its name."""

    def edit(dataset: netCDF4.Dataset) -> None:
        dataset.renameVariable(name, f"old_{name}")
        for dimension in dimensions:
            if dimension not in dataset.dimensions:
                dataset.createDimension(dimension, 2)
        variable = dataset.createVariable(name, dtype, dimensions)
        if dtype is not str:
            variable[...] = value

    return edit


def times(change: Callable[[np.ndarray], np.ndarray], units: str = "") -> Callable:
    def edit(dataset: netCDF4.Dataset) -> None:
        dataset["time"][:] = change(dataset["time"][:])
        if units:
            dataset["time"].units = units

    return edit


def both(edit: Callable) -> Spoil:
    def spoil(folder: Path) -> None:
        nc(edit)(folder)
        nc(edit, "Flux")(folder)

    return spoil


def halves(t: np.ndarray) -> np.ndarray:
    """A record of half-hours that goes on in hours."""
    return np.where(np.arange(t.size) < 200, t, 2 * t - t[200])


NETCDF: dict[str, Spoil] = {
    "empty": raw(lambda b: b""),
    "a byte": raw(lambda b: b[:1]),
    "cut in the head": raw(lambda b: b[:200]),
    "cut in the middle": raw(lambda b: b[: len(b) // 2]),
    "cut at the end": raw(lambda b: b[:-2000]),
    "cut flux file": raw(lambda b: b[: len(b) // 3], "*_Flux.nc"),
    "a page": raw(lambda b: b"<html>not found</html>"),
    "zeros": raw(lambda b: bytes(len(b))),
    "noise in the head": raw(lambda b: b"\x89HDF\r\n\x1a\n" + os.urandom(4000)),
    "no time": nc(lambda d: d.renameVariable("time", "t")),
    "time of text": nc(anew("time", ("time",), str, None)),
    "time of two dimensions": nc(anew("time", ("time", "pair"), "f8", 0.0)),
    "time of no numbers": nc(times(lambda t: t * np.nan)),
    "time without end": nc(times(lambda t: t * 1e300)),
    "time standing still": both(times(lambda t: 0 * t)),
    "time backward": both(times(lambda t: t[::-1])),
    "steps of ten minutes": both(times(lambda t: t / 3)),
    "steps of a day": both(times(lambda t: t * 48)),
    "mixed steps": both(times(halves)),
    "no units of time": nc(lambda d: d["time"].delncattr("units")),
    "odd units of time": nc(times(lambda t: t, "fortnights since 2020-01-01")),
    "no such date": nc(times(lambda t: t, "seconds since 2020-02-31 00:00:00")),
    "no leap days": nc(lambda d: d["time"].setncattr("calendar", "noleap")),
    "two towers": nc(anew("SWdown", ("time", "pair"), "f4", 100.0)),
    "a scalar": nc(anew("Tair", (), "f4", 280.0)),
    "text for numbers": nc(anew("Wind", ("time",), str, None)),
    "characters for numbers": nc(anew("Wind", ("time",), "S1", b"x")),
    "text for a flux": nc(anew("Qle", ("time",), str, None), "Flux"),
    "no place": nc(lambda d: d.renameVariable("latitude", "lat")),
    "no such place": nc(lambda d: d["latitude"].__setitem__(Ellipsis, 950.0)),
    "no class": nc(lambda d: d.renameVariable("IGBP_veg_short", "class")),
    "a city": nc(lambda d: d["IGBP_veg_short"].__setitem__(Ellipsis, "URB")),
    "no humidity": nc(lambda d: d.renameVariable("Qair", "q")),
    "no flux": nc(lambda d: d.renameVariable("Qh", "H"), "Flux"),
    "forcing of nothing": nc(lambda d: d["LWdown"].__setitem__(slice(None), np.nan)),
    "infinite wind": nc(lambda d: d["Wind"].__setitem__(5, np.inf)),
    "furlongs": nc(lambda d: d["Wind"].setncattr("units", "furlong fortnight-1")),
    "a huge attribute": nc(lambda d: d["Wind"].setncattr("units", "m" * 60000)),
    "no flux file": lambda f: next(f.glob("*_Flux.nc")).unlink(),
    "a folder for a file": lambda f: (
        next(f.glob("*_Met.nc")).rename(f / "away"),
        (f / "XX-Tst_2020-2020_MdPL_Met.nc").mkdir(),
    ),
    "another year's flux file": lambda f: next(f.glob("*_Flux.nc")).rename(
        f / "XX-Tst_1999-1999_MdPL_Flux.nc"
    ),
    "a link to itself": lambda f: (
        next(f.glob("*_Met.nc")).unlink(),
        (f / "XX-Tst_2020-2020_MdPL_Met.nc").symlink_to(f / "XX-Tst_2020-2020_MdPL_Met.nc"),
    ),
}


def table(edit: Callable[[pd.DataFrame], pd.DataFrame | None]) -> Spoil:
    def spoil(folder: Path) -> None:
        path = next(folder.glob("FLX*"))
        frame = pd.read_csv(path, dtype=str)
        changed = edit(frame)
        (frame if changed is None else changed).to_csv(path, index=False)

    return spoil


def cell(column: str, value: str, row: int = 7) -> Spoil:
    return table(lambda f: f.__setitem__(column, f[column].where(f.index != row, value)))


def places(text: str) -> Spoil:
    return lambda folder: (folder / "sites.csv").write_text(text)


def text(edit: Callable[[str], str]) -> Spoil:
    return raw(lambda b: edit(b.decode()).encode(), "FLX*")


CSV: dict[str, Spoil] = {
    "head only": text(lambda t: t.split("\n")[0] + "\n"),
    "one row": text(lambda t: "\n".join(t.split("\n")[:2])),
    "cut in a stamp": text(lambda t: t[: t.rindex("\n2020") + 7]),
    "words": cell("TA_F", "warm"),
    "no such month": cell("TIMESTAMP_START", "202013010000"),
    "stamps without minutes": table(
        lambda f: f.__setitem__("TIMESTAMP_START", f["TIMESTAMP_START"].str[:8])
    ),
    "a far year": cell("TIMESTAMP_START", "999901010000"),
    "a stamp off the axis": cell("TIMESTAMP_START", "202002250307"),
    "a column twice": text(lambda t: t.replace("WS_F,", "TA_F,", 1)),
    "long rows": text(lambda t: t.replace("\n", ",1,2,3\n").replace(",1,2,3\n", "\n", 1)),
    "an open quote": text(lambda t: t.replace("\n2020", '\n"2020', 1)),
    "nothing but marks": table(lambda f: f.assign(**dict.fromkeys(f.columns[2:], "-9999"))),
    "no temperature": table(lambda f: f.drop(columns=["TA_F", "TA_F_QC"])),
    "no latent heat": table(lambda f: f.drop(columns=["LE_F_MDS"])),
    "two towers in a name": lambda f: next(f.glob("FLX*")).rename(f / "XX-Tst_XX-Two_HH.csv"),
    "no tower in the name": lambda f: next(f.glob("FLX*")).rename(f / "fullset.csv"),
    "UTF-16": raw(lambda b: b.decode().encode("utf-16"), "FLX*"),
    "a NUL": raw(lambda b: b.replace(b"2020", b"20\x000", 3), "FLX*"),
    "an endless line": raw(lambda b: b"x" * 3_000_000, "FLX*"),
    "no place": places("site,lat\nXX-Tst,50\n"),
    "a place twice": places(PLACES + PLACES.split("\n")[1]),
    "a place of words": places(PLACES.replace("50.0", "north")),
    "no days": places("site,first,last\nXX-Tst,soon,later\n"),
    "days of another year": places(
        PLACES.replace("z_obs", "z_obs,first").replace("3.0\n", "3.0,2031-01-01\n")
    ),
    "leaf area of words": lambda f: (f / "lai.csv").write_text("site,date,LAI\nXX-Tst,May,3\n"),
    "leaf area of nothing": lambda f: (f / "lai.csv").write_text(""),
}


def mapping(edit: Callable[[str], str]) -> Spoil:
    return raw(lambda b: edit(b.decode()).encode(), "*.yaml")


MAPPED: dict[str, Spoil] = {
    "no YAML": mapping(lambda t: t + "\n}{"),
    "an unknown key": mapping(lambda t: t + "colour: red\n"),
    "no such column": mapping(lambda t: t.replace("Wind: WS", "Wind: Velocity")),
    "no such variable": mapping(lambda t: t.replace("Wind: WS", "Gale: WS")),
    "no such unit": mapping(lambda t: t.replace("degC", "degF")),
    "a way out": mapping(lambda t: t.replace("file: anything.csv", "file: ../../etc/passwd")),
    "a code with a way out": mapping(lambda t: t.replace("site: XX-Tst", "site: ../XX")),
    "another form of time": mapping(
        lambda t: t.replace("stamp:", "time_format: '%d.%m.%Y'\nstamp:")
    ),
    "no table": lambda f: (f / "anything.csv").unlink(),
}


@pytest.fixture(scope="module")
def originals(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    site = made_up_site(days=12)
    pair, fluxnet, mapped = (tmp_path_factory.mktemp(n) for n in ("pair", "fluxnet", "mapped"))
    write_pair(site, pair)
    return {"pair": pair, "fluxnet": as_fluxnet(site, fluxnet), "mapped": as_mapped(site, mapped)}


def copied(original: Path, folder: Path) -> Path:
    folder.mkdir()
    for path in original.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    return folder


def refused(folder: Path) -> None:
    """Opening raises, checking tells; neither leaves anything behind."""
    before = sorted(p.name for p in folder.iterdir())
    with pytest.raises(SiteError) as error:
        open_sites(folder)
    assert len(str(error.value)) > 20
    try:
        towers = find_towers(folder)
    except SiteError:
        towers = []
    for tower in towers:
        examination = examine_tower(tower)
        assert all(f.text for f in examination.findings)
    assert sorted(p.name for p in folder.iterdir()) == before


def test_more_than_fifty_are_tried() -> None:
    assert len(NETCDF) + len(CSV) + len(MAPPED) >= 50


@pytest.mark.parametrize("name", NETCDF)
def test_a_bad_pair(name: str, originals: dict[str, Path], tmp_path: Path) -> None:
    folder = copied(originals["pair"], tmp_path / "bad")
    NETCDF[name](folder)
    refused(folder)


@pytest.mark.parametrize("name", CSV)
def test_a_bad_table(name: str, originals: dict[str, Path], tmp_path: Path) -> None:
    folder = copied(originals["fluxnet"], tmp_path / "bad")
    CSV[name](folder)
    refused(folder)


@pytest.mark.parametrize("name", MAPPED)
def test_a_bad_mapping(name: str, originals: dict[str, Path], tmp_path: Path) -> None:
    folder = copied(originals["mapped"], tmp_path / "bad")
    MAPPED[name](folder)
    refused(folder)


@pytest.mark.parametrize("n", [300, pytest.param(10_000, marks=pytest.mark.full)])
def test_fuzzed_heads(n: int, originals: dict[str, Path], tmp_path: Path) -> None:
    """Bytes turned, dropped, doubled and inserted: an error of ours, or a head of some names."""
    whole = next(originals["fluxnet"].glob("FLX*")).read_bytes()[:1500]
    rng = np.random.default_rng(0)
    path, read = tmp_path / "FLX_XX-Tst.csv", 0
    for _ in range(n):
        data = bytearray(whole)
        for _ in range(int(rng.integers(1, 12))):
            at = int(rng.integers(len(data)))
            kind = rng.integers(4)
            if kind == 0:
                data[at] = int(rng.integers(256))
            elif kind == 1:
                del data[at : at + int(rng.integers(1, 40))]
            elif kind == 2:
                data[at:at] = data[at : at + int(rng.integers(1, 40))]
            else:
                data[at:at] = rng.bytes(int(rng.integers(1, 8)))
        path.write_bytes(bytes(data))
        try:
            names, skip, _ = header(path)
            assert names and skip >= 0
            read += 1
            find_towers(tmp_path)[0].record()
        except SiteError:
            continue
    assert read > 0
