"""An MLflow that somebody else runs."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from headgate.errors import SettingsError
from headgate.gateway.upstream import UpstreamAddress
from headgate.upstream import RemoteUpstream
from headgate.upstream.remote import parse_address

HEALTHY = b"HTTP/1.1 200 OK\r\n\r\nOK"


@asynccontextmanager
async def mlflow(
    path: Path, answer: bytes = b"HTTP/1.1 200 OK\r\n\r\nOK"
) -> AsyncIterator[list[bytes]]:
    asked: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(answer)
        writer.close()

    server = await asyncio.start_unix_server(serve, path)
    async with server:
        yield asked
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)  # Python removes it from 3.13 on.


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("unix:/run/mlflow.sock", UpstreamAddress(Path("/run/mlflow.sock"), "http://localhost")),
        ("unix:///run/mlflow.sock", UpstreamAddress(Path("/run/mlflow.sock"), "http://localhost")),
        ("http://mlflow:5001", UpstreamAddress(None, "http://mlflow:5001")),
        ("http://[::1]:5001/", UpstreamAddress(None, "http://[::1]:5001")),
        ("http://mlflow", UpstreamAddress(None, "http://mlflow:80")),
    ],
)
def test_addresses(text: str, address: UpstreamAddress) -> None:
    assert parse_address(text) == address


@pytest.mark.parametrize(
    "text",
    [
        *("", "unix:mlflow.sock", "mlflow:5000", "https://mlflow", "http://mlflow/path", "http://"),
        *("http://mlflow:port", "http://me:pw@mlflow", "http://mlflow?x=1", "ftp://mlflow"),
    ],
)
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(SettingsError, match="unix:/path"):
        parse_address(text)


async def test_it_is_ready_once_it_answers(tmp_path: Path) -> None:
    upstream = RemoteUpstream(f"unix:{tmp_path}/s")
    assert not await upstream.wait_ready(0)
    assert upstream.state.phase == "starting"
    waiting = asyncio.create_task(upstream.wait_ready(30))
    async with mlflow(tmp_path / "s") as asked:
        assert await waiting
        assert upstream.state.phase == "ready"
        assert await asyncio.gather(*(upstream.wait_ready(1) for _ in range(50))) == [True] * 50
    assert len(asked) == 1


async def test_it_is_asked_again_after_a_second(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("headgate.upstream.remote.FRESH_SECONDS", 0)
    upstream = RemoteUpstream(f"unix:{tmp_path}/s")
    async with mlflow(tmp_path / "s"):
        assert await upstream.wait_ready(5)
    assert not await upstream.wait_ready(0)
    assert upstream.state.phase == "restarting"
    assert upstream.state.last_stop == "it stopped answering /health"


@pytest.mark.parametrize(
    "answer", [b"HTTP/1.1 503 Busy\r\n\r\n", b"", b"x" * 200_000, b"hello\r\n"]
)
async def test_any_other_answer_is_not_ready(tmp_path: Path, answer: bytes) -> None:
    upstream = RemoteUpstream(f"unix:{tmp_path}/s")
    async with mlflow(tmp_path / "s", answer):
        assert not await upstream.wait_ready(0)
