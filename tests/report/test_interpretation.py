"""What is said of parameters follows from the numbers, and is no stronger than they."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from mdpl.lsm.matsiro.expectations import DIRECTIONS, PUBLISHED, published
from mdpl.lsm.matsiro.parameters import PARAMETERS
from mdpl.report.contents import PARAMETER_COLUMNS, Tower
from mdpl.report.interpretation import interpretation
from mdpl.report.parameter_study import Study, tables

CLASSES = ("ENF", "DBF", "CRO", "GRA")


def study(towers, seed=0, moved_with=None, verdicts=()):
    """Towers with aridity 0.3, 0.6, ...; vmax moves with it if asked, the others at random."""
    rng = np.random.default_rng(seed)
    codes = [f"T{i:02d}" for i in range(towers)]
    pft = {c: CLASSES[i % len(CLASSES)] for i, c in enumerate(codes)}
    arid = {c: 0.3 * (i + 1) for i, c in enumerate(codes)}
    rows = []
    for code in codes:
        for name in ("vmax", "bb_slope", "leaf_drag"):
            p = PARAMETERS[name]
            unit = rng.uniform(0.2, 0.8)
            if name == "vmax" and moved_with is not None:
                unit = 0.5 + moved_with * arid[code] / (0.9 * towers)
            value, default = (
                p.lower * (p.upper / p.lower) ** u
                if p.scale == "log"
                else p.lower + u * (p.upper - p.lower)
                for u in (unit, 0.5)
            )
            rows.append((code, "mdpl", name, value, default, p.lower, p.upper, p.unit, p.scale))
    numbers = {"Tair_mean": 285.0}
    contents = SimpleNamespace(
        land_model="matsiro",
        parameters=pd.DataFrame(rows, columns=[*PARAMETER_COLUMNS, "scale"]),
        learnt="mdpl",
        towers={
            c: Tower(c, {"igbp": pft[c], "aridity": arid[c], **numbers}, "", "", 1.0, {})
            for c in codes
        },
        scores=pd.DataFrame({"site": codes, "pft": [pft[c] for c in codes]}),
        extra={"identifiability": pd.DataFrame(verdicts, columns=["parameter", "verdict"])},
        pfts=sorted(set(pft.values())),
    )
    return Study(contents)


def test_what_did_not_move_moved_no_way():
    """Nor did it move down: a sign test of nothing but ties tells nothing."""
    still = study(13)
    table = still.contents.parameters
    dead = table["parameter"] == "leaf_drag"
    table.loc[dead, "value"] = table.loc[dead, "default"] * (1 - 1e-9)
    moves = still.moves.set_index("parameter")
    assert moves.loc["leaf_drag", "up"] == moves.loc["leaf_drag", "down"] == 0
    assert "leaf_drag (down" not in " ".join(interpretation(still))
    table.loc[dead, "value"] = table.loc[dead, "default"] * 0.6
    assert "leaf_drag (down at 13 of 13)" in " ".join(interpretation(Study(still.contents)))


@pytest.mark.parametrize("towers", [3, 5, 12, 40])
def test_no_claim_without_a_test(towers):
    text = " ".join(interpretation(study(towers)))
    assert "effective parameters" in text
    assert "significant" not in text
    assert f"rests on {towers} towers" in text
    for number in ("nan", "inf", "{", "}"):
        assert number not in text.replace("finds", "")


def test_few_towers_are_said_to_be_too_few():
    text = " ".join(interpretation(study(3)))
    assert "too few to relate parameters to attributes" in text
    assert "cannot be asked: 3 towers in 3 PFTs" in text
    assert "beyond chance" not in text


def test_a_planted_direction_is_reported_as_such_and_its_reverse_is_not():
    with_it = " ".join(interpretation(study(16, moved_with=0.4)))
    assert "as expected beyond chance in vmax with aridity" in with_it
    against = " ".join(interpretation(study(16, moved_with=-0.4)))
    assert "as expected beyond chance in none" in against
    assert "the other way in vmax with aridity" in against


def test_counts_of_constrained_values_are_those_of_the_table():
    verdicts = [("vmax", "constrained")] * 3 + [("bb_slope", "not constrained")] * 5
    verdicts += [("vmax", "constrained with leaf_drag"), ("bb_slope", "at a bound")]
    text = interpretation(study(10, verdicts=verdicts))[0]
    assert "constrain 4 of 10 values" in text
    assert "these are vmax." in text


def test_tables_say_what_was_asked_and_stand_alone():
    made = {table.name: table for table in tables(study(12))}
    assert set(made) == {"agreement", "correlations", "directions", "plausibility"}
    assert all(table.csv.startswith("data:text/csv") for table in made.values())
    inside = {row.cells[0].text for row in made["plausibility"].rows}
    assert inside == {"vmax", "bb_slope"}


def test_expectations_are_about_parameters_that_exist():
    for known in PUBLISHED:
        parameter = PARAMETERS[known.parameter]
        assert known.lower < known.upper
        assert known.lower < parameter.upper
        assert known.upper > parameter.lower
        assert known.source
    for direction in DIRECTIONS:
        assert direction.parameter in PARAMETERS.names
        assert "doi:" in direction.source
    assert published("vmax", "WSA") is None
    assert published("bb_slope", "WSA") is not None
    assert replace(published("vmax", "CRO"), igbp=()).upper == pytest.approx(173.9)
