"""Table of the experiment on flux choices: gains by what a run is judged by."""

from __future__ import annotations

from mdpl.report.cells import Row, Table, csv_uri, percent, text, whole
from mdpl.report.contents import Contents


def flux_choice(contents: Contents) -> Table:
    """Median gains over the default, validation period, native resolution."""
    table = contents.extra["flux_choice"]
    own = table[(table["period"] == "validation") & (table["resolution"] == "native")]
    known = own.dropna(subset=["dRMSE"])
    rows = []
    for key, part in known.groupby(["choice", "model", "flux"], sort=False):
        choice, model, flux = (str(name) for name in key)
        taught = model.removeprefix("mdpl").removeprefix("-") or contents.variant
        cells = [text(choice, "key"), text(taught), text(flux), whole(part["site"].nunique())]
        cells += [percent(part["dRMSE"].median()), whole(int((part["dRMSE"] < 0).sum()))]
        rows.append(Row(tuple(cells)))
    heads = ("Judged by", "Learnt from", "Flux", "Towers", "Median dRMSE", "Worse than default")
    caption = "The choice of heat fluxes: gains by what is called the truth, validation period"
    return Table("flux_choice", caption, heads, tuple(rows), csv_uri(table))
