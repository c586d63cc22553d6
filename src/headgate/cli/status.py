"""`headgate status`: how a running server is, as it tells an admin."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any

import typer

from headgate.cli import output
from headgate.cli.client import Client
from headgate.cli.command import Command, takes_server

Report = dict[str, Any]


def add_to(app: typer.Typer) -> None:
    """Add the command of this module."""
    app.command("status", cls=Command)(status)


@takes_server
def status(
    client: Client,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show processes, database and table sizes, versions, requests and errors.

    Exits with 1 when no server runs, or MLflow is not ready.

    \b
    Examples:
      headgate status
      headgate status --json | jq .upstream.phase
    """
    report = client.get("/headgate/api/status")
    if as_json:
        output.data_json({"url": client.url, **report})
    else:
        for line in lines(client.url, report):
            output.data(line)
    if report["upstream"]["phase"] != "ready":
        raise typer.Exit(1)


def lines(url: str, report: Report) -> Iterator[str]:
    """The report for people."""
    versions = report["versions"]
    upstream = report["upstream"]
    yield f"Headgate {versions['headgate']} at {url}, up {duration(report['uptime_seconds'])}"
    yield f"MLflow {versions['mlflow']}: {_upstream(upstream)}"
    if upstream["last_stop"]:
        yield f"  last stopped: {upstream['last_stop']}"
    yield f"Python {versions['python']}"
    yield ""
    yield from _processes(report["processes"])
    yield ""
    yield from _database(report["database"])
    yield f"Artifacts {_artifacts(report['artifacts'])}"
    yield ""
    yield from _requests(report["requests"], report["errors_last_minute"])


def duration(seconds: float) -> str:
    """A time span in its two largest units."""
    left = int(seconds)
    parts: list[str] = []
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60), ("s", 1)):
        count, left = divmod(left, length)
        if count or parts or unit == "s":
            parts.append(f"{count} {unit}")
    return " ".join(parts[:2])


def _upstream(upstream: Report) -> str:
    text = str(upstream["phase"])
    if upstream["phase"] == "ready":
        text += f" for {duration(upstream['uptime_seconds'])}"
    if upstream["restarts"]:
        times = "time" if upstream["restarts"] == 1 else "times"
        text += f", restarted {upstream['restarts']} {times}"
    return text


def _processes(processes: list[Report]) -> Iterator[str]:
    rows = [(item["role"], item["pid"], output.size(item["resident_bytes"])) for item in processes]
    total = output.size(sum(item["resident_bytes"] for item in processes))
    yield from output.columns(("PROCESS", "PID", "MEMORY"), [*rows, ("together", "", total)])


def _database(database: Report) -> Iterator[str]:
    size = f", {output.size(database['bytes'])}" if "bytes" in database else ""
    yield f"Database {database['address']}{size}"
    if "fault" in database:
        yield f"  cannot be looked at: {database['fault']}"
    rows = [
        (table["name"], table["rows"], output.size(table["bytes"]) if table["bytes"] else None)
        for table in database.get("tables", [])
    ]
    if rows:
        yield from output.columns(("TABLE", "ROWS (ABOUT)", "SIZE"), rows)


def _artifacts(artifacts: Report) -> str:
    free = artifacts.get("free_bytes")
    return f"{artifacts['destination']}{f', {output.size(free)} free' if free else ''}"


def _requests(requests: dict[str, dict[str, int]], errors: int) -> Iterator[str]:
    classes = sorted({name for counts in requests.values() for name in counts})
    rows = [(route, *(counts.get(name) for name in classes)) for route, counts in requests.items()]
    if rows:
        yield from output.columns(("REQUESTS", *(name.upper() for name in classes)), rows)
    yield f"{errors} server errors in the last minute"
