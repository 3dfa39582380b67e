"""The page stands alone, says what the tables say, and escapes what it is given."""

import base64
import io
import json
import shutil
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

import pandas as pd
import pytest

from mdpl.errors import DamageError, RunError
from mdpl.files import write_sealed
from mdpl.report import drawing, processes
from mdpl.report.page import build


class Reader(HTMLParser):
    """Collects what a test asks about: links, ids, table cells."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links, self.ids, self.rows, self.tags, self.text = [], [], {}, [], []
        self.table, self.open = None, []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        self.tags.append(tag)
        self.links += [attrs[k] for k in ("src", "href", "srcset", "data") if k in attrs]
        self.ids += [attrs["id"]] if "id" in attrs else []
        if attrs.get("id", "").startswith("table-"):
            self.table = attrs["id"].removeprefix("table-")
            self.rows[self.table] = []
        if tag == "tr" and self.table:
            data = {k.removeprefix("data-"): v for k, v in attrs.items() if k.startswith("data-")}
            self.rows[self.table].append((data, []))
        if tag == "td":
            self.rows[self.table][-1][1].append(attrs["data-sort"])

    def handle_data(self, data):
        self.text.append(data)

    def table_rows(self, name):
        return [(data, cells) for data, cells in self.rows[name] if cells]


@pytest.fixture(scope="module")
def page(run_folder):
    return Reader(build(run_folder).read_text(encoding="utf-8"))


def test_nothing_is_loaded_from_elsewhere(page, run_folder):
    text = (run_folder / "report.html").read_text(encoding="utf-8")
    assert page.links
    for link in page.links:
        assert link.startswith(("data:", "#")), link[:80]
    assert "url(" not in text
    assert "@import" not in text
    assert page.tags.count("link") == 1
    assert len(page.ids) == len(set(page.ids))


def test_all_sections_and_figures_are_there(page):
    sections = ["towers", "scores", "taylor", "worse", "parameters", "surrogate", "recovery"]
    for section in [*sections, "partition", "residuals", "series", "ran", "definitions"]:
        assert section in page.ids, section
    for experiment in ("beside", "single-task", "transfer", "untargeted"):
        assert experiment not in page.ids, experiment
    for flux in ("Qle", "Qh"):
        kinds = ("gain", "gain_r", "skill", "taylor", "taylor_pft", "target", "residuals")
        assert {f"figure-{kind}_{flux}" for kind in kinds} <= set(page.ids)
    for kind in ("monthly", "diurnal", "scatter"):
        assert f"figure-{kind}_DE-Abc" in page.ids


def test_scores_on_the_page_are_those_of_the_csv(page, run_folder):
    scores = pd.read_csv(run_folder / "scores.csv").set_index(
        ["site", "flux", "resolution", "period", "model", "metric"]
    )["value"]
    gains = pd.read_csv(run_folder / "gains.csv").set_index(
        ["site", "flux", "resolution", "period"]
    )
    rows = page.table_rows("scores")
    assert len(rows) == 3 * 2 * 3 * 3
    for data, cells in rows:
        where = (cells[0], data["flux"], data["resolution"], data["period"])
        assert float(cells[4]) == pytest.approx(scores[(*where, "default", "rmse")])
        assert float(cells[5]) == pytest.approx(scores[(*where, "mdpl", "rmse")])
        assert float(cells[6]) == pytest.approx(gains.loc[where, "dRMSE"])
        assert float(cells[9]) == pytest.approx(gains.loc[where, "dR"])


def test_headline_counts_towers(page, run_folder):
    gains = pd.read_csv(run_folder / "gains.csv").query(
        "flux == 'Qle' and resolution == 'native' and period == 'validation'"
    )
    text = " ".join(" ".join(page.text).split())
    assert f"{100 * gains['dRMSE'].median():+.1f} %" in text
    assert (gains["dRMSE"] > 0).sum() == 2
    assert "2 of 3 towers better, 1 worse" in text


def test_where_it_got_worse_lists_every_loss(page, run_folder):
    gains = pd.read_csv(run_folder / "gains.csv").query("period == 'validation'")
    lost = gains[(gains["dRMSE"] < 0) | (gains["dR"] < 0)]
    listed = {(cells[0], cells[2], cells[3]) for _, cells in page.table_rows("worse")}
    assert len(lost) > 0
    assert {tuple(row) for row in lost[["site", "flux", "resolution"]].values} <= listed
    changes = [float(cells[6]) for _, cells in page.table_rows("worse")]
    assert changes == sorted(changes)


@pytest.mark.parametrize(("tasks", "told"), [("Qle, Qh", False), ("Qle", True)])
def test_a_flux_that_lost_and_was_no_target_is_told_how_to_become_one(worse_run, tasks, told):
    (worse_run / "config.yaml").write_text(f"tasks: [{tasks}]")
    text = " ".join(" ".join(Reader(build(worse_run).read_text(encoding="utf-8")).text).split())
    assert ("Sensible heat Qh was no target" in text) == told
    assert ("it can: tasks: [Qle, Qh]" in text) == told


def test_cost_is_summed(page):
    total = {cells[0]: cells[1:] for _, cells in page.table_rows("stages")}["total"]
    assert [float(v) for v in total] == pytest.approx([481.7, 390, 2])


def test_the_csv_link_holds_the_whole_table(page, run_folder):
    uris = [link for link in page.links if link.startswith("data:text/csv")]
    tables = [base64.b64decode(unquote(uri.split(",", 1)[1])) for uri in uris]
    scores = pd.read_csv(run_folder / "scores.csv")
    assert any(len(pd.read_csv(io.BytesIO(table))) == len(scores) for table in tables)


def test_every_table_can_be_had_as_csv(page):
    tables = [i.removeprefix("table-") for i in page.ids if i.startswith("table-")]
    assert len(tables) > 10
    assert page.tags.count("table") == len(tables)
    assert sum(link.startswith("data:text/csv") for link in page.links) == len(tables)


def test_texts_from_files_are_escaped(run_folder, page):
    text = (run_folder / "report.html").read_text(encoding="utf-8")
    assert "<b>not bold</b>" not in text
    assert "<field>" not in text
    assert "irrigated &lt;field&gt; &amp; hard for any model" in text


def test_figures_are_saved_as_files_too(page, run_folder):
    names = {i.removeprefix("figure-") for i in page.ids if i.startswith("figure-")}
    saved = [path.name for path in (run_folder / "figures").iterdir()]
    assert names == {name.rsplit(".", 1)[0] for name in saved}
    assert {"taylor_Qle.svg", "taylor_Qle.pdf", "monthly_DE-Abc.svg"} <= set(saved)
    assert "scatter_DE-Abc.png" in saved


def copy(run_folder: Path, to: Path) -> Path:
    keep = ("config.yaml", "manifest.json", "sites.json", "parameters.csv", "scores.csv")
    to.mkdir()
    for name in keep:
        shutil.copy(run_folder / name, to / name)
    return to


def test_optional_files_may_be_missing(run_folder, tmp_path):
    page = Reader(build(copy(run_folder, tmp_path / "bare")).read_text(encoding="utf-8"))
    assert not {"surrogate", "recovery", "series"} & set(page.ids)
    assert {"scores", "taylor", "parameters"} <= set(page.ids)


def test_a_flux_nobody_observed_is_not_drawn(run_folder, tmp_path):
    folder = copy(run_folder, tmp_path / "gpp")
    scores = pd.read_csv(folder / "scores.csv")
    empty = scores[scores["flux"] == "Qh"].assign(flux="GPP", value=float("nan"), n=0)
    pd.concat([scores, empty]).to_csv(folder / "scores.csv", index=False)
    page = Reader(build(folder).read_text(encoding="utf-8"))
    assert "figure-taylor_GPP" not in page.ids
    assert "figure-taylor_Qh" in page.ids


def test_what_is_missing_is_named(run_folder, tmp_path):
    folder = copy(run_folder, tmp_path / "broken")
    (folder / "scores.csv").unlink()
    with pytest.raises(RunError, match=r"missing scores\.csv"):
        build(folder)
    shutil.copy(run_folder / "scores.csv", folder)
    (folder / "manifest.json").write_text("{")
    with pytest.raises(RunError, match=r"manifest\.json.*JSON"):
        build(folder)
    (folder / "manifest.json").write_text(json.dumps({}))
    only = pd.read_csv(folder / "scores.csv").query("model == 'default'")
    only.to_csv(folder / "scores.csv", index=False)
    with pytest.raises(RunError, match="learnt model"):
        build(folder)


def test_damaged_scores_are_named_with_the_command_that_makes_them(run_folder, tmp_path):
    folder = tmp_path / "run"
    shutil.copytree(run_folder, folder)
    path = folder / "scores.csv"
    write_sealed(path, path.read_text())
    path.write_text(path.read_text()[:-40])
    with pytest.raises(DamageError, match=r"scores.csv: damaged .* give 'mdpl evaluate' again"):
        build(folder)


def test_the_same_folder_gives_the_same_page(monkeypatch, run_folder, tmp_path):
    folder = copy(run_folder, tmp_path / "twice")
    first = build(folder).read_bytes()
    monkeypatch.setattr(drawing, "MANY", 0)  # in several processes
    monkeypatch.setattr(processes, "_ALLOWED", True)
    assert build(folder).read_bytes() == first


def test_excess_removed_is_that_of_towers_never_trained_on(run_folder, tmp_path):
    folder = copy(run_folder, tmp_path / "run")
    shutil.copy(run_folder / "recovery.csv", folder)
    rows = [
        ("V00", "held_out", "Qle", 40.0, 25.0, 20.0, 0.75),
        ("V01", "held_out", "Qle", 30.0, 25.0, 20.0, 0.5),
        ("V07", "train", "Qle", 50.0, 20.0, 20.0, 1.0),
    ]
    columns = ["site", "role", "flux", "default", "learnt", "floor", "removed"]
    pd.DataFrame(rows, columns=columns).to_csv(folder / "excess.csv", index=False)
    page = Reader(build(folder).read_text(encoding="utf-8"))
    text = " ".join(" ".join(page.text).split())
    assert "removed 67 % of the default run's excess RMSE in Qle (2 towers" in text
    assert [cells[0] for _, cells in page.table_rows("excess")] == ["V00", "V01", "V07"]


def test_a_flux_nothing_was_learnt_from_is_said_to_be(run_folder, tmp_path):
    folder = copy(run_folder, tmp_path / "run")
    (folder / "config.yaml").write_text("tasks: [Qle]\n")
    text = " ".join(" ".join(Reader(build(folder).read_text(encoding="utf-8")).text).split())
    assert "Sensible heat Qh, not learnt from" in text
    assert "Latent heat Qle, not learnt from" not in text


EVIL = "<script>alert(1)</script>"


def test_the_page_escapes_all_it_shows(run_folder, tmp_path):
    """Title, reasons, classes, parameters and models."""
    run_folder = copy(run_folder, tmp_path / "evil")
    for name in ("sites.json", "manifest.json"):
        path = run_folder / name
        content = json.loads(path.read_text())
        if name == "manifest.json":
            content["title"] = EVIL
        else:
            first = next(iter(content))
            content[first]["why"] = EVIL
            content[first].setdefault("attributes", {})["igbp"] = EVIL
        path.write_text(json.dumps(content))
    for name in ("parameters.csv", "scores.csv"):
        path = run_folder / name
        lines = path.read_text().splitlines()
        known = lines[1].split(",")
        word = known[2 if name == "parameters.csv" else 1]
        path.write_text("\n".join([lines[0], *(x.replace(word, EVIL) for x in lines[1:])]))
    text = build(run_folder).read_text(encoding="utf-8")
    assert EVIL not in text
    assert "&lt;script&gt;alert(1)" in text
