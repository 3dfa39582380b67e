"""What it costs to read, check and summarise many towers.

Usage: python benchmarks/towers.py --sites FOLDER [--towers 170] [--years 6] [--figures]

The records of the folder are repeated up to so many whole years and written, under other codes, in
PLUMBER2's form and size; then ``mdpl sites check`` runs over all of them in a process of its own.
"""

from __future__ import annotations

import argparse
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import netCDF4
import numpy as np
import xarray as xr

from mdpl.sites.catalogue import open_sites
from mdpl.sites.plumber2_writing import write_pair
from mdpl.sites.site import Site

BEGIN = np.datetime64("2001-01-01", "ns")


def repeated(site: Site, years: int) -> Site:
    """The record over and over until it fills so many years; the first one begins in January."""
    end = BEGIN.astype("M8[Y]") + np.timedelta64(years, "Y")
    steps = int((end.astype("M8[ns]") - BEGIN) / np.timedelta64(site.step_seconds, "s"))
    time = BEGIN + np.arange(steps) * np.timedelta64(site.step_seconds, "s").astype("m8[ns]")
    # Whole years, so that days of the year stay where they belong.
    length = max(1, site.time.size // (365 * site.steps_per_day)) * 365 * site.steps_per_day
    days = site.time.astype("M8[D]")
    first = int(np.argmax(days == days.astype("M8[Y]")))
    index = (first + np.arange(steps) % min(length, site.time.size)) % site.time.size

    def longer(data: xr.Dataset) -> xr.Dataset:
        return data.isel(time=index).assign_coords(time=time)

    flags = {name: values[index] for name, values in site.forcing_qc.items()}
    return replace(site, forcing=longer(site.forcing), fluxes=longer(site.fluxes), forcing_qc=flags)


def write_towers(folder: Path, sites: list[Site], number: int, years: int) -> None:
    """So many pairs of files, the towers' records under codes XX-000, XX-001, ..."""
    templates = [write_pair(repeated(site, years), folder, dtype="f4") for site in sites]
    for i in range(number):
        code = f"XX-{i:03d}"
        for path in templates[i % len(templates)]:
            copy = folder / f"{code}_{path.name.split('_', 1)[1]}"
            shutil.copyfile(path, copy)
            with netCDF4.Dataset(copy, "a") as nc:
                nc.site_code = code
    for pair in templates:
        for path in pair:
            path.unlink()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sites", type=Path, required=True, help="folder of records")
    parser.add_argument("--towers", type=int, default=170)
    parser.add_argument("--years", type=int, default=6)
    parser.add_argument("--figures", action="store_true", help="draw the pages, too")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as made:
        towers, out = Path(made) / "towers", Path(made) / "out"
        towers.mkdir()
        write_towers(towers, open_sites(args.sites), args.towers, args.years)
        size = sum(path.stat().st_size for path in towers.iterdir())
        print(
            f"{args.towers} towers of {args.years} years, {size / 1e9:.2f} GB on disk", flush=True
        )
        mdpl = Path(sys.executable).with_name("mdpl")
        command = [str(mdpl), "sites", "check", "--sites", str(towers)]
        command += ["--out", str(out), "--figures" if args.figures else "--no-figures"]
        begin = time.perf_counter()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        taken = time.perf_counter() - begin
        peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1e6
        rows = len((out / "towers.csv").read_text().splitlines()) - 1
    print(f"{rows} towers in {taken:.0f} s, {taken / rows:.2f} s a tower, peak {peak:.2f} GB")


if __name__ == "__main__":
    main()
