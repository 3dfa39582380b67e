"""Descriptions of programs that nobody meant: a model, or an answer in words."""

import contextlib
import shutil
from pathlib import Path

import pytest
from hypothesis import given

import toy_bucket
from mdpl.errors import MdplError
from mdpl.lsm.executable.adapter import read_adapter
from mdpl.lsm.executable.model import open_adapter
from mutations import RAW, examples, mutated

BUCKET = Path(__file__).parents[3] / "examples/bucket"
TEXT = (BUCKET / "adapter.yaml").read_text(encoding="utf-8")
OWN = read_adapter(BUCKET / "adapter.yaml")
SITE = toy_bucket.site(days=2)


@pytest.fixture(scope="module")
def desk(tmp_path_factory):
    place = tmp_path_factory.mktemp("desk")
    shutil.copytree(BUCKET, place / "bucket")
    return place


def listing(folder):
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*"))


def read(desk, text, run):
    """Open the description, and run it if its command is still ours; nothing is written beside."""
    path = desk / "bucket/adapter.yaml"
    with contextlib.suppress(UnicodeEncodeError):
        path.write_text(text, encoding="utf-8")
    before = listing(desk / "bucket")
    with contextlib.suppress(MdplError):
        model = open_adapter(path, desk / "work")
        if run and (model.adapter.command, model.adapter.template) == (OWN.command, OWN.template):
            with contextlib.suppress(MdplError):
                model.simulate(SITE)
    assert listing(desk / "bucket") == before
    shutil.rmtree(desk / "work", ignore_errors=True)
    assert sorted(p.name for p in desk.iterdir()) == ["bucket"]


@examples(150)
@given(text=mutated(TEXT))
def test_any_description_is_opened_or_refused_in_words(desk, text):
    read(desk, text, run=False)


@examples(40)
@given(text=mutated(TEXT))
def test_any_description_runs_or_is_refused_in_words(desk, text):
    read(desk, text, run=True)


@pytest.mark.full
@examples(10_000)
@given(text=mutated(TEXT))
def test_ten_thousand_descriptions(desk, text):
    read(desk, text, run=False)


@pytest.mark.parametrize("text", RAW)
def test_every_nasty_text_is_refused(desk, text):
    read(desk, text, run=False)
