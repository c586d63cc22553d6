"""Runs MLflow for the gateway: migrates, starts, watches, starts again, stops.

`Supervisor.run` is its life, from the first migration until `stop`; the gateway only asks
`state` and `wait_ready`. A process that ends is started again after a pause that doubles up to
half a minute, for ever: what is wrong is said at once and stays in `state`, and an operator who
mends it need not start Headgate again.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from headgate.database.uris import without_secrets
from headgate.errors import UpstreamError
from headgate.gateway.upstream import Phase, UpstreamAddress, UpstreamState
from headgate.keys import installation_key
from headgate.observation import (
    Event,
    Observe,
    UpstreamLine,
    UpstreamReady,
    UpstreamStarting,
    UpstreamStopped,
)
from headgate.settings import Settings
from headgate.upstream import launch
from headgate.upstream.backoff import BackOff
from headgate.upstream.children import Command, Lifeline, how_it_ended, kill_group, start
from headgate.upstream.health import answers
from headgate.upstream.lines import Lines
from headgate.upstream.migrate import Confirm, migrate
from headgate.upstream.threads import in_daemon_thread

LOOK_SECONDS = 0.05
START_SECONDS = 300.0
# Short: when Headgate stops, the gateway has finished what was under way before.
STOP_SECONDS = 2.0
LAST_SECONDS = 4.0
MakeCommand = Callable[[Settings], Command]
Prepare = Callable[[Settings, Observe, Confirm, threading.Event], None]


def refuse(question: str) -> bool:
    """The `Confirm` of somebody who is not there to say yes."""
    return False


def _migrate(
    settings: Settings, observe: Observe, confirm: Confirm, cancelled: threading.Event
) -> None:
    migrate(settings, observe, confirm, cancelled=cancelled)


@dataclass(slots=True)
class _Running:
    """One MLflow process, from its start to its end."""

    guardian: asyncio.subprocess.Process
    pid: int
    lifeline: Lifeline
    began: float
    ready_at: float | None = None
    gave_up: bool = False


class Supervisor:
    """An `Upstream` that is a process of ours.

    `confirm` is asked before an existing store is migrated. `command` and `prepare` are other
    than MLflow only in tests.
    """

    def __init__(
        self,
        settings: Settings,
        observe: Observe,
        *,
        confirm: Confirm = refuse,
        command: MakeCommand = launch.server,
        prepare: Prepare = _migrate,
    ) -> None:
        self._settings = settings
        self._observe = observe
        self._confirm = confirm
        self._command = command
        self._prepare = prepare
        self._phase: Phase = "migrating"
        self._running: _Running | None = None
        self._restarts = 0
        self._last_stop: str | None = None
        self._back_off = BackOff()
        self._stopping = asyncio.Event()
        self._stop_seconds = STOP_SECONDS
        self._cancel_migration = threading.Event()
        self._changed = asyncio.Condition()

    @property
    def address(self) -> UpstreamAddress:
        """MLflow's socket in the private folder."""
        return UpstreamAddress(launch.socket_path(self._settings), "http://localhost")

    @property
    def state(self) -> UpstreamState:
        """How MLflow is now; `uptime` counts from when it first answered."""
        running = self._running
        ready_at = running.ready_at if running else None
        return UpstreamState(
            phase=self._phase,
            pid=running.pid if running else None,
            restarts=self._restarts,
            uptime=time.monotonic() - ready_at if ready_at is not None else 0.0,
            last_stop=self._last_stop,
        )

    async def wait_ready(self, seconds: float) -> bool:
        """Whether MLflow answers, at the latest after `seconds`; at once if it never will."""
        try:
            async with asyncio.timeout(seconds), self._changed:
                await self._changed.wait_for(lambda: self._phase in ("ready", "stopped"))
        except TimeoutError:
            return False
        return self._phase == "ready"

    async def run(self) -> None:
        """Migrate, then keep MLflow running until `stop`.

        Raises `HeadgateError` if the database cannot be migrated or the folder not be used.
        """
        try:
            await self._migrate()
            while not self._stopping.is_set():
                await self._enter("restarting" if self._last_stop else "starting")
                await self._run_once()
                await self._pause()
        finally:
            await asyncio.shield(self._end())

    async def stop(self, *, within: float = STOP_SECONDS + LAST_SECONDS) -> None:
        """Ask MLflow to end and see to it, `within` so many seconds; `run` then returns.

        At least four are needed where MLflow does not end when asked.
        """
        self._stop_seconds = min(STOP_SECONDS, max(0.0, within - LAST_SECONDS))
        self._cancel_migration.set()
        self._stopping.set()
        async with self._changed:
            await self._changed.wait_for(lambda: self._phase == "stopped")

    async def _migrate(self) -> None:
        loop = asyncio.get_running_loop()

        def observe(event: Event) -> None:
            loop.call_soon_threadsafe(self._observe, event)

        def work() -> None:
            launch.private_folder(self._settings.folder())
            launch.private_folder(self._settings.run_dir())
            installation_key(self._settings.key_path(), self._settings.secret_key_secret)
            self._prepare(self._settings, observe, self._confirm, self._cancel_migration)

        working = in_daemon_thread(work)
        stopping = asyncio.create_task(self._stopping.wait())
        either: set[asyncio.Future[Any]] = {working, stopping}
        await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        if self._stopping.is_set():
            # It ends within this time but where a database does not answer; then it is left.
            await asyncio.wait({working}, timeout=LAST_SECONDS)
            working.cancel()
        else:
            await working

    async def _run_once(self) -> None:
        """One life of MLflow: returns when it has ended."""
        await asyncio.to_thread(launch.tidy, self._settings.run_dir())
        began = time.monotonic()
        try:
            guardian, pid, lifeline = await start(self._command(self._settings))
        except OSError as fault:
            raise UpstreamError(
                f"No process can be started for MLflow: {fault.strerror}."
            ) from None
        running = self._running = _Running(guardian, pid, lifeline, began)
        self._observe(UpstreamStarting(pid))
        lines = Lines(self._pass_on)
        reading = asyncio.create_task(lines.read(guardian.stdout))
        watching = asyncio.create_task(self._become_ready(running))
        stopping = asyncio.create_task(self._stopping.wait())
        ending = asyncio.create_task(guardian.wait())
        try:
            await asyncio.wait({ending, stopping}, return_when=asyncio.FIRST_COMPLETED)
            watching.cancel()
            await self._enter("restarting")
        finally:
            await self._finish(running)
            # What it said last, unless something that escaped us keeps the stream open.
            await asyncio.wait({reading}, timeout=LAST_SECONDS)
            for task in (watching, stopping, reading):
                task.cancel()
            await asyncio.gather(watching, stopping, reading, ending, return_exceptions=True)
        self._note_end(running, lines.last)

    def _pass_on(self, line: str) -> str:
        """Log a line of MLflow's, which might name a database with its password."""
        line = without_secrets(line, self._settings.backend_uri(), self._settings.auth_uri())
        self._observe(UpstreamLine(line))
        return line

    async def _become_ready(self, running: _Running) -> None:
        """Say when MLflow answers; end it if it never does."""
        socket = launch.socket_path(self._settings)
        deadline = running.began + START_SECONDS
        while not (socket.exists() and await answers(self.address)):
            if time.monotonic() > deadline:
                running.gave_up = True
                running.lifeline.cut()
                return
            await asyncio.sleep(LOOK_SECONDS)
        running.ready_at = time.monotonic()
        self._observe(UpstreamReady(running.pid, running.ready_at - running.began))
        await self._enter("ready")

    async def _finish(self, running: _Running) -> None:
        """The end of a process that may still run: asked, then with everything below it killed."""
        if running.guardian.returncode is None:
            running.guardian.send_signal(signal.SIGTERM)
            if not await _ends(running.guardian, self._stop_seconds):
                running.lifeline.cut()
                if not await _ends(running.guardian, LAST_SECONDS):
                    running.guardian.kill()
        running.lifeline.cut()
        kill_group(running.guardian.pid)
        await running.guardian.wait()

    def _note_end(self, running: _Running, last_line: str | None) -> None:
        self._running = None
        if self._stopping.is_set():
            return
        now = time.monotonic()
        reason = how_it_ended(running.guardian.returncode or 0)
        if running.gave_up:
            reason = f"it did not answer within {START_SECONDS:g} s"
        if last_line:
            reason = f"{reason}: {last_line}"
        self._last_stop = reason
        self._restarts += 1
        pause = self._back_off.after(now - running.ready_at if running.ready_at else 0.0)
        self._observe(
            UpstreamStopped(running.pid, reason, now - running.began, self._restarts, pause)
        )

    async def _pause(self) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._stopping.wait(), self._back_off.seconds)

    async def _enter(self, phase: Phase) -> None:
        self._phase = phase
        async with self._changed:
            self._changed.notify_all()

    async def _end(self) -> None:
        await asyncio.to_thread(launch.tidy, self._settings.run_dir())
        await self._enter("stopped")


async def _ends(process: asyncio.subprocess.Process, seconds: float) -> bool:
    try:
        await asyncio.wait_for(asyncio.shield(process.wait()), seconds)
    except TimeoutError:
        return False
    return True
