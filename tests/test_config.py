"""Configurations: what is written is read back, and relative places belong to the file."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mdpl.config import Config, EnsembleConfig, SitesConfig, dump, load, template
from mdpl.config_model import MatsiroConfig, settings_named
from mdpl.errors import ConfigError


def test_the_template_is_the_default(tmp_path):
    path = tmp_path / "c.yaml"
    path.write_text(template())
    assert load(path) == Config()
    commented = [line for line in template().splitlines() if line.strip().startswith("#")]
    assert len(commented) > 40


@settings(deadline=None)
@given(
    members=st.integers(4, 10_000),
    codes=st.lists(st.from_regex(r"[A-Z]{2}-[A-Za-z0-9]{3}", fullmatch=True), max_size=4),
    width=st.floats(0.1, 5),
    title=st.text(st.characters(codec="utf-8", exclude_categories=("C",)), max_size=30),
)
def test_dumped_configurations_come_back(tmp_path_factory, members, codes, width, title):
    config = Config(
        title=title,
        sites=SitesConfig(folder=Path("/data/towers"), codes=tuple(codes) or None),
        model=MatsiroConfig(ranges={"vmax": (20.0, 20.0 + width)}),
        ensemble=EnsembleConfig(members=members),
    )
    path = tmp_path_factory.mktemp("c") / "c.yaml"
    path.write_text(dump(config), encoding="utf-8")
    assert load(path) == config


def test_a_relative_folder_is_taken_from_the_file(tmp_path, monkeypatch):
    (tmp_path / "deep").mkdir()
    path = tmp_path / "deep" / "c.yaml"
    path.write_text("sites: {folder: ../towers}")
    monkeypatch.chdir("/")
    assert load(path).sites.folder == tmp_path / "towers"


def test_yaml_tags_do_not_run_code(tmp_path):
    path = tmp_path / "c.yaml"
    path.write_text("title: !!python/object/apply:os.getcwd []")
    with pytest.raises(ConfigError, match="not valid YAML"):
        load(path)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("surrogate: {widht: 3}", r"surrogate.widht: unknown key; did you mean 'width'"),
        ("surrogate: {kind: day-block, hiden: 3}", r"surrogate.hiden: .*'hidden'"),
        ("model: {supply: {US-Tw3: {water_tabel: 1}}}", r"supply.US-Tw3.water_tabel: .*'water_tab"),
        ("generator: {kind: nice}", r"generator.kind: Input should be 'attributes'"),
        ("surrogate: {kind: nice}", r"surrogate: Input tag 'nice'"),
        (
            "generator: {task_weights: {GP: 1}}",
            r"  generator.task_weights: GP is no task .* Qle, Qh$",
        ),
        ("surrogate: {task_weights: {GPP: 1}}", r"  surrogate.task_weights: GPP is no task"),
    ],
)
def test_a_wrong_key_is_named_with_what_was_meant(tmp_path, text, words):
    path = tmp_path / "c.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=words):
        load(path)


def test_a_kind_brings_its_own_defaults(tmp_path):
    path = tmp_path / "c.yaml"
    path.write_text("surrogate: {kind: day-block, hidden: 7}")
    found = load(path).surrogate
    assert (found.kind, found.block_hours, found.window_days, found.hidden) == (
        "day-block", 24, 1098, 7,
    )  # fmt: skip
    assert Config().surrogate.block_hours < 24


@pytest.mark.parametrize("text", ["suews", "model.py", "model.yaml", "."])
def test_a_template_of_another_land_model_is_read_back(tmp_path, text, monkeypatch):
    monkeypatch.chdir(tmp_path)
    settings = settings_named(text)
    path = tmp_path / "c.yaml"
    path.write_text(template(model=settings))
    assert load(path) == Config(model=settings)


def test_a_land_model_nobody_knows_is_named():
    with pytest.raises(ConfigError, match="no land model 'clm5'; expected matsiro"):
        settings_named("clm5")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "sites: {codes: [FR-Hes]}\nsites: {flux: corrected}\n",
            "'sites' stands twice, in lines 1 and",
        ),
        ("ensemble:\n  members: 16\n  members: 32\n", "'members' stands twice, in lines 2 and 3"),
        ("tasks: [Qle, Qle]\n", "expected every task once"),
        ("surrogate: {block_hours: 5}\n", "expected hours that divide a day"),
        ("surrogate: {patience: 3}\n", "patience"),
        ("model: {parameters: []}\n", "parameters"),
        ("model: {mixtures: {FR-Hes: {igbp: MAIZE, share: 0.3}}}\n", "mixtures.FR-Hes.igbp"),
        ("model: {supply: {FR-Hes: {irrigation_target: 0.9}}}\n", "irrigation needs both numbers"),
        (
            "model: {supply: {FR-Hes: {irrigation_target: 0.5, irrigation_below: 0.9}}}\n",
            "irrigation needs both numbers",
        ),
    ],
)
def test_settings_that_contradict_themselves_are_refused(tmp_path, text, said):
    path = tmp_path / "run.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=said):
        load(path)
