"""Files from strangers are data: nothing in them is executed, and no path leaves the run folder."""

import ast
import json
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

import mdpl
from mdpl.config import load
from mdpl.errors import ConfigError, RunError, SiteError
from mdpl.sites.site import Site
from mdpl.surrogate.store import load_surrogate

SOURCES = sorted(Path(mdpl.__file__).parent.rglob("*.py"))
FORBIDDEN_MODULES = {"pickle", "cPickle", "dill", "cloudpickle", "marshal", "shelve", "joblib"}
FORBIDDEN_CALLS = {"eval", "exec", "compile", "__import__", "os.system", "os.popen", "yaml.load",
                   "yaml.unsafe_load", "yaml.full_load", "pd.read_pickle", "subprocess.getoutput",
                   "subprocess.getstatusoutput", "os.execl", "os.spawnl"}  # fmt: skip


def calls(tree):
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func), {k.arg: k.value for k in node.keywords}


def offences(source):
    """What a source does that would let data be executed."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
        names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        yield from (n for n in names if n.partition(".")[0] in FORBIDDEN_MODULES)
    for name, given in calls(tree):
        if name in FORBIDDEN_CALLS:
            yield name
        for switch in ("shell", "allow_pickle"):
            value = given.get(switch)
            if value is not None and not (isinstance(value, ast.Constant) and value.value is False):
                yield f"{name}({switch}=...)"


def test_no_source_executes_data():
    found = {path: list(offences(path.read_text(encoding="utf-8"))) for path in SOURCES}
    assert len(found) > 100
    assert {path: bad for path, bad in found.items() if bad} == {}


@pytest.mark.parametrize(
    "source",
    ["import pickle", "from pickle import loads", "eval('1')", "os.system('ls')",
     "subprocess.run('ls', shell=True)", "np.load(f, allow_pickle=True)", "yaml.load(t, Loader)"],
)  # fmt: skip
def test_the_search_finds_what_it_looks_for(source):
    assert list(offences(source))


@pytest.mark.parametrize(
    "text",
    [
        "!!python/object/apply:os.system ['touch {mark}']",
        "title: !!python/name:os.system",
        "sites: !!python/object/new:os.system ['touch {mark}']",
        "a: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b]",
    ],
)
def test_yaml_that_is_more_than_data_is_refused(tmp_path, text):
    mark = tmp_path / "mark"
    (tmp_path / "c.yaml").write_text(text.replace("{mark}", str(mark)))
    with pytest.raises(ConfigError, match=r"c\.yaml: not valid YAML"):
        load(tmp_path / "c.yaml")
    assert not mark.exists()


class Bomb:
    def __reduce__(self):
        return (Path.touch, (Path("bomb"),))


def test_weights_with_a_pickle_are_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    header = {"config": {"kind": "day_block"}, "tasks": ["Qle"], "parameters": ["a"],
              "dynamic": ["b"], "summary": ["c"]}  # fmt: skip
    with open("s.eqx", "wb") as file:
        file.write(json.dumps(header).encode() + b"\n")
        np.save(file, np.array([Bomb()], dtype=object), allow_pickle=True)
    with pytest.raises(RunError, match=r"s\.eqx"):
        load_surrogate(Path("s.eqx"))
    assert not Path("bomb").exists()


@pytest.mark.parametrize("code", ["../x", "a/b", "..", ".hidden", "", "a\0b", "a\\b", "a\nb"])
def test_a_tower_cannot_be_called_a_path(code):
    time = np.arange(4).astype("datetime64[h]").astype("datetime64[ns]")
    empty = xr.Dataset(coords={"time": time})
    with pytest.raises(SiteError, match="no name for a tower"):
        Site(code, empty, empty, {}, {})
