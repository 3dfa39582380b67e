"""What a program reads is written as it reads it: namelists, tables, NetCDF, forcing; and back."""

import f90nml
import netCDF4
import numpy as np
import pytest

import toy_bucket
from mdpl.errors import ModelError
from mdpl.files import NETCDF
from mdpl.lsm.executable import placing
from mdpl.lsm.executable.adapter import Adapter, OutputForm
from mdpl.lsm.executable.forcing import write_forcing, write_made
from mdpl.lsm.executable.outputs import read_outputs
from mdpl.lsm.executable.settings import clock, resolve

PLAIN = {
    "name": "m",
    "command": ["m"],
    "template": ".",
    "forcing": {"form": "table", "file": "f.txt", "variables": {"SW": "SWdown"}},
    "outputs": {"file": "o.nc", "variables": {"Qle": "LH", "Qh": "HFX"}},
}


def adapter(**parts):
    entry = {"lower": 0.0, "upper": 1e9, "default": 1.0}
    parameters = {n: {**entry, **more} for n, more in parts.pop("parameters", {"p": {}}).items()}
    return Adapter.model_validate({**PLAIN, "parameters": parameters, **parts})


NAMELIST = """&veg  ! vegetation
  vcmx25 = 80.0, 60.0, 60.0, 60.0   ! by type
  name = 'old'
/
&run
  nsteps = 10
  lat = 0.0
/
"""


def test_a_namelist_keeps_all_but_what_is_put(tmp_path):
    (tmp_path / "run.nml").write_text(NAMELIST)
    put = {"namelist": "run.nml", "group": "veg", "key": "VCMX25", "index": "type"}
    lat = {"namelist": "run.nml", "group": "run", "key": "lat"}
    plan = adapter(
        parameters={"vmax": {"put": put, "factor": 2.0}},
        settings={"type": {"constant": 3}, "where": {"value": "latitude", "put": lat}},
    )
    placing.put_all(plan, tmp_path, {"vmax": 21.25, "type": 3, "where": -12.5})
    text = (tmp_path / "run.nml").read_text()
    assert "vcmx25 = 80.0, 60.0, 42.5, 60.0" in text and "! by type" in text
    assert "lat = -12.5" in text and "name = 'old'" in text and "nsteps = 10" in text


@pytest.mark.parametrize(
    ("put", "said"),
    [
        ({"group": "soil", "key": "x"}, r"no namelist &soil; there are veg, run"),
        ({"group": "veg", "key": "vcmx25", "index": 5}, r"an element 5, found those from 1 to 4"),
        ({"group": "run", "key": "latt"}, r"&run: no latt; there are nsteps, lat; write latt"),
    ],
)
def test_a_place_that_is_not_in_the_namelist_is_named(tmp_path, put, said):
    (tmp_path / "run.nml").write_text(NAMELIST)
    plan = adapter(parameters={"p": {"put": {"namelist": "run.nml", **put}}})
    with pytest.raises(ModelError, match=said):
        placing.put_all(plan, tmp_path, {"p": 1.0})


@pytest.mark.parametrize(
    ("written", "index", "found"),
    [
        ("v = 0.5, 0.5, 0.5", None, [0.75, 0.75, 0.75]),
        ("v = 0.5, 0.5, 0.5", 3, [0.5, 0.5, 0.75]),
        ("v(2:5) = 1.0, 2.0, 3.0, 4.0", 3, [1.0, 0.75, 3.0, 4.0]),
        ("v(0:2) = 1.0, 2.0, 3.0", 2, [1.0, 2.0, 0.75]),
        ("v(0:2) = 1.0, 2.0, 3.0", 0, [0.75, 2.0, 3.0]),
        ("v(1:2, 1) = 1.0, 2.0", 2, None),
        ("v = 0.1, , 0.3", 3, None),
        ("v = 4*0.5", None, None),
        ("v = 4*0.5", 3, None),
        ("v(1) = 0.1\n v(2) = 0.2", 2, None),
        ("v = 1.0\n v = 2.0", None, None),
    ],
)
def test_a_namelist_holds_what_was_put_or_says_so(tmp_path, written, index, found):
    """What f90nml cannot change in place is refused, not left as it was or broken."""
    (tmp_path / "run.nml").write_text(f"&veg\n {written}\n/\n")
    put = {"namelist": "run.nml", "group": "veg", "key": "v", "index": index}
    plan = adapter(parameters={"p": {"put": put}})
    if found is None:
        with pytest.raises(ModelError, match=r"run.nml: &veg v: (expected|has several)"):
            placing.put_all(plan, tmp_path, {"p": 0.75})
        assert written in (tmp_path / "run.nml").read_text()
    else:
        placing.put_all(plan, tmp_path, {"p": 0.75})
        assert f90nml.read(tmp_path / "run.nml")["veg"]["v"] == found


def test_a_namelist_twice_in_a_file_is_refused(tmp_path):
    (tmp_path / "run.nml").write_text("&veg\n v = 1.0\n/\n&veg\n v = 2.0\n/\n")
    put = {"namelist": "run.nml", "group": "veg", "key": "v"}
    with pytest.raises(ModelError, match="expected one namelist &veg, found several"):
        placing.put_all(adapter(parameters={"p": {"put": put}}), tmp_path, {"p": 0.75})


def test_empty_cells_of_a_table_are_cells(tmp_path):
    (tmp_path / "veg.csv").write_text("class,a,b,c\nDBF,,2,3\nENF,4,,\n")
    put = {"table": "veg.csv", "separator": ","}
    plan = adapter(
        parameters={
            "p": {"put": {**put, "row": "DBF", "column": "b"}},
            "q": {"put": {**put, "row": "ENF", "column": "c"}},
        }
    )
    placing.put_all(plan, tmp_path, {"p": 99.0, "q": 7.0})
    assert (tmp_path / "veg.csv").read_text() == "class,a,b,c\nDBF,,99,3\nENF,4,,7\n"


def test_a_table_changes_in_one_cell(tmp_path):
    (tmp_path / "veg.txt").write_text("PFT  VCMAX  SLOPE\nENF   60.0  6.0\nDBF   58.0  7.0\n")
    (tmp_path / "soil.csv").write_text("key,b,ksat\nloam,5.4,1e-5\n")
    plan = adapter(
        parameters={
            "vmax": {"put": {"table": "veg.txt", "row": "DBF", "column": "VCMAX"}},
            "b": {"put": {"table": "soil.csv", "row": "loam", "column": 1, "separator": ","}},
        }
    )
    placing.put_all(plan, tmp_path, {"vmax": 33.25, "b": 7.0})
    want = "PFT  VCMAX  SLOPE\nENF   60.0  6.0\nDBF   33.25  7.0\n"
    assert (tmp_path / "veg.txt").read_text() == want
    assert (tmp_path / "soil.csv").read_text() == "key,b,ksat\nloam,7,1e-5\n"
    lost = adapter(parameters={"p": {"put": {"table": "veg.txt", "row": "EBF", "column": 1}}})
    with pytest.raises(
        ModelError, match=r"veg.txt: expected one row that begins with 'EBF', found 0"
    ):
        placing.put_all(lost, tmp_path, {"p": 1.0})


def test_a_netcdf_variable_changes_where_it_is_told(tmp_path):
    with netCDF4.Dataset(tmp_path / "surf.nc", "w") as file:
        file.createDimension("pft", 4)
        file.createVariable("vcmax", "f4", ("pft",))[:] = [1, 2, 3, 4]
    put = {"netcdf": "surf.nc", "variable": "vcmax", "at": {"pft": 2}}
    placing.put_all(adapter(parameters={"p": {"put": put}}), tmp_path, {"p": 50.5})
    with netCDF4.Dataset(tmp_path / "surf.nc") as file:
        np.testing.assert_array_equal(file["vcmax"][:], [1, 2, 50.5, 4])
    wrong = {"netcdf": "surf.nc", "variable": "gmax"}
    with pytest.raises(ModelError, match="no variable 'gmax'; there are vcmax"):
        placing.put_all(adapter(parameters={"p": {"put": wrong}}), tmp_path, {"p": 1.0})


def test_a_table_of_forcing_is_exact(tmp_path):
    site = toy_bucket.site(days=1)
    form = {
        "form": "table",
        "file": "f.dat",
        "separator": " ",
        "time": ["%Y", "%j", "%H"],
        "variables": {"T": {"from": "Tair", "offset": -273.15}, "U": {"constant": 0.0}},
        "decimals": 4,
        "after": 1,
    }
    write_forcing(adapter(forcing=form), site, 24, tmp_path)
    lines = (tmp_path / "f.dat").read_text().splitlines()
    warm = site.forcing["Tair"].values - 273.15
    assert lines[0] == "Y j H T U" and len(lines) == 26
    assert lines[1] == f"2001 060 00 {warm[0]:.4g} 0"
    assert lines[24] == f"2001 060 23 {warm[23]:.4g} 0"
    assert lines[25] == f"2001 061 00 {warm[23]:.4g} 0"


def test_a_file_a_step_in_utc_as_hrldas_reads_it(tmp_path):
    from dataclasses import replace

    site = toy_bucket.site(days=1)
    site = replace(site, attributes={**site.attributes, "utc_offset": -8.0})
    form = {
        "form": "steps",
        "file": "in/%Y%m%d%H.LDASIN_DOMAIN1",
        "dims": ["Time", "south_north", "west_east"],
        "variables": {"T2D": {"from": "Tair", "units": "K"}, "RAINRATE": "Precip"},
    }
    plan = adapter(forcing=form, utc=True)
    write_forcing(plan, site, 24, tmp_path)
    names = sorted(p.name for p in (tmp_path / "in").iterdir())
    assert len(names) == 24 and names[0] == "2001030108.LDASIN_DOMAIN1"
    assert names[-1] == "2001030207.LDASIN_DOMAIN1"
    ended = adapter(forcing={**form, "stamp": "end", "before": 1}, utc=True)
    write_forcing(ended, site, 24, tmp_path / "ended")
    shifted = sorted(p.name for p in (tmp_path / "ended/in").iterdir())
    assert shifted[0] == names[0] and shifted[-1] == "2001030208.LDASIN_DOMAIN1"
    assert len(shifted) == 25
    with netCDF4.Dataset(tmp_path / "ended/in/2001030109.LDASIN_DOMAIN1") as file:
        assert file["T2D"][0, 0, 0] == pytest.approx(site.forcing["Tair"].values[0])
    with netCDF4.Dataset(tmp_path / "in/2001030110.LDASIN_DOMAIN1") as file:
        assert file["T2D"].dimensions == ("Time", "south_north", "west_east")
        assert file["T2D"].shape == (1, 1, 1) and file["T2D"].units == "K"
        assert file["T2D"][0, 0, 0] == pytest.approx(site.forcing["Tair"].values[2])
        assert file.dimensions["Time"].isunlimited()
    assert clock(plan, site)[0] == np.datetime64("2001-03-01T08:00")


def test_rain_and_snow_are_told_apart_and_nothing_is_lost(tmp_path):
    site = toy_bucket.site(days=2)
    site.forcing["Tair"][:24] = 270.0
    form = {
        "form": "netcdf",
        "file": "f.nc",
        "variables": {"R": "Rainf", "S": "Snowf", "rh": "RH"},
    }
    write_forcing(adapter(forcing=form), site, 48, tmp_path)
    with netCDF4.Dataset(tmp_path / "f.nc") as file:
        rain, snow = file["R"][:], file["S"][:]
        assert file["time"].units == "seconds since 2001-03-01 00:00:00"
        np.testing.assert_array_equal(file["time"][:], np.arange(48) * 3600.0)
        assert (file["rh"][:] <= 100).all() and (file["rh"][:] > 10).all()
    np.testing.assert_allclose(rain + snow, site.forcing["Precip"], rtol=1e-6)
    assert not rain[:24].any() and not snow[24:].any()


def test_settings_say_what_is_known_of_a_tower():
    site = toy_bucket.site(days=3, steps=48, start="2003-12-30T00:00")
    made = adapter(
        settings={
            "kind": {"value": "igbp", "map": {"ENF": 1, "other": 10}},
            "minutes": {"value": "step_seconds", "scale": 1 / 60},
            "four": {"constant": 4},
        }
    )
    values = resolve(made, site, 144)
    assert (values["kind"], values["minutes"], values["four"]) == (1, 30.0, 4)
    assert (values["start_year"], values["start_month"], values["start_day"]) == (2003, 12, 30)
    assert (values["end_year"], values["end_day"], values["steps"], values["days"]) == (
        2004, 2, 144, 3,
    )  # fmt: skip
    with pytest.raises(ModelError, match="XX-Toy has no 'soil_type'; known: "):
        resolve(adapter(settings={"x": {"value": "soil_type"}}), site, 10)
    with pytest.raises(ModelError, match="no entry for igbp 'ENF' of XX-Toy"):
        resolve(adapter(settings={"x": {"value": "igbp", "map": {"GRA": 1}}}), site, 10)


def test_a_set_up_file_is_made(tmp_path):
    parts = adapter(
        made={
            "setup.nc": {
                "dims": {"Time": 1, "y": 1, "soil": 3},
                "unlimited": ["Time"],
                "variables": {
                    "XLAT": {"dims": ["Time", "y"], "value": "latitude"},
                    "IVGTYP": {"dims": ["Time", "y"], "constant": 4, "type": "int"},
                    "TSLB": {"dims": ["Time", "soil", "y"], "constant": [280, 281, 282]},
                },
                "attributes": {"ISWATER": 17},
            }
        }
    )
    write_made(parts.made, {"latitude": 50.25}, tmp_path)
    with netCDF4.Dataset(tmp_path / "setup.nc") as file:
        assert file["XLAT"][0, 0] == 50.25 and file["IVGTYP"].dtype == np.int32
        np.testing.assert_array_equal(file["TSLB"][0, :, 0], [280, 281, 282])
        assert file.ISWATER == 17
    with pytest.raises(ModelError, match=r"setup.nc: XLAT: nothing called 'latitude'"):
        write_made(parts.made, {}, tmp_path)


TIME = np.datetime64("2001-03-01T00:00:00") + np.arange(6) * np.timedelta64(1800, "s")


def written(path, stamps, texts=False):
    with NETCDF, netCDF4.Dataset(path, "w") as file:
        file.createDimension("Time", None)
        file.createDimension("y", 1)
        file.createDimension("soil", 2)
        file.createDimension("chars", 19)
        for name, sign in (("LH", 1.0), ("HFX", -2.0)):
            file.createVariable(name, "f4", ("Time", "y"))[:] = (
                sign * np.arange(len(stamps))[:, None]
            )
        wet = file.createVariable("SMC", "f4", ("Time", "soil", "y"))
        wet[:] = np.arange(2 * len(stamps)).reshape(len(stamps), 2, 1)
        if texts:
            rows = [str(stamp).replace("T", "_").encode() for stamp in stamps]
            times = file.createVariable("Times", "S1", ("Time", "chars"))
            times[:] = netCDF4.stringtochar(np.array(rows, "S19"))
        else:
            times = file.createVariable("Times", "f8", ("Time",))
            times.units = "hours since 2001-03-01 00:00:00"
            times[:] = (stamps - TIME[0]).astype(float) / 3600.0


FORM = {
    "file": "o*.nc",
    "time": "Times",
    "variables": {
        "Qle": "LH",
        "Qh": {"from": "HFX", "scale": -1},
        "SoilMoist": {"from": "SMC", "at": {"soil": 1}},
    },
}


@pytest.mark.parametrize("texts", [False, True])
def test_outputs_in_several_files_are_joined_and_their_times_checked(tmp_path, texts):
    end = TIME + np.timedelta64(1800, "s")
    written(tmp_path / "o1.nc", end[:4], texts)
    written(tmp_path / "o2.nc", end[4:], texts)
    form = OutputForm.model_validate({**FORM, "stamp": "end"})
    found = read_outputs(form, tmp_path, TIME, 1800, ("Qle", "Qh", "SoilMoist"))
    np.testing.assert_array_equal(found["Qle"], [0, 1, 2, 3, 0, 1])
    np.testing.assert_array_equal(found["Qh"], [0, 2, 4, 6, 0, 2])
    np.testing.assert_array_equal(found["SoilMoist"], [1, 3, 5, 7, 1, 3])
    wrong = read_outputs(OutputForm.model_validate(FORM), tmp_path, TIME, 1800, ("Qle",))
    assert wrong == "o*.nc: step 0 is of 2001-03-01T00:30:00, expected 2001-03-01T00:00:00"


def test_first_steps_are_skipped_and_damage_is_a_reason(tmp_path):
    written(tmp_path / "o1.nc", np.append(TIME[0] - np.timedelta64(1800, "s"), TIME))
    form = OutputForm.model_validate({**FORM, "skip": 1})
    found = read_outputs(form, tmp_path, TIME, 1800, ("Qle",))
    np.testing.assert_array_equal(found["Qle"], np.arange(1, 7))
    whole = (tmp_path / "o1.nc").read_bytes()
    (tmp_path / "o1.nc").write_bytes(whole[: len(whole) // 2])
    assert "cannot be read" in read_outputs(form, tmp_path, TIME, 1800, ("Qle",))
    gone = OutputForm.model_validate({**FORM, "variables": {"Qle": "QLE", "Qh": "HFX"}})
    (tmp_path / "o1.nc").write_bytes(whole)
    said = read_outputs(gone, tmp_path, TIME, 1800, ("Qle",))
    assert "no variable QLE; there are LH, HFX" in said


def test_many_threads_may_read_and_write_at_once(tmp_path):
    """The NetCDF library bears one thread at a time; run after run, ours must keep to that."""
    from concurrent.futures import ThreadPoolExecutor

    import xarray as xr

    from mdpl.files import load_dataset, save_dataset

    one = {"dims": ["y"], "value": "latitude"}
    parts = adapter(made={"m.nc": {"dims": {"y": 1}, "variables": {"XLAT": one}}})
    put = adapter(parameters={"p": {"put": {"netcdf": "m.nc", "variable": "XLAT"}}})
    kept = xr.Dataset({"Qle": ("time", np.arange(500.0))})

    def go(number):
        folder = tmp_path / str(number % 8)
        for _ in range(15):
            write_made(parts.made, {"latitude": 1.0}, folder)
            placing.put_all(put, folder, {"p": float(number)})
            written(folder / "o1.nc", TIME)
            read_outputs(OutputForm.model_validate(FORM), folder, TIME, 1800, ("Qle",))
            save_dataset(kept, folder / "kept.nc")
            assert float(load_dataset(folder / "kept.nc")["Qle"].sum()) == 499 * 250
        return number

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(go, range(8))) == list(range(8))
