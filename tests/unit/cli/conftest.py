"""Runs commands as a shell would, and a stand-in for the server that they talk to."""

from __future__ import annotations

import io
import json
import os
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from headgate.cli import main
from headgate.cli.server_file import server_file
from headgate.settings import Settings

ADMIN_PASSWORD = "the-admin's-long-password"


@dataclass(frozen=True)
class Result:
    """What a command left behind."""

    code: int
    out: str
    err: str


Run = Callable[..., Result]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working folder, and nothing of this machine's settings."""
    for name in list(os.environ):
        if name.startswith(("HEADGATE_", "MLFLOW_")):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """`run("users", "list")`; `typed` is what comes on standard input."""

    def run_command(*arguments: str, typed: str = "") -> Result:
        monkeypatch.setattr(sys, "argv", ["headgate", *arguments])
        monkeypatch.setattr(sys, "stdin", io.StringIO(typed))
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        captured = capsys.readouterr()
        return Result(int(ended.value.code or 0), captured.out, captured.err)

    return run_command


@dataclass
class FakeServer:
    """Answers what it was told to, and remembers what it was asked."""

    url: str = ""
    answers: dict[tuple[str, str], tuple[int, Any]] = field(default_factory=dict)
    asked: list[tuple[str, str, Any]] = field(default_factory=list)
    authorizations: list[str | None] = field(default_factory=list)

    def will(self, method: str, path: str, answer: Any = None, status: int = 200) -> None:
        """Prepare the answer to a call."""
        self.answers[method, path] = (status, {} if answer is None else answer)


@pytest.fixture
def server(folder: Path) -> Iterator[FakeServer]:
    """A running server, as `headgate up` on the data folder `.headgate` leaves it to be found."""
    fake = FakeServer()

    class Handler(BaseHTTPRequestHandler):
        def do_any(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            fake.asked.append((self.command, self.path, json.loads(body) if body else None))
            fake.authorizations.append(self.headers.get("Authorization"))
            key = (self.command, urlsplit(self.path).path)
            status, answer = fake.answers.get(key, (404, {"message": f"nothing at {key}"}))
            content = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_PATCH = do_DELETE = do_any

        def log_message(self, format: str, *args: object) -> None:
            """Tests are quiet."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http_server:
        fake.url = f"http://127.0.0.1:{http_server.server_port}"
        thread = threading.Thread(target=http_server.serve_forever, args=(0.01,))
        thread.start()
        settings = Settings()
        settings.folder().mkdir(mode=0o700)
        settings.admin_password_path().write_text(ADMIN_PASSWORD + "\n")
        with server_file(settings, fake.url, fake.url):
            yield fake
        http_server.shutdown()
        thread.join()
