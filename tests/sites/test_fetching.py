"""Fetching from a local server with the catalogue of NCI, which cuts, lies and is busy."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from mdpl.errors import SiteError
from mdpl.sites import fetching
from mdpl.sites.catalogue import open_sites
from mdpl.sites.plumber2_writing import write_pair

PATH = "ks32/CLEX_Data/PLUMBER2/v1-0"


class Server:
    """Serves files by THREDDS's addresses; ``trouble`` says what goes wrong with which request."""

    def __init__(self, files: dict[str, bytes]):
        self.files = files
        self.trouble: dict[str, list[str]] = {}
        self.asked: list[tuple[str, str | None]] = []
        server = self

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *_: object) -> None:
                pass

            def do_GET(self) -> None:
                server.answer(self)

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_address[1]}"
        threading.Thread(target=self.http.serve_forever, args=(0.02,), daemon=True).start()

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        name = request.path.rsplit("/", 1)[-1]
        wanted = request.headers.get("Range")
        self.asked.append((name, wanted))
        if name == "catalog.xml":
            kind = request.path.split("/")[-2]
            return self._send(request, 200, self._catalogue(kind).encode())
        if name.endswith(".nc.ascii?IGBP_veg_short"):
            igbp = {"DK-Fou": "CRO", "US-Tw3": "CRO", "FR-Hes": "DBF"}[name.split("_")[0]]
            text = f"Dataset {{\n    String IGBP_veg_short[y = 1];\n}} {name};\n---\n"
            return self._send(request, 200, f'{text}IGBP_veg_short[1]\n"{igbp}"\n'.encode())
        if name not in self.files or PATH not in request.path:
            return self._send(request, 404, b"no")
        trouble = self.trouble.get(name, [])
        kind = trouble.pop(0) if trouble else ""
        body = self.files[name]
        if kind == "busy":
            return self._send(request, 503, b"", {"Retry-After": "0"})
        if kind == "page":
            return self._send(request, 200, b"<html>please log in</html>")
        status, first = (206, int(wanted[6:-1])) if wanted and kind != "ignores" else (200, 0)
        if first >= len(body):
            return self._send(request, 416, b"", {"Content-Range": f"bytes */{len(body)}"})
        part = body[first:]
        if kind == "cut":
            return self._send(request, status, part[: len(part) // 2], length=len(part))
        return self._send(request, status, part)

    def _send(self, request, status, body, headers=None, length=None) -> None:
        request.send_response(status)
        request.send_header("Content-Length", str(len(body) if length is None else length))
        for key, value in (headers or {}).items():
            request.send_header(key, value)
        request.end_headers()
        request.wfile.write(body)
        request.close_connection = True

    def _catalogue(self, kind: str) -> str:
        names = sorted(n for n in self.files if n.endswith(f"_{kind}.nc"))
        entries = "".join(
            f'<dataset name="{n}" ID="{PATH}/{kind}/{n}" urlPath="{PATH}/{kind}/{n}">'
            f'<dataSize units="Mbytes">1.2</dataSize></dataset>'
            for n in names
        )
        return (
            '<?xml version="1.0" encoding="UTF-8"?>'
            '<catalog xmlns="http://www.unidata.ucar.edu/namespaces/thredds/InvCatalog/v1.0">'
            '<service name="all" serviceType="Compound" base="">'
            '<service name="http" serviceType="HTTPServer" base="/thredds/fileServer/" /></service>'
            f'<dataset name="{kind}" ID="{PATH}/{kind}">{entries}'
            '<dataset name="README.txt" urlPath="ks32/README.txt" /></dataset></catalog>'
        )


@pytest.fixture
def server(tmp_path: Path, make_site) -> Iterator[Server]:
    source = tmp_path / "source"
    source.mkdir()
    for code in ("DK-Fou", "US-Tw3", "FR-Hes"):
        write_pair(make_site(code=code), source, network="FLUXNET2015")
    server = Server({p.name: p.read_bytes() for p in source.iterdir()})
    yield server
    server.http.shutdown()
    server.http.server_close()


def get(server: Server, folder: Path, codes=("DK-Fou",), **options) -> list[Path]:
    files = fetching.select(fetching.read_catalogue(server.url, patience=0.0), codes, **options)
    return fetching.fetch(files, folder, patience=0.0)


def test_what_is_fetched_can_be_opened(server: Server, tmp_path: Path) -> None:
    folder = tmp_path / "here"
    paths = get(server, folder, ("DK-Fou", "US-Tw3"))
    assert [p.read_bytes() for p in paths] == [server.files[p.name] for p in paths]
    assert [s.code for s in open_sites(folder)] == ["DK-Fou", "US-Tw3"]


def test_files_laid_there_by_hand_are_the_users(server: Server, tmp_path: Path) -> None:
    folder = tmp_path / "here"
    folder.mkdir()
    name = next(name for name in server.files if "DK-Fou" in name)
    for given in (b"my notes", server.files[name][: len(server.files[name]) // 2]):
        (folder / name).write_bytes(given)
        with pytest.raises(SiteError, match=f"{name}: expected a whole NetCDF file"):
            get(server, folder)
        assert (folder / name).read_bytes() == given
    (folder / name).write_bytes(server.files[name])
    assert len(get(server, folder)) == 2


def test_damaged_classes_are_asked_for_again(server: Server, tmp_path: Path) -> None:
    catalogue = fetching.read_catalogue(server.url)
    classes = fetching.read_classes(catalogue, tmp_path / "here", server.url)
    (path,) = (tmp_path / "here").glob("*classes*")
    path.write_text(path.read_text()[:20])
    assert fetching.read_classes(catalogue, tmp_path / "here", server.url) == classes


def test_a_second_time_nothing_is_fetched(server: Server, tmp_path: Path) -> None:
    get(server, tmp_path / "here")
    server.asked.clear()
    get(server, tmp_path / "here")
    assert {name for name, _ in server.asked} == {"catalog.xml"}


def test_by_class_and_all(server: Server, tmp_path: Path) -> None:
    catalogue = fetching.read_catalogue(server.url)
    classes = fetching.read_classes(catalogue, tmp_path / "here", server.url)
    crops = fetching.select(catalogue, [], pfts=["CRO"], classes=classes)
    assert {f.code for f in crops} == {"DK-Fou", "US-Tw3"}
    both = fetching.select(catalogue, ["US-Tw3"], pfts=["DBF"], classes=classes)
    assert {f.code for f in both} == {"US-Tw3", "FR-Hes"}
    server.asked.clear()
    assert fetching.read_classes(catalogue, tmp_path / "here", server.url) == classes
    assert not server.asked
    assert len(fetching.select(catalogue, [], everything=True)) == 6


@pytest.mark.parametrize(
    ("codes", "options", "words"),
    [
        ([], {}, "no towers asked for"),
        (["DK-Not"], {}, "PLUMBER2 has no tower 'DK-Not'; it has DK-Fou"),
        ([], {"pfts": ["XYZ"], "classes": {"DK-Fou": "CRO"}}, "of class 'XYZ'; classes: CRO"),
    ],
)
def test_what_is_not_there_is_said(server: Server, codes, options, words) -> None:
    with pytest.raises(SiteError, match=words):
        fetching.select(fetching.read_catalogue(server.url), codes, **options)


@pytest.mark.parametrize(
    "trouble", [["cut"], ["cut", "cut", "cut"], ["busy", "cut", "busy"], ["cut", "ignores"]]
)
def test_cuts_and_busy_servers_are_outlasted(
    server: Server, tmp_path: Path, trouble: list[str]
) -> None:
    name = "DK-Fou_2020-2020_FLUXNET2015_Met.nc"
    server.trouble[name] = list(trouble)
    get(server, tmp_path / "here")
    assert (tmp_path / "here" / name).read_bytes() == server.files[name]
    if "cut" in trouble:
        assert any(wanted for asked, wanted in server.asked if asked == name)
    assert not list((tmp_path / "here").glob(".*.part"))


def test_a_run_that_was_cut_goes_on_in_the_next(server: Server, tmp_path: Path) -> None:
    name = "DK-Fou_2020-2020_FLUXNET2015_Met.nc"
    server.trouble[name] = ["cut"] + ["busy"] * (fetching.ATTEMPTS - 1)
    with pytest.raises(SiteError, match=r"gave up after 6 attempts .*goes on from here"):
        get(server, tmp_path / "here")
    assert not (tmp_path / "here" / name).exists()
    server.asked.clear()
    get(server, tmp_path / "here")
    half = len(server.files[name]) // 2
    begun = [int(wanted[6:-1]) for asked, wanted in server.asked if asked == name and wanted]
    assert begun and half - 2**14 <= begun[0] <= half
    assert (tmp_path / "here" / name).read_bytes() == server.files[name]


def test_a_page_in_place_of_a_file_is_refused(server: Server, tmp_path: Path) -> None:
    name = "DK-Fou_2020-2020_FLUXNET2015_Flux.nc"
    server.trouble[name] = ["page"]
    with pytest.raises(SiteError, match="expected a NetCDF file, found something else"):
        get(server, tmp_path / "here")
    assert not list((tmp_path / "here").glob("*Flux.nc"))


def test_a_file_spoilt_on_disk_is_fetched_again(server: Server, tmp_path: Path) -> None:
    path = get(server, tmp_path / "here")[0]
    path.write_bytes(path.read_bytes()[:-10] + b"0123456789")
    get(server, tmp_path / "here")
    assert path.read_bytes() == server.files[path.name]


def test_a_file_that_changed_on_the_server_is_told(server: Server, tmp_path: Path) -> None:
    path = get(server, tmp_path / "here")[0]
    path.unlink()
    server.files[path.name] += b"more"
    with pytest.raises(SiteError, match="not what was fetched before"):
        get(server, tmp_path / "here")


def test_offline_is_said_in_words(tmp_path: Path) -> None:
    with pytest.raises(SiteError, match="cannot be reached; are you offline"):
        fetching.read_catalogue("http://127.0.0.1:9", patience=0.0)


def test_no_catalogue_there(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "_catalogue", lambda kind: "<html><p>moved</html>")
    with pytest.raises(SiteError, match="expected a THREDDS catalogue"):
        fetching.read_catalogue(server.url, patience=0.0)
    with pytest.raises(SiteError, match="answers 404"):
        monkeypatch.setattr(fetching, "CATALOGUE", "/elsewhere/{kind}")
        fetching.read_catalogue(server.url, patience=0.0)
