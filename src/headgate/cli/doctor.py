"""`headgate doctor`: what would keep Headgate from running here, and how to mend it.

Each check is a function that yields `Finding`s and changes nothing. Start at `CHECKS`.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import shutil
import stat
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from headgate import __version__
from headgate.cli import output
from headgate.cli.command import Command, takes_settings
from headgate.cli.server_file import read_server_file
from headgate.errors import HeadgateError
from headgate.finding import Finding
from headgate.settings import Settings
from headgate.settings.database import sqlite_file

if TYPE_CHECKING:
    from headgate.database.revisions import Schema

# MLflow's tables and a small artifact fit in what is warned of; nothing fits in what is wrong.
_LITTLE_SPACE = 2_000_000_000
_NO_SPACE = 100_000_000


def add_to(app: typer.Typer) -> None:
    """Add the command of this module."""
    app.command("doctor", cls=Command)(doctor)


@takes_settings()
def doctor(
    settings: Settings,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Check what Headgate needs here and say how to mend what is wrong. Changes nothing.

    Exits with 1 when something is wrong.

    \b
    Examples:
      headgate doctor
      headgate doctor --port 5001 --backend-store-uri postgresql://localhost/mlflow
    """
    findings = [finding for check in CHECKS for finding in check(settings)]
    if as_json:
        output.data_json([asdict(finding) for finding in findings])
    else:
        for finding in findings:
            for line in output.finding_lines(finding):
                output.data(line)
    if any(finding.state == "wrong" for finding in findings):
        raise typer.Exit(1)


def _versions(settings: Settings) -> Iterator[Finding]:
    yield Finding("python", "ok", ".".join(map(str, sys.version_info[:3])))
    yield Finding("headgate", "ok", __version__)
    mend = "pip install --force-reinstall headgate"
    try:
        mlflow = importlib.metadata.version("mlflow")
    except importlib.metadata.PackageNotFoundError:
        yield Finding("mlflow", "wrong", "not installed", mend)
        return
    if mlflow.split(".")[:2] == ["3", "17"]:
        yield Finding("mlflow", "ok", mlflow)
    else:
        yield Finding("mlflow", "wrong", f"{mlflow}; this Headgate needs 3.17", mend)


def _parser(settings: Settings) -> Iterator[Finding]:
    if importlib.util.find_spec("httptools") is None:
        yield Finding(
            "parser",
            "wrong",
            "httptools is not installed, and no other parser is strict enough",
            "pip install httptools",
        )
    else:
        yield Finding("parser", "ok", f"httptools {importlib.metadata.version('httptools')}")


def _data_folder(settings: Settings) -> Iterator[Finding]:
    folder = settings.folder()
    if not folder.exists():
        parent = _nearest(folder)
        if os.access(parent, os.W_OK | os.X_OK):
            yield Finding("folder", "ok", f"{folder} will be made by the first start")
        else:
            mend = "Name another folder with --data-dir, or make it and give it to this user."
            yield Finding("folder", "wrong", f"{folder} cannot be made in {parent}", mend)
        return
    details = folder.stat()
    if not folder.is_dir():
        yield Finding("folder", "wrong", f"{folder} is no folder", "Name another with --data-dir.")
    elif details.st_uid != os.geteuid():
        mend = f"chown -R {os.geteuid()} {folder}"
        yield Finding("folder", "wrong", f"{folder} belongs to another user", mend)
    elif not os.access(folder, os.W_OK | os.X_OK):
        yield Finding("folder", "wrong", f"{folder} cannot be written", f"chmod 700 {folder}")
    elif details.st_mode & 0o077:
        yield Finding("folder", "wrong", f"{folder} is open to others", f"chmod 700 {folder}")
    else:
        yield Finding("folder", "ok", f"{folder} is private and can be written")
    for path in (settings.key_path(), settings.admin_password_path()):
        if path.exists() and path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
            yield Finding("folder", "wrong", f"{path} can be read by others", f"chmod 600 {path}")


def _disk(settings: Settings) -> Iterator[Finding]:
    folder = _nearest(settings.folder())
    free = shutil.disk_usage(folder).free
    text = f"{output.size(free)} free at {folder}"
    if free < _NO_SPACE:
        yield Finding("disk", "wrong", text, "Free some space, or name another --data-dir.")
    elif free < _LITTLE_SPACE:
        yield Finding("disk", "warning", text, "Free some space before it is needed.")
    else:
        yield Finding("disk", "ok", text)


def _port(settings: Settings) -> Iterator[Finding]:
    from headgate.gateway import listening

    try:
        running = read_server_file(settings)
        if running is not None:
            yield Finding("server", "ok", f"runs at {running.url} (process {running.pid})")
            return
        for bound in listening.bind(settings.host, settings.port):
            bound.close()
    except HeadgateError as error:
        yield Finding("port", "wrong", str(error), error.hint)
    else:
        yield Finding("port", "ok", f"{settings.host}:{settings.port} is free")


def _databases(settings: Settings) -> Iterator[Finding]:
    from headgate.database.access import Access
    from headgate.database.engine import connected, redact
    from headgate.database.revisions import CHAINS, inspect_chain

    for chain in CHAINS:
        uri = settings.backend_uri() if chain == "mlflow" else settings.auth_uri()
        about = "database" if chain == "mlflow" else "users"
        file = sqlite_file(uri)
        if file is not None and not file.exists():
            yield Finding(about, "ok", f"{file} will be made by the first start")
            continue
        try:
            with connected(uri, as_found=True, access=Access.of(settings)) as connection:
                schema = inspect_chain(connection, chain)
        except HeadgateError as error:
            yield Finding(about, "wrong", str(error), error.hint)
        else:
            yield _standing(about, redact(uri), schema)


def _standing(about: str, uri: str, schema: Schema) -> Finding:
    if schema.standing == "head":
        return Finding(about, "ok", f"{uri} is up to date (revision {schema.found})")
    if schema.standing == "empty":
        return Finding(about, "ok", f"{uri} has no tables yet; the next start makes them")
    if schema.standing == "behind":
        mend = "`headgate up` or `headgate migrate` brings it up to date."
        return Finding(about, "warning", f"{uri} is of an older MLflow", mend)
    mend = "Restore it from a backup, or use the MLflow that made it."
    return Finding(about, "wrong", f"{uri}: {schema.trouble}", mend)


def _artifacts(settings: Settings) -> Iterator[Finding]:
    destination = settings.artifacts()
    if destination.startswith("s3://"):
        if importlib.util.find_spec("boto3") is None:
            yield Finding(
                "artifacts", "wrong", "boto3 is not installed", "pip install 'headgate[aws]'"
            )
        else:
            yield Finding("artifacts", "ok", destination)
        return
    folder = Path(destination)
    parent = _nearest(folder)
    if not parent.is_dir() or not os.access(parent, os.W_OK | os.X_OK):
        mend = "Give it to this user, or name another with --artifacts-destination."
        yield Finding("artifacts", "wrong", f"{folder} cannot be written", mend)
    else:
        yield Finding("artifacts", "ok", destination)


def _cautions(settings: Settings) -> Iterator[Finding]:
    for caution in settings.cautions():
        yield Finding("settings", "warning", caution)


def _nearest(path: Path) -> Path:
    """The path itself, or the closest one above it that exists."""
    while not path.exists():
        path = path.parent
    return path


CHECKS: tuple[Callable[[Settings], Iterator[Finding]], ...] = (
    _versions,
    _parser,
    _data_folder,
    _disk,
    _port,
    _databases,
    _artifacts,
    _cautions,
)
