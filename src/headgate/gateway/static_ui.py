"""MLflow's user interface, served from the files of the installed mlflow package.

The files are listed once, when the server starts; a request gets one of them or nothing, by
comparing its raw path with the list, so that no path leads anywhere else. Each file is
compressed once, at its first request, away from the event loop. mlflow is found but never
imported. Start at `StaticUI.serve`.
"""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import importlib.util
import re
from collections import OrderedDict
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from urllib.parse import quote

from headgate.errors import ApiError
from headgate.gateway.request import Request, answer

PREFIX = b"/static-files/"
MEMORY_BYTES = 32 * 2**20
"""MLflow 3.17 has 27 MB of files, 8 MB compressed; the bound is for versions to come."""

_TYPES = {
    ".cjs": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".eot": "application/vnd.ms-fontobject",
    ".gif": "image/gif",
    ".html": "text/html; charset=utf-8",
    ".ico": "image/x-icon",
    ".jpg": "image/jpeg",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".map": "application/json",
    ".mjs": "text/javascript; charset=utf-8",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".ttf": "font/ttf",
    ".txt": "text/plain; charset=utf-8",
    ".wasm": "application/wasm",
    ".webp": "image/webp",
    ".woff": "font/woff",
    ".woff2": "font/woff2",
}
_ALREADY_COMPRESSED = frozenset({".gif", ".jpg", ".png", ".webp", ".woff", ".woff2"})
_SMALLEST_WORTH_COMPRESSING = 512
# `main.c2f5f8d4.js`, `openai.3e7b…8c9d.svg`: the name changes with the content.
_HASHED_NAME = re.compile(r"\.[0-9a-f]{8,}\.")
_FOREVER = b"private, max-age=31536000, immutable"
_ASK_FIRST = b"private, no-cache"


@dataclass(frozen=True, slots=True)
class _File:
    """A file of the UI that may be asked for."""

    path: Path
    content_type: bytes
    cache_control: bytes
    compressible: bool


@dataclass(frozen=True, slots=True)
class _Content:
    """What is sent for a file in one encoding."""

    body: bytes
    etag: bytes
    encoding: bytes | None


class StaticUI:
    """The files of one `build` folder: `/` is its page, `/static-files/…` the rest, and
    `/favicon.ico` its icon.

    Without a folder it serves nothing, and MLflow itself is asked for its files.
    """

    def __init__(self, folder: Path | None, *, memory_bytes: int = MEMORY_BYTES) -> None:
        self._files = _list_files(folder) if folder is not None else {}
        self._memory = _Memory(memory_bytes)
        self._loading: dict[tuple[bytes, bool], asyncio.Task[_Content]] = {}

    def serves(self, request: Request) -> bool:
        """Whether the path is the UI's, be it an existing file or not."""
        path = request.raw_path
        return path in self._files or (bool(self._files) and path.startswith(PREFIX))

    async def serve(self, request: Request) -> None:
        """Answer with the file, 304 if the client has it; `ApiError` 404 or 405."""
        file = self._files.get(request.raw_path)
        if file is None:
            raise ApiError(
                HTTPStatus.NOT_FOUND, "ENDPOINT_NOT_FOUND", "MLflow's UI has no such file."
            )
        if request.method not in ("GET", "HEAD"):
            raise ApiError(
                HTTPStatus.METHOD_NOT_ALLOWED,
                "BAD_REQUEST",
                "Files of MLflow's UI can only be read.",
                headers=((b"allow", b"GET, HEAD"),),
            )
        compressed = file.compressible and accepts_gzip(request)
        content = await self._content(request.raw_path, file, compressed)
        headers = _headers(file, content)
        if is_known(request, content.etag):
            await answer(request, int(HTTPStatus.NOT_MODIFIED), headers, b"")
            return
        headers.append((b"content-length", str(len(content.body)).encode()))
        if content.encoding is not None:
            headers.append((b"content-encoding", content.encoding))
        await answer(request, int(HTTPStatus.OK), headers, content.body)

    async def _content(self, raw_path: bytes, file: _File, compressed: bool) -> _Content:
        key = (raw_path, compressed)
        content = self._memory.get(key)
        if content is not None:
            return content
        loading = self._loading.get(key)
        if loading is None:
            # A browser asks for many files at once, and several browsers for the same ones.
            loading = asyncio.create_task(asyncio.to_thread(_load, file, compressed))
            self._loading[key] = loading
            loading.add_done_callback(lambda task: self._loaded(key, task))
        # One client that goes away must not cancel the load for the others.
        return await asyncio.shield(loading)

    def _loaded(self, key: tuple[bytes, bool], task: asyncio.Task[_Content]) -> None:
        del self._loading[key]
        if not task.cancelled() and task.exception() is None:
            self._memory.put(key, task.result())


class _Memory:
    """Contents, the least recently used forgotten beyond a number of bytes."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._used = 0
        self._contents: OrderedDict[tuple[bytes, bool], _Content] = OrderedDict()

    def get(self, key: tuple[bytes, bool]) -> _Content | None:
        content = self._contents.get(key)
        if content is not None:
            self._contents.move_to_end(key)
        return content

    def put(self, key: tuple[bytes, bool], content: _Content) -> None:
        self._contents[key] = content
        self._used += len(content.body)
        while self._used > self._limit:
            _, forgotten = self._contents.popitem(last=False)
            self._used -= len(forgotten.body)


def find_ui_folder() -> Path | None:
    """The folder of the installed MLflow's UI, found without importing mlflow."""
    spec = importlib.util.find_spec("mlflow")
    for package in (spec.submodule_search_locations or []) if spec else []:
        folder = Path(package, "server", "js", "build")
        if (folder / "index.html").is_file():
            return folder
    return None


def accepts_gzip(request: Request) -> bool:
    """Whether the client takes gzip: named, and not with a quality of zero."""
    for item in (request.header(b"accept-encoding") or b"").split(b","):
        coding, _, parameters = item.partition(b";")
        if coding.strip().lower() in (b"gzip", b"x-gzip", b"*"):
            quality = parameters.strip().lower().removeprefix(b"q=").strip()
            return quality.strip(b"0.") != b"" or not quality
    return False


def is_known(request: Request, etag: bytes) -> bool:
    """Whether `If-None-Match` names the entity tag (weakly compared, as RFC 9110 wants)."""
    known = request.header(b"if-none-match")
    if known is None:
        return False
    tags = [tag.strip().removeprefix(b"W/") for tag in known.split(b",")]
    return etag in tags or tags == [b"*"]


def _list_files(folder: Path) -> dict[bytes, _File]:
    files = {
        PREFIX + quote(path.relative_to(folder).as_posix()).encode(): _describe(path)
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
    page = files.get(PREFIX + b"index.html")
    if page is not None:
        # Never kept: after signing out, Back must not show it again.
        files[b"/"] = _File(page.path, page.content_type, b"no-store", page.compressible)
    icon = files.get(PREFIX + b"favicon.ico")
    if icon is not None:
        # Browsers ask for it by themselves, beside pages that name none (the trace renderer).
        files[b"/favicon.ico"] = icon
    return files


def _describe(path: Path) -> _File:
    suffix = path.suffix.lower()
    return _File(
        path=path,
        content_type=_TYPES.get(suffix, "application/octet-stream").encode(),
        cache_control=_FOREVER if _HASHED_NAME.search(path.name) else _ASK_FIRST,
        compressible=suffix not in _ALREADY_COMPRESSED
        and path.stat().st_size >= _SMALLEST_WORTH_COMPRESSING,
    )


def _load(file: _File, compressed: bool) -> _Content:
    body = file.path.read_bytes()
    digest = hashlib.blake2b(body, digest_size=12).hexdigest()
    if not compressed:
        return _Content(body, f'"{digest}"'.encode(), None)
    # The same bytes for the same file on every server: no time stamp in the header.
    return _Content(gzip.compress(body, 9, mtime=0), f'"{digest}-gzip"'.encode(), b"gzip")


def _headers(file: _File, content: _Content) -> list[tuple[bytes, bytes]]:
    headers = [
        (b"content-type", file.content_type),
        (b"cache-control", file.cache_control),
        (b"etag", content.etag),
    ]
    if file.compressible:
        headers.append((b"vary", b"accept-encoding"))
    return headers
