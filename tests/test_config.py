"""Configurations: what is written is read back, and relative places belong to the file."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mdpl.config import Config, EnsembleConfig, ModelConfig, SitesConfig, dump, load, template
from mdpl.errors import ConfigError


def test_the_template_is_the_default(tmp_path):
    path = tmp_path / "c.yaml"
    path.write_text(template())
    assert load(path) == Config()
    commented = [line for line in template().splitlines() if line.strip().startswith("#")]
    assert len(commented) > 40


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
        model=ModelConfig(ranges={"vmax": (20.0, 20.0 + width)}),
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
