"""Learnt parameters by class: agreement, attributes, published ranges, expected directions."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from mdpl.evaluation import parameter_study as study
from mdpl.lsm.matsiro.expectations import DIRECTIONS, published
from mdpl.report.cells import Row, Table, csv_uri, num, text, whole
from mdpl.report.contents import Contents
from mdpl.sites.attributes import GENERATOR_ATTRIBUTES, SOIL_ATTRIBUTES

SHOWN_CORRELATIONS = 30


LEAST_MOVE = 0.01
"""Of a parameter's range, below which learning did not move it either way."""


@dataclass(frozen=True)
class Study:
    """What can be said of a run's parameters; made from its tables alone."""

    contents: Contents

    @cached_property
    def table(self) -> pd.DataFrame:
        """``parameters.csv`` of the learnt model, with each tower's PFT."""
        own = self.contents.parameters
        own = own[own["model"] == self.contents.learnt]
        return own.assign(pft=own["site"].map(self.pft))

    @cached_property
    def pft(self) -> pd.Series:
        known = {code: tower.pft for code, tower in self.contents.towers.items()}
        scored = self.contents.scores.drop_duplicates("site").set_index("site")["pft"]
        of_scores = {str(code): str(pft) for code, pft in scored.items()}
        return pd.Series(of_scores | known)

    @cached_property
    def learnt(self) -> pd.DataFrame:
        return study.unit_positions(self.table, "value")

    @cached_property
    def default(self) -> pd.DataFrame:
        return study.unit_positions(self.table, "default")

    @cached_property
    def attributes(self) -> pd.DataFrame:
        """Numbers known of every tower, (site, attribute)."""
        towers = self.contents.towers
        names = [*GENERATOR_ATTRIBUTES, *sorted(SOIL_ATTRIBUTES)]
        rows = {
            c: {n: towers[c].number(n) for n in names} for c in self.learnt.index if c in towers
        }
        found = pd.DataFrame.from_dict(rows, orient="index").reindex(self.learnt.index)
        return found.dropna(axis=1)

    @cached_property
    def agreement(self) -> pd.DataFrame:
        """Of learnt values, and (columns ending in ``_moved``) of learnt minus default."""
        values = study.agreement(self.learnt, self.pft)
        moved = study.agreement(self.learnt - self.default, self.pft)
        keys = ["parameter", "towers", "classes"]
        return values.merge(moved, on=keys, suffixes=("", "_moved"))

    @cached_property
    def correlations(self) -> pd.DataFrame:
        return study.correlations(self.learnt, self.attributes)

    @property
    def of_column(self) -> bool:
        """Whether the parameters are the built-in column's, of which the literature is known."""
        return self.contents.land_model == "matsiro"

    @cached_property
    def directions(self) -> pd.DataFrame:
        expected = DIRECTIONS if self.of_column else ()
        questions = [study.Question(d.parameter, d.attribute, d.sign) for d in expected]
        found = study.directions(self.default, self.learnt, self.attributes, questions)
        said = {(d.parameter, d.attribute): d for d in DIRECTIONS}
        pairs = list(zip(found["parameter"], found["attribute"], strict=True))
        return found.assign(
            why=[said[pair].why for pair in pairs], source=[said[pair].source for pair in pairs]
        )

    @cached_property
    def plausibility(self) -> pd.DataFrame:
        """site, pft, parameter, value, default, lower, upper (published), kind, source, inside."""
        rows = []
        for r in self.table.to_dict("records"):
            known = published(r["parameter"], r["pft"]) if self.of_column else None
            if known is not None:
                about = (known.lower, known.upper, known.kind, known.source)
                inside = [known.lower <= r[c] <= known.upper for c in ("value", "default")]
                keys = [r[c] for c in ("site", "pft", "parameter", "value", "default")]
                rows.append((*keys, *about, *inside))
        columns = ["site", "pft", "parameter", "value", "default", "lower", "upper", "kind"]
        return pd.DataFrame(rows, columns=[*columns, "source", "inside", "inside_default"])

    @cached_property
    def moves(self) -> pd.DataFrame:
        """parameter, towers, median, size (median absolute), up and down (towers), in parts of the
        range; moves of less than `LEAST_MOVE` are none."""
        moved = self.learnt - self.default
        return pd.DataFrame(
            {
                "towers": moved.notna().sum(),
                "median": moved.median(),
                "size": moved.abs().median(),
                "up": (moved > LEAST_MOVE).sum(),
                "down": (moved < -LEAST_MOVE).sum(),
            }
        ).reset_index(names="parameter")


def agreement_table(s: Study) -> Table:
    """Variance between PFTs over variance within, of learnt values and of what was learnt."""
    rows = []
    for r in s.agreement.sort_values("share", ascending=False, na_position="last").to_dict(
        "records"
    ):
        cells = [text(r["parameter"], "key"), whole(r["towers"]), whole(r["classes"])]
        for end in ("", "_moved"):
            cells += [num(r[f"{c}{end}"], 2) for c in ("ratio", "share", "p", "p_adjusted")]
        rows.append(Row(tuple(cells)))
    heads = ["Parameter", "Towers", "PFTs"]
    for what in ("learnt", "learnt − default"):
        heads += [f"F, {what}", "share between", "p", "p adjusted"]
    caption = "Agreement within a PFT: variance between PFTs over variance within (in the bounds)"
    return Table("agreement", caption, tuple(heads), tuple(rows), csv_uri(s.agreement))


def correlation_table(s: Study) -> Table | None:
    """The strongest rank correlations with attributes; all of them in the CSV."""
    table = s.correlations.dropna(subset="rho")
    if table.empty:
        return None
    order = table["rho"].abs().sort_values(ascending=False, kind="stable").index
    rows = [
        Row(
            (
                text(r["parameter"], "key"),
                text(r["attribute"]),
                whole(r["n"]),
                *(num(r[c], 2) for c in ("rho", "p", "p_adjusted")),
            )
        )
        for r in table.loc[order[:SHOWN_CORRELATIONS]].to_dict("records")
    ]
    heads = ("Parameter", "Attribute", "Towers", "ρ", "p", "p adjusted")
    caption = f"Rank correlation of learnt values with attributes: the strongest of {len(table)}"
    return Table("correlations", caption, heads, tuple(rows), csv_uri(table))


def direction_table(s: Study) -> Table | None:
    """Expected directions and what was found."""
    if s.directions.empty:
        return None
    rows = [
        Row(
            (
                text(r["parameter"], "key"),
                text(r["attribute"]),
                text("rises" if r["sign"] > 0 else "falls"),
                whole(r["n"]),
                *(num(r[f"rho_{w}"], 2) for w in ("default", "learnt", "moved")),
                num(r["p"], 2),
                num(r["p_adjusted"], 2),
                text(r["verdict"], "prose"),
                text(f"{r['why']}: {r['source']}", "prose"),
            )
        )
        for r in s.directions.to_dict("records")
    ]
    heads = ("Parameter", "with", "Expected", "Towers", "ρ default", "ρ learnt", "ρ of the move")
    more = ("p (move)", "p adjusted", "Found", "Why expected")
    caption = "Physically expected directions over towers, and what learning did"
    return Table("directions", caption, heads + more, tuple(rows), csv_uri(s.directions))


def plausibility_table(s: Study) -> Table | None:
    """Values inside published ranges, by parameter and PFT."""
    table = s.plausibility
    if table.empty:
        return None
    rows = []
    by = ["parameter", "pft", "lower", "upper", "kind", "source"]
    for key, group in table.groupby(by, sort=False):
        parameter, pft, lower, upper, kind, source = np.asarray(key, dtype=object)
        values = f"{group['value'].min():.3g} to {group['value'].max():.3g}"
        cells = [text(parameter, "key"), text(pft), num(lower), num(upper)]
        cells += [text("measured" if kind == "measured" else "other models"), text(values)]
        cells += [whole(group["inside"].sum()), whole(group["inside_default"].sum())]
        rows.append(Row((*cells, whole(len(group)), text(source, "prose"))))
    heads = ("Parameter", "PFT", "Published from", "to", "Kind", "Learnt", "Learnt inside")
    caption = "Learnt and default values against published ones, where any are known"
    more = ("Default inside", "of towers", "Source")
    return Table("plausibility", caption, heads + more, tuple(rows), csv_uri(table))


def tables(s: Study) -> list[Table]:
    """All tables of the study that have something to say."""
    made = (agreement_table(s), correlation_table(s), direction_table(s), plausibility_table(s))
    return [table for table in made if table]


def strongest(s: Study, limit: float = 0.05) -> list[str]:
    """Pairs of parameter and attribute whose adjusted p is below a limit, strongest first."""
    table = s.correlations[s.correlations["p_adjusted"] < limit]
    order = np.argsort(-table["rho"].abs().to_numpy(), kind="stable")
    return [
        f"{r['parameter']} with {r['attribute']} (ρ = {r['rho']:.2f})".replace("-", "−")
        for r in table.iloc[order].to_dict("records")
    ]
