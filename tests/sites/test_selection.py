from pathlib import Path

import pytest

from mdpl.check import examine
from mdpl.config import Config, SitesConfig, load
from mdpl.errors import ConfigError
from mdpl.job import open_job
from mdpl.sites.catalogue import EMBEDDED, find_towers, open_sites
from mdpl.sites.checks.examine import examine_tower
from mdpl.sites.qc import measured_share
from mdpl.sites.selection import Rule, select

SHARED = Path(__file__).parents[3] / "shared/sites"


def taken(rule: Rule, folder: Path | None = None) -> set[str]:
    return {choice.code for choice in select(find_towers(folder), rule) if choice.taken}


@pytest.mark.parametrize("least", [0.2, 0.4, 0.6, 0.8])
def test_a_measured_share_takes_the_towers_that_reach_it(least):
    expected = {s.code for s in open_sites() if measured_share(s, "Qle") >= least}
    assert taken(Rule(measured={"Qle": least})) == expected


def test_every_clause_is_answered_with_what_was_found():
    towers = find_towers(None)
    seen = {tower.code: examine_tower(tower) for tower in towers}
    rule = Rule(years=0.5, verdict=("good",), pft=("CRO",), closure=(0.5, 1.0))
    for choice in select(towers, rule):
        found = seen[choice.code]
        ratio = found.summary.get("closure_ratio")
        failed = {
            "verdict": found.verdict != "good",
            "class": found.summary["igbp"] != "CRO",
            "energy-balance": ratio is None or not 0.5 <= float(ratio) <= 1.0,
        }
        assert choice.taken is not any(failed.values())
        for word, bad in failed.items():
            if not choice.taken:
                assert (word in choice.why) is bad, (choice.why, word)
    assert taken(Rule()) == {tower.code for tower in towers}
    assert taken(Rule(years=50)) == set()


def test_a_job_has_the_towers_of_the_rule_and_says_why():
    own = {s.code: s.pft for s in open_sites()}
    kept = next(iter(own.values()))
    config = Config(sites=SitesConfig(select=Rule(pft=(kept,))))
    job = open_job(config)
    assert {s.code for s in job.sites} == {code for code, pft in own.items() if pft == kept}
    assert {c.code for c in job.selection} == set(own)
    notes = examine(config).notes
    for code, pft in own.items():
        word = "taken" if pft == kept else "left out"
        assert f"{code}: {word} by sites.select: class {pft} (of {kept})" in notes
    none = config.model_copy(update={"sites": SitesConfig(select=Rule(years=80))})
    with pytest.raises(ConfigError, match=r"the rule takes none of \d+ towers:\n.*at least 80"):
        open_job(none)


def test_files_nobody_can_read_are_left_with_the_reason(tmp_path):
    for path in EMBEDDED.glob("*.nc"):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    broken = sorted(tmp_path.glob("*_Met.nc"))[0]
    broken.write_bytes(broken.read_bytes()[:2000])
    code = broken.name.split("_")[0]
    choices = {c.code: c for c in select(find_towers(tmp_path), Rule(years=0.01))}
    assert not choices[code].taken and "cannot be read" in choices[code].why
    assert sum(c.taken for c in choices.values()) == len(choices) - 1


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        ("{year: 1}", "sites.select.year: unknown key; did you mean 'years'"),
        ("{measured: {LE: 0.3}}", "sites.select.measured: expected fluxes out of Qle"),
        ("{closure: [1.2, 0.6]}", r"sites.select.closure: expected \[lower, upper\]"),
        ("{verdict: [fine]}", "sites.select.verdict"),
    ],
)
def test_a_rule_nobody_can_follow_is_refused_by_its_key(tmp_path, rule, message):
    path = tmp_path / "c.yaml"
    path.write_text(f"sites:\n  select: {rule}\n")
    with pytest.raises(ConfigError, match=message):
        load(path)


@pytest.mark.real
@pytest.mark.skipif(not SHARED.is_dir(), reason="needs ../shared")
def test_real_towers_by_measured_share_and_closure():
    rule = Rule(measured={"Qle": 0.5}, closure=(0.6, 1.2))
    choices = {c.code: c for c in select(find_towers(SHARED), rule)}
    assert len(choices) == 13
    assert "of Qle measured (at least 50%)" in choices["US-Wi7"].why
    assert not choices["US-Wi7"].taken and choices["US-SRM"].taken
