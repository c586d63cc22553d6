"""`headgate token`: API tokens of one's own, for programs."""

from __future__ import annotations

import platform
from typing import Annotated, Any

import typer

from headgate.cli import output
from headgate.cli.client import JSON, Client
from headgate.cli.command import Command, application, takes_server

app = application("API tokens: credentials for programs, which expire and can be revoked.")

TOKENS = "/headgate/api/tokens"


@app.command("create", cls=Command)
@takes_server
def create(
    client: Client,
    name: Annotated[
        str | None,
        typer.Option(
            "--name", metavar="TEXT", help="What it is for. Default: this machine's name."
        ),
    ] = None,
    days: Annotated[
        int | None,
        typer.Option("--days", min=1, metavar="NUMBER", help="Expires after so many days."),
    ] = None,
    read_only: Annotated[
        bool, typer.Option("--read-only", help="Refuse every call that changes something.")
    ] = False,
    user: Annotated[
        str | None,
        typer.Option("--user", metavar="NAME", help="For another user (admins only)."),
    ] = None,
) -> None:
    """Make a token for MLFLOW_TRACKING_TOKEN and print it, once.

    \b
    Examples:
      headgate token create --name nightly-training --days 90
      headgate token create --name dashboard --read-only
      headgate token create --name robot --user alice
    """
    wishes: JSON = {"name": name or platform.node() or "token", "read_only": read_only}
    if days is not None:
        wishes["expires_in_days"] = days
    if user is not None:
        wishes["username"] = user
    made = client.send("POST", TOKENS, wishes)
    output.data(made["token"])
    output.say("This token is not shown again.")


@app.command("list", cls=Command)
@takes_server
def list_(
    client: Client,
    everybody: Annotated[
        bool, typer.Option("--all", help="Everybody's tokens (admins only).")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List your tokens; never the tokens themselves, of which only a hash is kept.

    \b
    Examples:
      headgate token list
      headgate token list --all --json
    """
    query = {"all": "1"} if everybody else {}
    tokens: list[dict[str, Any]] = client.get(TOKENS, **query)["tokens"]
    if as_json:
        output.data_json(tokens)
        return
    columns = ("id", "name", "username", "read_only", "created_at", "expires_at")
    header = ("ID", "NAME", "USER", "READ-ONLY", "CREATED", "EXPIRES")
    output.table(header, [[token.get(column) for column in columns] for token in tokens])


@app.command("revoke", cls=Command)
@takes_server
def revoke(
    client: Client,
    identifier: Annotated[
        str, typer.Argument(metavar="ID", help="As `token list` shows it.", show_default=False)
    ],
) -> None:
    """Revoke a token; it is refused within 5 seconds.

    \b
    Example:
      headgate token revoke 4f3a9c0d1b2e5f67
    """
    client.send("DELETE", TOKENS, {"id": identifier})
    output.say(f"Revoked the token {identifier}.")
