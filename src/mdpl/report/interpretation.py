"""What the parameters may mean, in sentences made from the numbers, and no stronger than they."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy.stats import binomtest

from mdpl.evaluation.parameter_study import LEAST_TOWERS, LEAST_WITHIN, holm
from mdpl.report.parameter_study import Study, strongest

SURE = 0.05
NAMED = 5
"""Names listed before the rest is counted."""


def interpretation(s: Study) -> list[str]:
    """Paragraphs: what the values are, how they moved, agree, follow attributes, and compare."""
    made = (_effective(s), _moves(s), _agreement(s), _attributes(s), _directions(s), _ranges(s))
    return [*(paragraph for paragraph in made if paragraph), _limits(s)]


def _effective(s: Study) -> str:
    table = s.contents.extra["identifiability"]
    start = (
        "The values are effective parameters of this land model at these towers: they make up for "
        "what the model, the forcing and the observations get wrong, and are no measurements of "
        "leaves or soils."
    )
    if table.empty:
        return (
            f"{start} Which of them the data constrain has not been asked "
            "(mdpl experiment identifiability), so each may be one of many that fit as well."
        )
    held = table["verdict"].str.startswith("constrained")
    share = held.groupby(table["parameter"]).mean().sort_values(ascending=False, kind="stable")
    most = [str(name) for name, value in share.items() if value > 0.5]
    named = f"; at most towers these are {_list(most)}" if most else "; none is at most towers"
    return (
        f"{start} The data constrain {int(held.sum())} of {len(table)} values (a parameter at a "
        f"tower){named}. The others could differ and fit as well, and nothing should be read into "
        "them alone."
    )


def _moves(s: Study) -> str:
    table = s.moves.sort_values("size", ascending=False, kind="stable")
    largest = [f"{r['parameter']} ({r['size']:.2f})" for r in table.head(3).to_dict("records")]
    signs = [(int(r["up"]), int(r["up"] + r["down"])) for r in _rows(table)]
    p = np.array([binomtest(up, n).pvalue if n else 1.0 for up, n in signs])
    sure = table.assign(p=holm(p))
    sure = sure[sure["p"] < SURE]
    words = f"Learning moved most: {_list(largest)}, median distance in parts of the bounds."
    if len(s.learnt) < LEAST_TOWERS:
        return f"{words} {len(s.learnt)} towers are too few to ask for a common direction."
    if sure.empty:
        return (
            f"{words} No parameter moved the same way at so many towers that chance is an unlikely "
            f"reason (sign test over {len(s.learnt)} towers, {len(table)} questions)."
        )
    ways = [
        f"{r['parameter']} ({'up' if r['up'] > r['down'] else 'down'} at "
        f"{max(r['up'], r['down'])} of {r['towers']})"
        for r in _rows(sure)
    ]
    return (
        f"{words} The same way at more towers than chance would have it (sign test, adjusted "
        f"p < {SURE:g}): {_list(ways)}. A common move may mend a fault of the model as well as of "
        "its default table."
    )


def _agreement(s: Study) -> str:
    table = s.agreement
    n, k = len(s.learnt), s.pft.reindex(s.learnt.index).nunique()
    if table["ratio"].isna().all():
        return (
            f"Whether towers of a PFT agree cannot be asked: {n} towers in {k} PFTs leave fewer "
            f"than {LEAST_WITHIN} degrees of freedom within them."
        )
    alike = table[table["p_adjusted"] < SURE]["parameter"].tolist()
    moved = table[table["p_adjusted_moved"] < SURE]["parameter"].tolist()
    middle = table["share"].median()
    chance = (k - 1) / (n - 1)
    return (
        f"Between PFTs lies a median of {100 * middle:.0f} % of the variance of learnt values, "
        f"where {100 * chance:.0f} % is expected of labels drawn by lot ({n} towers, {k} PFTs). "
        f"Towers of a PFT are more alike than chance (permutation test, adjusted p < {SURE:g}) in "
        f"{_list(alike) if alike else 'no parameter'}; what learning changed is so in "
        f"{_list(moved) if moved else 'none'}. Defaults are by class and the generator is told the "
        "land cover, so agreement of values is partly built in; that of the changes less so."
    )


def _attributes(s: Study) -> str:
    if len(s.learnt) < LEAST_TOWERS or s.attributes.shape[1] == 0:
        return (
            f"{len(s.learnt)} towers are too few to relate parameters to attributes (at least "
            f"{LEAST_TOWERS})."
        )
    pairs = strongest(s, SURE)
    asked = len(s.correlations)
    if not pairs:
        return (
            f"None of the {asked} rank correlations between parameters and attributes stands out "
            "once it is taken into account how many were looked at (permutation test, Holm)."
        )
    return (
        f"Of {asked} rank correlations between parameters and attributes, {len(pairs)} stand out "
        f"(permutation test, adjusted p < {SURE:g}): {_list(pairs)}. The generator computes "
        "parameters from these attributes, so this tells what it made of them, not that nature "
        "does the same."
    )


def _directions(s: Study) -> str:
    table = s.directions
    asked = table[table["p"].notna()] if len(table) else table
    if not len(asked):
        return ""
    found = dict(list(asked.groupby("verdict", sort=False)))

    def pairs(words: str) -> list[str]:
        return [f"{r['parameter']} with {r['attribute']}" for r in _rows(found.get(words))]

    sure = pairs("moved as expected")
    maybe = pairs("sign as expected, may be chance")
    against = pairs("moved against expectation")
    still = pairs("hardly moved with it")
    parts = [
        f"Of {len(asked)} physically expected directions, learning moved parameters as expected "
        f"beyond chance in {_list(sure) if sure else 'none'}"
    ]
    if maybe:
        parts.append(f"with the expected sign, but no more than chance allows, in {_list(maybe)}")
    if against:
        parts.append(f"the other way in {_list(against)}")
    if still:
        parts.append(f"with hardly any relation in {_list(still)}")
    return "; ".join(parts) + "."


def _ranges(s: Study) -> str:
    table = s.plausibility
    if table.empty:
        return "No published range is known for any of these parameters."
    share = table.groupby("parameter", sort=False)[["inside", "inside_default"]].agg(
        ["sum", "size"]
    )
    inside, before = int(table["inside"].sum()), int(table["inside_default"].sum())
    out = [
        f"{name} ({int(r['inside', 'size'] - r['inside', 'sum'])} of {int(r['inside', 'size'])})"
        for name, r in share.iterrows()
        if r["inside", "sum"] < r["inside", "size"]
    ]
    unknown = sorted(set(s.learnt.columns) - set(table["parameter"]))
    words = (
        f"{inside} of {len(table)} learnt values lie within published ranges, as {before} of the "
        f"defaults do; outside: {_list(out) if out else 'none'}."
    )
    if unknown:
        words += f" For {_list(unknown)} nothing comparable is published."
    return words


def _limits(s: Study) -> str:
    n, single = len(s.learnt), s.pft.reindex(s.learnt.index).value_counts()
    alone = sorted(str(pft) for pft, count in single.items() if count == 1)
    words = (
        f"All of this rests on {n} towers in {single.size} PFTs. With so few, a test that finds "
        "nothing is no proof that there is nothing."
        if n < 30
        else f"All of this rests on {n} towers in {single.size} PFTs."
    )
    return f"{words} {_list(alone)}: one tower only, nothing to agree with." if alone else words


def _rows(table: pd.DataFrame | None) -> list[dict]:
    return [] if table is None else table.to_dict("records")


def _list(names: Sequence[str]) -> str:
    """``a, b and c``; a long one is cut and counted."""
    shown = list(names[:NAMED])
    if len(names) > NAMED:
        return ", ".join(shown) + f" and {len(names) - NAMED} more"
    return " and ".join([", ".join(shown[:-1]), shown[-1]] if len(shown) > 1 else shown)
