"""MLflow's process dies, hangs or does not start; we die. What is left, what is said."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import psutil
import pytest

from headgate.errors import HeadgateError
from headgate.observation import (
    Event,
    Observe,
    UpstreamLine,
    UpstreamReady,
    UpstreamStarting,
    UpstreamStopped,
)
from headgate.settings import Settings
from headgate.upstream import Supervisor
from headgate.upstream.children import Command
from headgate.upstream.launch import socket_path
from tests.harness.server import SOURCE
from tests.harness.waiting import eventually

STAND_IN = Path(__file__).with_name("stand_in.py")
SUPERVISING_PROCESS = """
import asyncio, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from tests.faults.test_upstream import supervisor
async def main():
    tell = lambda event: print(event, flush=True)
    await supervisor(Path(sys.argv[2]), *sys.argv[3:], observe=tell).run()
asyncio.run(main())
"""


def nothing_to_migrate(*_: object) -> None:
    """The stand-in has no database."""


def supervisor(
    folder: Path,
    *wishes: str,
    observe: Observe = lambda _: None,
    prepare: Callable[..., None] = nothing_to_migrate,
) -> Supervisor:
    """A supervisor of a stand-in with these wishes."""

    def command(settings: Settings) -> Command:
        arguments = (sys.executable, "-S", str(STAND_IN), str(socket_path(settings)), *wishes)
        return Command(arguments, settings.run_dir(), {})

    return Supervisor(Settings(data_dir=folder), observe, command=command, prepare=prepare)


class Seen(list[Event]):
    """The events of a supervisor, for whoever waits for one."""

    def __init__(self) -> None:
        super().__init__()
        self._more = asyncio.Event()

    def __call__(self, event: Event) -> None:
        self.append(event)
        self._more.set()

    async def first(self, kind: type, count: int = 1) -> Event:
        """The `count`-th event of a kind, once it has come."""
        async with asyncio.timeout(30):
            while len(found := [event for event in self if isinstance(event, kind)]) < count:
                self._more.clear()
                await self._more.wait()
        return found[count - 1]


@asynccontextmanager
async def running(
    folder: Path, *wishes: str, **more: Callable[..., None]
) -> AsyncIterator[tuple[Supervisor, Seen]]:
    seen = Seen()
    made = supervisor(folder, *wishes, observe=seen, **more)
    life = asyncio.create_task(made.run())
    try:
        yield made, seen
    finally:
        await made.stop()
        await life


def below(process: psutil.Process) -> list[psutil.Process]:
    return process.children(recursive=True)


def tree_of(made: Supervisor) -> list[psutil.Process]:
    """MLflow's guardian and everything below it."""
    guardian = guardian_of(made)
    return [guardian, *below(guardian)]


def guardian_of(made: Supervisor) -> psutil.Process:
    guardian = psutil.Process(made.state.pid).parent()
    assert guardian is not None
    return guardian


def grandchild_of(lines: list[str]) -> psutil.Process:
    found = next(line for line in lines if "grandchild" in line)
    return psutil.Process(int("".join(filter(str.isdigit, found.rpartition("grandchild")[2]))))


def gone(processes: list[psutil.Process]) -> bool:
    return not any(
        process.is_running() and process.status() != psutil.STATUS_ZOMBIE for process in processes
    )


async def test_it_becomes_ready_and_is_stopped(tmp_path: Path) -> None:
    async with running(tmp_path) as (made, seen):
        assert not await made.wait_ready(0)
        assert await made.wait_ready(30)
        pid = made.state.pid
        assert made.state.phase == "ready"
        assert (await seen.first(UpstreamReady)).pid == pid
        processes = tree_of(made)
        assert pid in [process.pid for process in processes]
    assert made.state.phase == "stopped"
    assert gone(processes)
    assert not socket_path(Settings(data_dir=tmp_path)).exists()
    assert not await made.wait_ready(30)


async def test_after_sigkill_it_is_started_again_and_the_reason_is_kept(tmp_path: Path) -> None:
    async with running(tmp_path) as (made, seen):
        assert await made.wait_ready(30)
        first = made.state.pid
        assert first is not None
        os.kill(first, signal.SIGKILL)
        stopped = await seen.first(UpstreamStopped)
        assert (stopped.pid, stopped.reason, stopped.restart_in) == (
            first,
            "signal 9 (SIGKILL)",
            0.5,
        )
        assert made.state.phase == "restarting"
        assert await made.wait_ready(30)
        assert made.state.pid != first
        assert (made.state.restarts, made.state.last_stop) == (1, "signal 9 (SIGKILL)")


async def test_the_death_of_the_guardian_alone_is_a_restart_as_well(tmp_path: Path) -> None:
    async with running(tmp_path) as (made, seen):
        assert await made.wait_ready(30)
        guardian, mlflow = guardian_of(made), psutil.Process(made.state.pid)
        guardian.kill()
        await seen.first(UpstreamStopped)
        eventually(lambda: gone([mlflow]), seconds=10)
        assert await made.wait_ready(30)


async def test_what_it_left_running_ends_with_it(tmp_path: Path) -> None:
    async with running(tmp_path, "grandchild") as (made, seen):
        assert await made.wait_ready(30)
        grandchild = grandchild_of([e.text for e in seen if isinstance(e, UpstreamLine)])
        os.kill(made.state.pid or 0, signal.SIGKILL)
        await seen.first(UpstreamStopped)
        assert gone([grandchild])


async def test_one_that_fails_at_once_is_tried_again_with_its_reason_told(tmp_path: Path) -> None:
    async with running(tmp_path, "ends") as (made, seen):
        first = await seen.first(UpstreamStopped)
        assert first.reason == "exit code 3: stand_in.SettingError: no such thing as a port"
        second = await seen.first(UpstreamStopped, 2)
        assert [first.restart_in, second.restart_in] == [0.5, 1.0]
        assert made.state.last_stop == second.reason
        assert not await made.wait_ready(0)


async def test_one_that_never_answers_is_killed_and_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("headgate.upstream.supervise.START_SECONDS", 0.5)
    async with running(tmp_path, "slow") as (_, seen):
        stopped = await seen.first(UpstreamStopped)
        assert stopped.reason.startswith("it did not answer within 0.5 s")


async def test_one_that_ignores_sigterm_is_killed_in_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("headgate.upstream.supervise.STOP_SECONDS", 0.5)
    async with running(tmp_path, "stubborn", "grandchild") as (made, _):
        assert await made.wait_ready(30)
        processes = tree_of(made)
    assert gone(processes)


async def test_stopping_in_the_middle_of_a_start_leaves_nothing(tmp_path: Path) -> None:
    async with running(tmp_path, "slow", "grandchild") as (made, seen):
        await seen.first(UpstreamLine)
        processes = tree_of(made)
        assert len(processes) == 3
    assert gone(processes)
    assert not any(isinstance(event, UpstreamStopped) for event in seen)


async def test_stopping_in_the_middle_of_a_migration_ends_it(tmp_path: Path) -> None:
    begun = asyncio.Event()
    loop = asyncio.get_running_loop()

    def migration(settings: Settings, observe: Observe, confirm: object, cancelled: object) -> None:
        loop.call_soon_threadsafe(begun.set)
        assert cancelled.wait(30)  # type: ignore[attr-defined]  # a threading.Event
        raise HeadgateError("stopped")

    async with running(tmp_path, prepare=migration) as (made, seen):
        await begun.wait()
        assert made.state.phase == "migrating"
    assert not any(isinstance(event, UpstreamStarting) for event in seen)


async def test_a_migration_that_hangs_does_not_keep_us(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("headgate.upstream.supervise.LAST_SECONDS", 0.2)
    released = threading.Event()
    async with running(tmp_path, prepare=lambda *_: released.wait()) as (made, _):
        assert not await made.wait_ready(0)
    assert made.state.phase == "stopped"
    released.set()


async def test_a_database_that_cannot_be_migrated_ends_the_supervisor(tmp_path: Path) -> None:
    def migration(*_: object) -> None:
        raise HeadgateError("It is newer.")

    made = supervisor(tmp_path, prepare=migration)
    with pytest.raises(HeadgateError, match="It is newer"):
        await made.run()
    assert made.state.phase == "stopped"
    assert not await made.wait_ready(30)
    await made.stop()


@pytest.mark.parametrize("with_signal", [signal.SIGKILL, signal.SIGTERM])
@pytest.mark.parametrize(
    "wishes", [["grandchild"], ["grandchild", "stubborn"], ["slow", "grandchild"]]
)
def test_nothing_outlives_the_supervisor(
    tmp_path: Path, wishes: list[str], with_signal: signal.Signals
) -> None:
    root = str(Path(__file__).parents[2])
    process = subprocess.Popen(
        [sys.executable, "-c", SUPERVISING_PROCESS, root, str(tmp_path), *wishes],
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": str(SOURCE)},
    )
    assert process.stdout is not None
    last = "UpstreamLine" if "slow" in wishes else "UpstreamReady"
    lines = []
    for line in process.stdout:
        lines.append(line)
        if line.startswith(last):
            break
    processes = below(psutil.Process(process.pid))
    assert grandchild_of(lines) in processes
    assert len(processes) == 3
    process.send_signal(with_signal)
    process.communicate()
    eventually(lambda: gone(processes), seconds=10)
