"""`headgate aws status`, `credentials`, `open`, `logs` and `rotate`: after a deployment."""

from __future__ import annotations

import time
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from headgate.cli import output
from headgate.cli.aws_command import Here, agreed, takes_aws
from headgate.cli.command import Command
from headgate.errors import HeadgateError

if TYPE_CHECKING:
    from headgate.aws.logs import LogLine


def add_to(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command("status", cls=Command)(status)
    app.command("credentials", cls=Command)(credentials)
    app.command("open", cls=Command)(open_)
    app.command("logs", cls=Command)(logs)
    app.command("rotate", cls=Command)(rotate)


@takes_aws
def status(
    here: Here,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show what runs: stacks, address, tasks, targets, database, alarms.

    Exits with 1 when something is wrong.

    \b
    Example:
      headgate aws status
    """
    from headgate.aws.status import status as read_status

    parts = read_status(here.aws)
    if as_json:
        output.data_json([asdict(part) for part in parts])
    else:
        output.table(("part", "state", ""), [(part.about, part.state, part.text) for part in parts])
    if any(part.state == "wrong" for part in parts):
        raise typer.Exit(1)


@takes_aws
def credentials(here: Here) -> None:
    """Show the administrator's user name and password, from the stack's secret.

    \b
    Example:
      headgate aws credentials
    """
    from headgate.aws.credentials import read_credentials

    found = read_credentials(here.aws)
    output.data(f"username: {found.username}")
    output.data(f"password: {found.password}")


@takes_aws
def open_(here: Here) -> None:
    """Open the sign-in page in a browser.

    \b
    Example:
      headgate aws open
    """
    import webbrowser

    from headgate.aws.deployment import Deployment

    address = f"{Deployment(here.aws).require_address()}/headgate/sign-in"
    if not webbrowser.open(address):
        raise HeadgateError(f"No browser could be started. The address is {address}")
    output.say(f"Opened {address}")


@takes_aws
def logs(
    here: Here,
    container: Annotated[
        list[str],
        typer.Argument(metavar="[CONTAINER]…", help="nginx, gateway, mlflow, migrate. All: none."),
    ] = [],  # noqa: B006 - Typer reads it, nobody changes it
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Go on with each new line, until Ctrl-C.")
    ] = False,
    minutes: Annotated[
        int, typer.Option("--minutes", metavar="NUMBER", min=1, help="Begin so long ago.")
    ] = 10,
) -> None:
    """Print what the containers log.

    \b
    Examples:
      headgate aws logs
      headgate aws logs gateway --follow
    """
    from headgate.aws import logs as reading

    unknown = [name for name in container if name not in reading.CONTAINERS]
    if unknown:
        raise HeadgateError(
            f"There is no container {unknown[0]!r}.",
            hint=f"They are {', '.join(reading.CONTAINERS)}.",
        )
    group = reading.log_group(here.aws)
    wanted = container or reading.CONTAINERS
    since = time.time() - minutes * 60
    if not follow:
        lines = reading.tail(here.aws, group, wanted, since=since)
        for line in lines:
            output.data(_log_line(line))
        if not lines:
            output.say(f"No line in the last {minutes} minutes.")
        return
    try:
        for line in reading.follow(here.aws, group, wanted, since=since):
            output.data(_log_line(line))
    except KeyboardInterrupt:
        raise typer.Exit(0) from None


def _log_line(line: LogLine) -> str:
    when = datetime.fromtimestamp(line.when, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return f"{when} {line.container:<7} {line.task} {line.text}"


@takes_aws
def rotate(
    here: Here, yes: Annotated[bool, typer.Option("--yes", help="Do it without asking.")] = False
) -> None:
    """Give the administrator a new password. The old one stays valid for a grace time.

    \b
    Examples:
      headgate aws rotate
      headgate aws credentials   shows the new one
    """
    from headgate.aws.credentials import rotate as rotate_password

    if not agreed("Give the administrator a new password?", yes=yes):
        output.say("Nothing was changed.")
        raise typer.Exit(1)
    changed = rotate_password(here.aws)
    output.say(f"{changed.username} has a new password; `headgate aws credentials` shows it.")
    output.say("The old one is good for some minutes more, so that no client fails meanwhile.")
