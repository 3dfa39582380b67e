"""The documentation: links lead somewhere, messages, keys and commands are those of the code."""

import re
from pathlib import Path

import numpy as np
import pytest
import yaml

from mdpl import cli
from mdpl.config import Config
from mdpl.config_reference import reference
from mdpl.lsm.model import LandModel
from mdpl.sites.catalogue import open_sites

ROOT = Path(__file__).parents[2]
PAGES = sorted([*(ROOT / "docs").rglob("*.md"), *ROOT.glob("*.md"), *ROOT.glob("benchmarks/*.md")])
LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#+\s+(.*)$", re.MULTILINE)


def anchors(text: str) -> set[str]:
    found = set()
    for title in HEADING.findall(text):
        plain = re.sub(r"[^\w\- ]", "", title.lower()).strip()
        found.add(re.sub(r"\s", "-", plain))
    return found


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_links_lead_somewhere(page):
    text = page.read_text(encoding="utf-8")
    for link in LINK.findall(text):
        if link.startswith(("http://", "https://", "mailto:")):
            assert " " not in link
            continue
        path, _, anchor = link.partition("#")
        target = page if not path else page.parent / path
        if target.name == "configuration.md":
            continue  # made at every build
        assert target.exists(), f"{page}: {link}"
        if anchor:
            assert anchor in anchors(target.read_text(encoding="utf-8")), f"{page}: {link}"


def test_every_page_is_in_the_navigation_and_every_entry_is_a_page():
    class Loader(yaml.SafeLoader):
        pass

    config = yaml.load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"), Loader)

    def pages(part):
        if isinstance(part, str):
            yield part
        else:
            for inner in part.values() if isinstance(part, dict) else part:
                yield from pages(inner)

    named = set(pages(config["nav"]))
    there = {str(p.relative_to(ROOT / "docs")) for p in (ROOT / "docs").rglob("*.md")}
    assert named == there | {"configuration.md"}


def test_messages_under_troubleshooting_are_those_of_the_code():
    text = (ROOT / "docs/troubleshooting.md").read_text(encoding="utf-8")
    # Messages are cut where the code breaks its lines.
    code = "".join(p.read_text(encoding="utf-8") for p in (ROOT / "src/mdpl").rglob("*.py"))
    joined = re.sub(r'"\s*\n\s*f?"', "", code)
    titles = re.findall(r"^### `(.*)`$", text, re.MULTILINE)
    assert len(titles) > 15
    for title in titles:
        assert title in joined, title


def test_commands_in_the_docs_exist():
    import typer

    root = typer.main.get_command(cli.app)
    for page in PAGES:
        if page.name == "CHANGELOG.md":
            continue
        text = page.read_text(encoding="utf-8")
        for line in re.findall(r"(?:^|`)mdpl ((?:[a-z\-]+ ?)+)", text, re.MULTILINE):
            words = line.split()
            group = root
            while words and hasattr(group, "commands"):
                if words[0].startswith("-"):
                    break
                assert words[0] in group.commands, f"{page}: mdpl {line}"
                group = group.commands[words.pop(0)]


def test_keys_in_the_docs_exist():
    text = reference()
    sections = "|".join(Config.model_fields)
    for page in (ROOT / "docs").rglob("*.md"):
        for key in re.findall(rf"`((?:{sections})\.[a-z_]+)[`:]", page.read_text(encoding="utf-8")):
            a_file = key.split(".")[-1] in ("py", "csv", "json", "zarr", "html", "eqx")
            assert a_file or f"`{key}`" in text, f"{page}: {key}"


def test_the_model_of_the_docs_is_a_land_model_and_runs():
    text = (ROOT / "docs/your_model.md").read_text(encoding="utf-8")
    found: dict = {}
    for code in re.findall(r"```python\n(.*?)```", text, re.DOTALL):
        exec(code, found)
    site = open_sites()[0]
    run = found["model"].simulate(site, outputs=("Qle", "Qh"))
    assert isinstance(found["model"], LandModel)
    sun = site.forcing["SWdown"].values
    np.testing.assert_allclose(run["Qle"].isel(member=0), 0.5 * sun)


def test_the_citation_file_is_what_tools_read():
    about = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert about["cff-version"] == "1.2.0"
    assert {"message", "title", "authors", "type", "license"} <= set(about)
    assert about["references"][0]["doi"] == "10.5194/egusphere-2025-3301"
