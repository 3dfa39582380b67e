"""Tables about the surrogate: rounds, what an audit found, and what it says of parameters."""

from __future__ import annotations

import numpy as np

from mdpl.report.contents import Contents
from mdpl.report.tables import FIDELITY, Row, Table, csv_uri, num, text, whole

AUDITED = ("r2", "r2_response", "rmse_over_sd", "kge", "r2_worst_member")


def rounds(contents: Contents) -> Table:
    """Promised and delivered RMSE of every round."""
    table = contents.extra["rounds"]
    rows = [
        Row(
            (
                whole(r["round"]),
                text(r["site"], "key"),
                text(r["flux"]),
                text(r["period"]),
                num(r["promised"]),
                num(r["delivered"]),
                num(100 * r["gap"]),
            )
        )
        for r in table.to_dict("records")
    ]
    heads = ("Round", "Tower", "Flux", "Period", "RMSE promised", "delivered", "Gap (%)")
    caption = "Rounds of refinement: what was promised and what the land model delivered"
    return Table("rounds", caption, heads, tuple(rows), csv_uri(table))


def audit(contents: Contents) -> Table:
    """Median fidelity over towers by what the surrogate had not seen."""
    table = contents.extra["audit"]
    rows = []
    for (kind, task), own in table.groupby(["kind", "task"], sort=False):
        values = own.groupby("metric")["value"]
        medians, worst = values.median(), values.min()
        cells = (text(str(kind), "key"), text(str(task)), whole(own["site"].nunique()))
        numbers = (num(medians.get(m, np.nan)) for m in AUDITED)
        rows.append(Row((*cells, *numbers, num(worst["r2"]))))
    heads = (
        "Never trained on",
        "Task",
        "Towers",
        *(FIDELITY[m] for m in AUDITED),
        "R² worst tower",
    )
    caption = (
        "Audit of the surrogate against the land model: medians over towers; of the response: of "
        "what members differ from the default run, which the surrogate is given"
    )
    return Table("audit", caption, heads, tuple(rows), csv_uri(table))


def identifiability(contents: Contents) -> Table:
    """What the data of each tower say of each parameter."""
    table = contents.extra["identifiability"]
    rows = [
        Row(
            (
                text(r["site"], "key"),
                text(r["parameter"]),
                num(r["sobol"]),
                num(r["contraction"]),
                text(r["partner"]),
                num(r["correlation"]),
                text(r["verdict"]),
            )
        )
        for r in table.to_dict("records")
    ]
    heads = ("Tower", "Parameter", "Sobol index", "Contraction", "Tied most to", "r", "Verdict")
    caption = "Which parameters the data constrain, which trade off, which sit at a bound"
    return Table("identifiability", caption, heads, tuple(rows), csv_uri(table))


def cloud(contents: Contents) -> Table:
    """Whether the learnt parameters lie among the ensemble."""
    table = contents.extra["cloud"]
    rows = [
        Row((text(r["site"], "key"), num(r["nearest"]), whole(r["outside"]), whole(r["at_bound"])))
        for r in table.to_dict("records")
    ]
    heads = ("Tower", "Distance to the nearest member", "Outside their range", "At a bound")
    caption = (
        "Learnt parameters and the ensemble's cloud; distance in units of the members' own "
        "median distance to their nearest neighbour"
    )
    return Table("cloud", caption, heads, tuple(rows), csv_uri(table))
