"""`headgate up`: the gateway and the MLflow behind it, as one process tree.

The order matters: whatever can be wrong is found before anything is started, an old store is
asked about, the gateway listens, and only then MLflow is migrated and started behind it.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated

import typer

from headgate.cli import output
from headgate.cli.asking import allowed_to_migrate
from headgate.cli.command import Command, takes_settings
from headgate.settings import Settings

if TYPE_CHECKING:
    from headgate.observation import Observe
    from headgate.upstream import DataFolder, Supervisor

# From Ctrl-C to the last process; a guardian gives what it ends three seconds of grace.
STOP_SECONDS = 10.0
LEAST_SECONDS_FOR_MLFLOW = 4.0


def add_to(app: typer.Typer) -> None:
    """Add the command of this module."""
    app.command("up", cls=Command)(up)


@takes_settings()
def up(
    settings: Settings,
    yes: Annotated[
        bool, typer.Option("--yes", help="Migrate an existing store without asking.")
    ] = False,
) -> None:
    """Run MLflow here, locked and signed-in, until Ctrl-C.

    Every setting below has a HEADGATE_* variable and a key in headgate.toml too.

    \b
    Examples:
      headgate up
      headgate up --backend-store-uri sqlite:///mlflow.db
      headgate up --host 0.0.0.0 --allowed-hosts mlflow.example.com
    """
    # Here, so that other commands need not wait for these.
    from headgate.cli.progress import Progress
    from headgate.cli.serving import logging, welcome
    from headgate.gateway.server import run
    from headgate.upstream import DataFolder, plan

    for caution in settings.cautions():
        output.warn(caution)
    with DataFolder(settings.folder()) as folder:
        agreed = allowed_to_migrate(plan(settings).question, yes=yes)
        if not agreed:
            output.say("Nothing was changed.")
            raise typer.Exit(1)
        with (
            logging(settings) as (log, held),
            Progress(log, held, ready=lambda: welcome(settings)) as progress,
        ):
            run(_serve(settings, folder, progress))


async def _serve(settings: Settings, folder: DataFolder, observe: Observe) -> None:
    from headgate.cli.serving import Stopwatch, serve_gateway
    from headgate.upstream import Supervisor

    supervisor = Supervisor(settings, observe, confirm=lambda question: True)
    life = _Life(supervisor)
    draining = Stopwatch(observe)

    def on_listening(address: str) -> None:
        folder.announce(address)
        life.begin()

    try:
        await serve_gateway(
            settings, supervisor, draining, on_listening=on_listening, stop=life.ended
        )
    finally:
        await life.end(STOP_SECONDS - draining.seconds)


class _Life:
    """The supervisor's task: begun once we listen, ended when we no longer do."""

    def __init__(self, supervisor: Supervisor) -> None:
        self._supervisor = supervisor
        self._task: asyncio.Task[None] | None = None
        # Set when the supervisor gives up by itself, which ends the gateway too.
        self.ended = asyncio.Event()

    def begin(self) -> None:
        self._task = asyncio.create_task(self._supervisor.run())
        self._task.add_done_callback(lambda _: self.ended.set())

    async def end(self, seconds: float) -> None:
        """Stop MLflow; raises what made the supervisor give up."""
        if self._task is not None:
            await self._supervisor.stop(within=max(seconds, LEAST_SECONDS_FOR_MLFLOW))
            await self._task
