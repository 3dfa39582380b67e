"""PLUMBER2 v1.0 from the THREDDS server of NCI Australia."""

from __future__ import annotations

import json
import re
import threading
import time
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import netCDF4

from mdpl import __version__
from mdpl.errors import SiteError
from mdpl.files import NETCDF, ready, write_atomic
from mdpl.sites.attributes import LAND_COVER

if TYPE_CHECKING:
    from requests import Response, Session

SERVER = "https://thredds.nci.org.au"
CATALOGUE = "/thredds/catalog/ks32/CLEX_Data/PLUMBER2/v1-0/{kind}/catalog.xml"
FILES = "/thredds/fileServer/"
CLASS = "/thredds/dodsC/{path}.ascii?IGBP_veg_short"
KINDS = ("Met", "Flux")
CITATION = "Ukkola et al. (2022), doi:10.25914/5fdb0902607e1, CC BY 4.0"

PARALLEL = 4
ATTEMPTS = 6
_CHECKSUMS = "checksums.json"
_CLASSES = "classes.json"
_CHUNK = 1 << 14
"""Bytes; those of a chunk that is cut are asked for again."""

_TIMEOUT = (15, 60)
_MAGIC = (b"\x89HDF", b"CDF\x01", b"CDF\x02", b"CDF\x05")


@dataclass(frozen=True)
class RemoteFile:
    """A file of the catalogue."""

    code: str
    name: str
    url: str


def select(
    catalogue: Mapping[str, Sequence[RemoteFile]],
    codes: Sequence[str],
    *,
    everything: bool = False,
    pfts: Sequence[str] = (),
    classes: Mapping[str, str] | None = None,
) -> list[RemoteFile]:
    """The files of towers asked for by code, by class, or all.

    Args:
        classes: code -> IGBP class, from `read_classes`; needed with ``pfts``.

    Raises:
        SiteError: nothing asked for, an unknown class, or a code the catalogue does not have.
    """
    wanted = list(dict.fromkeys(codes))
    known = classes or {}
    for pft in pfts:
        own = [code for code in catalogue if known.get(code) == pft]
        if not own:
            there = ", ".join(sorted(set(known.values())))
            raise SiteError(f"no PLUMBER2 tower of class {pft!r}; classes: {there}")
        wanted += [code for code in own if code not in wanted]
    if everything:
        wanted = sorted(catalogue)
    if not wanted:
        raise SiteError("no towers asked for: give codes, --pft CLASS, or --all")
    for code in wanted:
        if code not in catalogue:
            close = [c for c in catalogue if c[:2] == code[:2]] or sorted(catalogue)
            raise SiteError(f"PLUMBER2 has no tower {code!r}; it has {', '.join(close[:40])}")
    return [file for code in wanted for file in catalogue[code]]


def read_catalogue(server: str = SERVER, *, patience: float = 1.0) -> dict[str, list[RemoteFile]]:
    """The towers a server has, with their met and flux files.

    Args:
        patience: seconds before the second attempt; each further one waits twice as long.

    Raises:
        SiteError: no network, no such server, or no catalogue there.
    """
    found: dict[str, list[RemoteFile]] = {}
    with _session() as session:
        for kind in KINDS:
            url = server + CATALOGUE.format(kind=kind)
            text = _patiently(partial(_text, session, url), url, patience)
            for path in _paths(text, url):
                name = path.rsplit("/", 1)[-1]
                code = name.split("_")[0]
                found.setdefault(code, []).append(RemoteFile(code, name, server + FILES + path))
    whole = {code: files for code, files in sorted(found.items()) if len(files) == len(KINDS)}
    if not whole:
        raise SiteError(f"{server}: the catalogue lists no tower with both files")
    return whole


def read_classes(
    catalogue: Mapping[str, Sequence[RemoteFile]],
    folder: Path,
    server: str = SERVER,
    *,
    patience: float = 1.0,
) -> dict[str, str]:
    """IGBP class of every tower, from its met file over OPeNDAP; remembered in the folder.

    Raises:
        SiteError: no network, or a file that does not tell its class.
    """
    path = folder / _CLASSES
    known: dict[str, str] = {}
    if path.exists():
        try:
            known = dict(json.loads(path.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            known = {}  # asked for again
    todo = [code for code in catalogue if code not in known]

    def one(code: str) -> str:
        met = next(f for f in catalogue[code] if f.name.endswith("_Met.nc"))
        url = server + CLASS.format(path=met.url.partition(FILES)[2])
        with _session() as session:
            text = str(_patiently(partial(_text, session, url), url, patience))
        found = [word for word in re.findall(r"[A-Z]{2,4}", text) if word in LAND_COVER]
        if not found:
            raise SiteError(f"{url}: expected an IGBP class, found {text[-80:]!r}")
        return found[-1]

    with ThreadPoolExecutor(max_workers=PARALLEL) as pool:
        known |= dict(zip(todo, pool.map(one, todo), strict=True))
    write_atomic(path, json.dumps(known, indent=1, sort_keys=True))
    return known


def fetch(
    files: Sequence[RemoteFile],
    folder: Path,
    *,
    parallel: int = PARALLEL,
    patience: float = 1.0,
    done: Callable[[RemoteFile], None] = lambda file: None,
) -> list[Path]:
    """Download files into a folder, or take those that are there.

    A file that was cut goes on where it stopped, also in another run. The SHA-256 of a file is
    remembered when it arrives and checked every time it is asked for again; one that changed on
    disk is fetched anew, and must be the same.

    Args:
        done: told of every file, from several threads.

    Raises:
        SiteError: no network, a file that stays incomplete or is no NetCDF, or one that is not the
            one fetched before; what arrived stays.
    """
    _pooch()
    ready(folder)
    ledger = _Ledger(folder / _CHECKSUMS)

    def one(file: RemoteFile) -> Path:
        path = _fetch_one(file, folder, ledger, patience)
        done(file)
        return path

    with ThreadPoolExecutor(max_workers=parallel) as pool:
        tasks = [pool.submit(one, file) for file in files]
        try:
            return [task.result() for task in tasks]
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


class _Ledger:
    """Checksums by file name, on disk, written whole."""

    def __init__(self, path: Path):
        self._path = path
        self._lock = threading.Lock()
        try:
            self._known: dict[str, str] = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            self._known = {}
        except (OSError, ValueError) as error:
            raise SiteError(f"{path}: damaged ({error}); delete it to fetch anew") from error

    def get(self, name: str) -> str | None:
        return self._known.get(name)

    def note(self, name: str, checksum: str) -> None:
        with self._lock:
            self._known[name] = checksum
            temporary = self._path.with_suffix(".new")
            temporary.write_text(json.dumps(self._known, indent=1, sort_keys=True))
            temporary.replace(self._path)


def _fetch_one(file: RemoteFile, folder: Path, ledger: _Ledger, patience: float) -> Path:
    pooch = _pooch()
    known = ledger.get(file.name)
    target = folder / file.name
    if known is None and target.exists():
        # Laid there by hand: as good as one that arrived, if it is whole.
        _check_whole(target)
        ledger.note(file.name, pooch.file_hash(str(target)))
        return target

    def download(url: str, output: str, _pooch: object) -> None:
        part = folder / f".{file.name}.part"
        with _session() as session:
            _patiently(lambda: _go_on(session, url, part), url, patience)
        _check_magic(part, url)
        part.replace(output)

    try:
        path = pooch.retrieve(
            file.url, known, fname=file.name, path=folder, downloader=download, progressbar=False
        )
    except ValueError as error:
        raise SiteError(
            f"{file.name}: what {file.url} has now is not what was fetched before (checksums "
            f"differ); if it was corrected, delete its line in {_CHECKSUMS}"
        ) from error
    except OSError as error:
        raise SiteError(f"{folder}: cannot be written: {error}") from error
    if known is None:
        ledger.note(file.name, pooch.file_hash(path))
    return Path(path)


class _Incomplete(Exception):
    """The connection ended before the file did."""


def _go_on(session: Session, url: str, part: Path) -> None:
    """Append what is missing to a part of a file."""
    have = part.stat().st_size if part.exists() else 0
    headers = {"Range": f"bytes={have}-", "Accept-Encoding": "identity"} if have else {}
    with session.get(url, headers=headers, stream=True, timeout=_TIMEOUT) as answer:
        if answer.status_code == 416:
            whole = answer.headers.get("Content-Range", "").rsplit("/", 1)[-1]
            if whole == str(have):
                return
            part.unlink()
            raise _Incomplete(f"{have} bytes were there, the file has {whole or '?'}")
        _good(answer)
        resumed = answer.status_code == 206
        total = _total(answer, have if resumed else 0)
        with part.open("ab" if resumed else "wb") as stream:
            for chunk in answer.iter_content(_CHUNK):
                stream.write(chunk)
    arrived = part.stat().st_size
    if total is not None and arrived != total:
        if arrived > total:
            part.unlink()
        raise _Incomplete(f"{arrived:,} of {total:,} bytes arrived")


def _total(answer: Response, have: int) -> int | None:
    length = answer.headers.get("Content-Length")
    return None if length is None else have + int(length)


def _patiently(attempt: Callable[[], Any], url: str, patience: float) -> Any:
    """Try again after cuts, time-outs and busy servers, each time waiting twice as long."""
    import requests

    cause: Exception | None = None
    for count in range(ATTEMPTS):
        if count:
            time.sleep(_wait(cause, patience * 2 ** (count - 1)))
        try:
            return attempt()
        except _Final:
            raise
        except (_Incomplete, requests.RequestException, OSError) as error:
            cause = error
            if _refused(error):
                break
    if isinstance(cause, requests.ConnectionError) and not isinstance(
        cause, requests.exceptions.ChunkedEncodingError
    ):
        raise SiteError(
            f"{url}: the server cannot be reached; are you offline, or behind a proxy (set "
            "HTTPS_PROXY)? Files may also be laid into the folder by hand"
        ) from cause
    raise SiteError(
        f"{url}: gave up after {ATTEMPTS} attempts ({cause}); the same command goes on from here"
    ) from cause


class _Final(SiteError):
    """Trying again is of no use."""


class _Busy(OSError):
    """The server asks to come back later."""

    def __init__(self, status: int, wait: float | None):
        super().__init__(f"the server answers {status}")
        self.wait = wait


def _wait(cause: Exception | None, usual: float) -> float:
    asked = getattr(cause, "wait", None)
    return min(float(asked), 120.0) if asked is not None else usual


def _refused(error: Exception) -> bool:
    """No connection at all: one more attempt is not worth a user's minute."""
    import requests

    return isinstance(error, requests.ConnectionError) and any(
        word in str(error)
        for word in ("NameResolution", "refused", "unreachable", "No route", "not known")
    )


def _good(answer: Response) -> None:
    status = answer.status_code
    if status in (429, 500, 502, 503, 504):
        after = answer.headers.get("Retry-After", "")
        raise _Busy(status, float(after) if after.isdigit() else None)
    if status not in (200, 206):
        raise _Final(f"{answer.url}: the server answers {status} {answer.reason}")


def _text(session: Session, url: str) -> str:
    with session.get(url, timeout=_TIMEOUT) as answer:
        _good(answer)
        length = answer.headers.get("Content-Length")
        if length is not None and len(answer.content) < int(length):
            raise _Incomplete(f"{len(answer.content)} of {length} bytes arrived")
        return answer.text


def _paths(text: str, url: str) -> list[str]:
    """``urlPath`` of every NetCDF file in a THREDDS catalogue."""
    try:
        root = ElementTree.fromstring(text)
    except ElementTree.ParseError as error:
        raise SiteError(f"{url}: expected a THREDDS catalogue (XML), found none") from error
    paths = [node.get("urlPath", "") for node in root.iter() if node.tag.endswith("dataset")]
    return [p for p in paths if p.endswith(("_Met.nc", "_Flux.nc")) and ".." not in p]


def _check_whole(path: Path) -> None:
    """Refuse a file laid there by hand that is no whole NetCDF; it is the user's, and stays."""
    try:
        with NETCDF, netCDF4.Dataset(path) as file:
            for name in file.variables:
                file[name][-1:]
    except (OSError, RuntimeError, IndexError) as error:
        raise SiteError(
            f"{path}: expected a whole NetCDF file ({error}); take it away to have it fetched"
        ) from error


def _check_magic(path: Path, url: str) -> None:
    with path.open("rb") as stream:
        start = stream.read(4)
    if start not in _MAGIC:
        path.unlink()
        raise SiteError(f"{url}: expected a NetCDF file, found something else ({start!r}); removed")


def _session() -> Session:
    _pooch()
    import requests

    session = requests.Session()
    session.headers["User-Agent"] = f"mdpl/{__version__}"
    return session


def _pooch() -> Any:
    try:
        import pooch
    except ImportError as error:
        raise SiteError(
            "fetching needs pooch; install it with: pip install 'mdpl[fetch]'"
        ) from error
    pooch.get_logger().setLevel("WARNING")
    return pooch
