"""`headgate.gateway.access_log` and `log_writer`: lines that nobody can forge, lose or stall."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import threading
from typing import get_args

import pytest

from headgate.gateway.access_log import AccessLog, describe
from headgate.gateway.log_writer import LogWriter
from headgate.observation import (
    Event,
    GatewayFault,
    RequestFinished,
    SignedIn,
    SignInRefused,
    UpstreamLine,
    UpstreamStopped,
)


def log_of(*events: Event, as_json: bool) -> list[str]:
    written: list[bytes] = []
    log = AccessLog(LogWriter(written.append), as_json=as_json)
    for event in events:
        log(event)
    log.close()
    return b"".join(written).decode("ascii").splitlines()


def finished(**changes: object) -> RequestFinished:
    values = {
        "request_id": "4f3a",
        "method": "POST",
        "path": "/api/2.0/mlflow/runs/log-metric",
        "route": "runs/log-metric",
        "status": 200,
        "seconds": 0.00123,
        "sent_bytes": 2,
        "client": "10.0.0.1",
        "username": "ada",
    }
    return RequestFinished(**(values | changes))  # type: ignore[arg-type]  # a test's shorthand


def test_a_request_is_one_line_for_people() -> None:
    (line,) = log_of(finished(), as_json=False)
    assert re.fullmatch(
        r"\d\d:\d\d:\d\d INFO request: 200 POST /api/2\.0/mlflow/runs/log-metric "
        r"1\.2 ms 2 B ada 10\.0\.0\.1 4f3a",
        line,
    )


def test_a_request_is_one_object_for_machines() -> None:
    (line,) = log_of(finished(), as_json=True)
    entry = json.loads(line)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", entry.pop("time"))
    assert entry == {
        "level": "info",
        "part": "request",
        "status": 200,
        "method": "POST",
        "path": "/api/2.0/mlflow/runs/log-metric",
        "route": "runs/log-metric",
        "ms": 1.23,
        "bytes": 2,
        "client": "10.0.0.1",
        "username": "ada",
        "request_id": "4f3a",
    }


def test_a_failed_request_is_a_warning_and_a_health_check_is_nothing() -> None:
    lines = log_of(
        finished(route="health", path="/health"),
        finished(status=503, path="/version"),
        as_json=False,
    )
    assert len(lines) == 1
    assert " WARNING request: 503 " in lines[0]


@pytest.mark.parametrize("as_json", [True, False])
@pytest.mark.parametrize(
    "nasty",
    [
        "ada\n00:00:00 INFO request: 200 GET /forged",
        "ada\r\n",
        "\x1b[2J\x1b]0;title\x07",
        "ada 10.9.9.9 200",
        'ada"quoted\\',
        "ada\u2028\u0085\u202e",
        "\x7f\x9b\x00",
        "",
    ],
)
def test_what_a_client_sends_cannot_forge_a_line_or_a_field(nasty: str, as_json: bool) -> None:
    events = (
        finished(path="/" + nasty, username=nasty, client=nasty),
        SignedIn(username=nasty, client=nasty),
        SignInRefused(way_in="basic", reason="credential", client=nasty, request_id="4f3a"),
        UpstreamLine(nasty),
    )
    lines = log_of(*events, as_json=as_json)
    assert len(lines) == len(events)
    for line in lines:
        assert line.isprintable()
    if as_json:
        assert json.loads(lines[0])["username"] == nasty
    else:
        assert re.fullmatch(
            r'\S+ INFO request: 200 POST (?:"/.*"|/\S*) 1\.2 ms 2 B (?:".*"|\S+) (?:".*"|\S+) 4f3a',
            lines[0],
        )


def test_the_end_of_mlflow_reads_as_a_sentence() -> None:
    stopped = UpstreamStopped(pid=7, reason="signal 9", uptime=412.3, restarts=3, restart_in=4)
    (line,) = log_of(stopped, as_json=False)
    assert line.endswith(
        " WARNING upstream: MLflow stopped (signal 9) after 412 s; restart 3 in 4 s"
    )
    (as_json,) = log_of(stopped, as_json=True)
    entry = json.loads(as_json)
    assert (entry["event"], entry["level"], entry["restarts"]) == ("UpstreamStopped", "warning", 3)


@pytest.mark.parametrize("as_json", [True, False])
def test_passwords_in_addresses_are_struck_out_of_what_mlflow_and_tracebacks_say(
    as_json: bool,
) -> None:
    lines = log_of(
        UpstreamLine("cannot connect to postgresql://mlflow:hunter2@db/mlflow"),
        GatewayFault("4f3a", "Traceback\n  mysql+pymysql://mlflow:hunter2@db/mlflow\nBoom: x"),
        as_json=as_json,
    )
    text = "\n".join(lines)
    assert "hunter2" not in text
    assert "postgresql://mlflow:***@db/mlflow" in text
    assert "Boom: x" in text


def test_colours_of_mlflows_lines_are_taken_out() -> None:
    (line,) = log_of(UpstreamLine("\x1b[32mINFO\x1b[0m ready\n"), as_json=False)
    assert line.endswith(" INFO mlflow: INFO ready")


def test_every_event_has_a_line() -> None:
    samples: dict[str, object] = {"int": 1, "float": 1.0, "str": "x", "str | None": None}
    for kind in get_args(Event):
        fields = kind.__annotations__
        event = kind(**{name: samples.get(hint, "mlflow") for name, hint in fields.items()})
        for as_json in (True, False):
            line, *_ = log_of(event, as_json=as_json)
            assert line
        if kind is not RequestFinished:
            level, part, sentence = describe(event)
            assert level in ("debug", "info", "warning", "error")
            assert part
            assert sentence


def test_a_reader_that_does_not_read_holds_nobody_up_and_the_loss_is_told() -> None:
    reading = threading.Event()
    stuck = threading.Event()
    written: list[bytes] = []

    def write(data: bytes) -> None:
        stuck.set()
        assert reading.wait(30)
        written.append(data)

    writer = LogWriter(write, gather_seconds=0, limit_bytes=1000)
    writer.write(b"first\n")
    assert stuck.wait(30)
    for number in range(10_000):
        writer.write(b"%d\n" % number)
    reading.set()
    writer.close()
    text = b"".join(written).decode()
    assert text.startswith("first\n0\n1\n")
    assert "log lines dropped: nobody read the log" in text
    assert len(text) < 1200


def test_nothing_is_lost_when_the_process_ends() -> None:
    program = (
        "from headgate.gateway.log_writer import LogWriter\n"
        "writer = LogWriter(gather_seconds=60)\n"
        "for number in range(1000): writer.write(b'%d\\n' % number)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=50
    )
    assert done.stderr.split() == [str(number) for number in range(1000)]


def test_a_log_that_nobody_can_read_any_more_ends_nothing() -> None:
    program = (
        "import os; from headgate.gateway.log_writer import LogWriter\n"
        "reader, writer = os.pipe(); os.dup2(writer, 2); os.close(reader); os.close(writer)\n"
        "log = LogWriter(gather_seconds=0); log.write(b'x'); log.close(); print('served on')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=50
    )
    assert done.stdout == "served on\n"
