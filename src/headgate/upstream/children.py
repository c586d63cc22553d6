"""Starting processes that cannot outlive us, each under a `guardian`.

`start` is for asyncio, `start_blocking` for a thread. Whoever holds the `Lifeline` holds the
process: closed, by hand or by our death, the guardian ends the process and all below it.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

_GUARDIAN = Path(__file__).with_name("guardian.py")


@dataclass(frozen=True, slots=True)
class Command:
    """What to run. The environment may hold secrets, so it has no place in a repr."""

    arguments: tuple[str, ...]
    folder: Path
    environment: Mapping[str, str] = field(repr=False)


class Lifeline:
    """The writable end of a pipe that nobody writes to."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor: int | None = descriptor

    def cut(self) -> None:
        """Let the guardian end everything, now."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


async def start(command: Command) -> tuple[asyncio.subprocess.Process, int, Lifeline]:
    """Start `command`; its guardian, its own process id, and its lifeline.

    Standard output and error come together through the guardian's `stdout`. The guardian ends
    as the command does, so its return code is the command's.
    """
    with _Pipes() as pipes:
        process = await asyncio.create_subprocess_exec(
            *_guarded(command, pipes.inherited),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd=command.folder,
            env=command.environment,
            pass_fds=pipes.inherited,
            start_new_session=True,
        )
        pipes.close_inherited()
        loop = asyncio.get_running_loop()
        told = await loop.run_in_executor(None, os.read, pipes.report, 32)
        return process, int(told or b"0"), pipes.lifeline()


def start_blocking(command: Command, *, errors: int) -> tuple[subprocess.Popen[bytes], Lifeline]:
    """Start `command` for a thread that reads its output; `errors` takes its standard error."""
    with _Pipes() as pipes:
        process = subprocess.Popen(
            _guarded(command, pipes.inherited),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=errors,
            cwd=command.folder,
            env=command.environment,
            pass_fds=pipes.inherited,
            start_new_session=True,
        )
        pipes.close_inherited()
        # The guardian, whose report nobody would read, must not die of it.
        os.read(pipes.report, 32)
        return process, pipes.lifeline()


def how_it_ended(code: int) -> str:
    """A return code in words."""
    if code >= 0:
        return f"exit code {code}"
    try:
        return f"signal {-code} ({signal.Signals(-code).name})"
    except ValueError:
        return f"signal {-code}"


def kill_group(leader: int) -> None:
    """Kill what is left of a guardian's process group, should the guardian be gone itself."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(leader, signal.SIGKILL)


def _guarded(command: Command, inherited: tuple[int, int]) -> list[str]:
    # -I -S: no site packages and nothing from the environment, hence small and quick.
    python = [sys.executable, "-I", "-S", str(_GUARDIAN)]
    return [*python, *map(str, inherited), *command.arguments]


class _Pipes:
    """The pipes of one start: `inherited` is the guardian's, the rest ours.

    Whatever is still open at the end of the block is closed, but for a lifeline handed out.
    """

    def __init__(self) -> None:
        life_read, self._life = os.pipe()
        self.report, report_write = os.pipe()
        self.inherited = (life_read, report_write)
        self._open = {life_read, self._life, self.report, report_write}

    def close_inherited(self) -> None:
        """Once the guardian has them, so that the end of one side is seen by the other."""
        for descriptor in self.inherited:
            self._close(descriptor)

    def lifeline(self) -> Lifeline:
        """Hand over the lifeline."""
        self._open.discard(self._life)
        return Lifeline(self._life)

    def __enter__(self) -> _Pipes:
        return self

    def __exit__(self, *_: object) -> None:
        for descriptor in tuple(self._open):
            self._close(descriptor)

    def _close(self, descriptor: int) -> None:
        os.close(descriptor)
        self._open.discard(descriptor)
