"""How commands find the server that runs on a data folder.

`headgate up` writes `server.json` when it listens and removes it when it ends; the process id
in it tells whether one that was killed left it behind.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import psutil

from headgate.errors import HeadgateError
from headgate.settings import Settings


class RunningServer(msgspec.Struct, frozen=True):
    """A server as it described itself.

    This machine's commands use `url`, clients `public_url`; `certificate` is the one that it
    serves TLS with.
    """

    url: str
    public_url: str
    pid: int
    started: float
    certificate: str | None = None


def read_server_file(settings: Settings) -> RunningServer | None:
    """The server that runs on this data folder; None if none does."""
    path = settings.server_file()
    try:
        content = path.read_bytes()
        owner = path.stat().st_uid
    except FileNotFoundError:
        return None
    except OSError as error:
        raise HeadgateError(f"{path} cannot be read: {error.strerror}.") from None
    if os.geteuid() not in (0, owner):
        # Whoever wrote it could name a server of their own and collect our password there.
        raise HeadgateError(
            f"{path} belongs to another user, so it is not trusted.",
            hint="Name your own data folder with --data-dir.",
        )
    try:
        server = msgspec.json.decode(content, type=RunningServer)
    except msgspec.DecodeError:
        return None
    return server if _alive(server) else None


@contextmanager
def server_file(settings: Settings, url: str, public_url: str) -> Iterator[None]:
    """Keep `server.json` there while the block runs."""
    certificate = settings.ssl_certfile
    own = psutil.Process()
    server = RunningServer(
        url=url,
        public_url=public_url,
        pid=own.pid,
        started=own.create_time(),
        certificate=str(certificate.absolute()) if certificate else None,
    )
    path = settings.server_file()
    _write(path, msgspec.json.encode(server))
    try:
        yield
    finally:
        path.unlink(missing_ok=True)


def _write(path: Path, content: bytes) -> None:
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
    temporary.replace(path)


def _alive(server: RunningServer) -> bool:
    try:
        # A process id is used again after a restart of the machine; its start time is not.
        return abs(psutil.Process(server.pid).create_time() - server.started) < 1
    except psutil.NoSuchProcess:
        return False
