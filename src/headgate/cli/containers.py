"""`headgate serve`, `mlflow` and `migrate`: the parts of `headgate up`, one per container."""

from __future__ import annotations

import asyncio
import os
from typing import Annotated

import typer

from headgate.cli import output
from headgate.cli.asking import allowed_to_migrate
from headgate.cli.command import Command, takes_settings
from headgate.errors import HeadgateError
from headgate.observation import Event, MigrationFinished, MigrationStep
from headgate.settings import Settings
from headgate.settings.database import DatabaseSettings
from headgate.settings.limits import DoorSettings

_STORES = frozenset(DatabaseSettings.model_fields) | {
    "data_dir",
    "admin_username",
    "admin_secret",
}
_OF_MLFLOW = (
    _STORES
    | frozenset(DoorSettings.model_fields)
    | {"default_permission", "secret_key_file", "secret_key_secret", "edge", "drain_seconds"}
)
Yes = Annotated[bool, typer.Option("--yes", help="Migrate an existing store without asking.")]
Maintenance = Annotated[
    bool,
    typer.Option(
        "--maintenance",
        help="No other server works with the stores: also migrate what servers of the version "
        "before could not work with. Needed with the setting edge alone.",
    ),
]


def add_to(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command("serve", cls=Command)(serve)
    app.command("mlflow", cls=Command)(mlflow)
    app.command("migrate", cls=Command)(migrate_)


@takes_settings()
def serve(
    settings: Settings,
    upstream: Annotated[
        str,
        typer.Option(
            "--upstream",
            metavar="ADDRESS",
            help="Where MLflow listens: unix:/path/of/mlflow.sock or http://host:port.",
            show_default=False,
        ),
    ],
) -> None:
    """Run the gateway alone, in front of a `headgate mlflow` that shares the secret key.

    \b
    Examples:
      headgate serve --upstream unix:/run/headgate/mlflow.sock
      headgate serve --upstream http://127.0.0.1:5001 --host 0.0.0.0 --allowed-hosts example.com
    """
    from headgate.cli.serving import logging, serve_gateway
    from headgate.gateway.server import run
    from headgate.upstream import RemoteUpstream
    from headgate.upstream.launch import private_folder

    for caution in settings.cautions():
        output.warn(caution)
    private_folder(settings.folder())

    async def serving() -> None:
        remote = RemoteUpstream(upstream)
        watching = asyncio.create_task(remote.watch())
        try:
            await serve_gateway(
                settings, remote, log, on_listening=lambda address: None, stop=asyncio.Event()
            )
        finally:
            watching.cancel()

    with logging(settings) as (log, _):
        run(serving())


@takes_settings(only=_OF_MLFLOW)
def mlflow(
    settings: Settings,
    listen: Annotated[
        str | None,
        typer.Option(
            "--listen",
            metavar="ADDRESS",
            help="unix:/path/of/mlflow.sock or http://host:port. Default: a socket in the data "
            "folder.",
        ),
    ] = None,
    yes: Yes = False,
) -> None:
    """Migrate the stores, then run MLflow alone, for a `headgate serve` in front of it.

    Only requests that the gateway signed are answered. Told to stop, it goes on until the
    gateway has finished.

    \b
    Examples:
      headgate mlflow --listen unix:/run/headgate/mlflow.sock
      headgate mlflow --listen http://127.0.0.1:5001 --secret-key-file /run/secrets/headgate
    """
    from headgate.upstream import launch
    from headgate.upstream.remote import parse_address

    address = parse_address(listen) if listen else None
    _migrate(settings, yes=yes)
    command = launch.outlasting_server(settings, address)
    os.chdir(command.folder)
    os.execve(command.arguments[0], command.arguments, dict(command.environment))  # noqa: S606 - no shell


@takes_settings(only=_STORES | {"secret_key_file", "secret_key_secret", "edge"})
def migrate_(settings: Settings, yes: Yes = False, maintenance: Maintenance = False) -> None:
    """Bring the stores to the schema of the installed MLflow, and make the admin.

    Makes the database's user too, where database_user_secret names one. A copy of an SQLite
    file is made first. May be repeated at any time.

    \b
    Examples:
      headgate migrate
      headgate migrate --backend-store-uri postgresql://db/mlflow --yes
    """
    if not _migrate(settings, yes=yes, maintenance=maintenance):
        output.say("Everything is up to date; nothing was done.")


def _migrate(settings: Settings, *, yes: bool, maintenance: bool = False) -> bool:
    """Migrate after a yes; whether there was anything to do."""
    from headgate.keys import installation_key
    from headgate.upstream import migrate, plan
    from headgate.upstream.launch import private_folder

    private_folder(settings.folder())
    installation_key(settings.key_path(), settings.secret_key_secret)
    to_do = plan(settings)
    if not allowed_to_migrate(to_do.question, yes=yes):
        raise HeadgateError("Nothing was migrated.")
    migrate(settings, _tell, lambda question: True, maintenance=maintenance)
    return to_do.needed


def _tell(event: Event) -> None:
    if isinstance(event, MigrationStep):
        output.say(event.text)
    elif isinstance(event, MigrationFinished):
        output.say(f"Everything is up to date after {event.seconds:.1f} s.")
