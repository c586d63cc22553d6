"""The framing attacks of `framing.toml`, over raw sockets, against the protocol alone.

The door of `headgate up` is the same code; here nothing stands in front of a wrong answer.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.harness.door import Door, Recorder, parse_answers

CASES: list[dict[str, Any]] = tomllib.loads(
    Path(__file__).with_name("framing.toml").read_text(encoding="utf-8")
)["case"]
BEHIND = b"GET /behind HTTP/1.1\r\nHost: localhost\r\nAuthorization: Basic YTpi\r\n\r\n"


@pytest.fixture(scope="module")
def door() -> Iterator[Door]:
    with Door(Recorder()) as opened:
        yield opened


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_an_ambiguous_request_gets_one_answer_and_nothing_behind_it_any(
    door: Door, case: dict[str, Any]
) -> None:
    recorder = door.app
    assert isinstance(recorder, Recorder)
    recorder.seen.clear()
    answers = parse_answers(door.exchange(case["send"].encode("latin-1") + BEHIND))
    assert [status for status, _, _ in answers] == [case["status"]]
    _, headers, body = answers[0]
    assert headers[b"connection"] == b"close"
    assert b"/behind" not in recorder.paths
    if case["status"] != 200:
        assert headers[b"content-type"] == b"application/json"
        assert json.loads(body)["error_code"] == "BAD_REQUEST"


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_the_answer_is_the_same_when_the_bytes_come_one_by_one(
    door: Door, case: dict[str, Any]
) -> None:
    with door.connect() as connection:
        received = b""
        connection.setsockopt(6, 1, 1)  # TCP_NODELAY: no gathering of the single bytes
        try:
            for byte in case["send"].encode("latin-1") + BEHIND:
                connection.sendall(bytes([byte]))
        except OSError:
            pass  # it was refused before its end
        try:
            while data := connection.recv(65536):
                received += data
        except ConnectionResetError:
            pass
    answers = parse_answers(received)
    assert [status for status, _, _ in answers] == [case["status"]]


def test_there_are_enough_cases() -> None:
    assert len(CASES) >= 40
    assert len({case["name"] for case in CASES}) == len(CASES)
