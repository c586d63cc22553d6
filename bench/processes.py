"""The processes of one system: started together, watched, and ended to the last one.

MLflow starts workers and job runners of its own, some in sessions of their own; whoever was
once seen below one of ours is remembered, so that it is counted and ended wherever it went.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import psutil

# A tree is idle when it uses less than this share of one core, some seconds in a row.
QUIET_SHARE = 0.04
STOP_SECONDS = 20


class Processes:
    """What one system runs: everything started here and whatever that started."""

    def __init__(self) -> None:
        self._started: list[subprocess.Popen[bytes]] = []
        self._seen: dict[int, psutil.Process] = {}

    def start(
        self, command: Sequence[str], *, folder: Path, log: Path, environment: Mapping[str, str]
    ) -> None:
        """Start a program that runs until `stop`; what it prints goes to the end of `log`."""
        # So that it ends with us even if we are killed, where the machine can do that.
        setpriv = shutil.which("setpriv")
        prefix = [setpriv, "--pdeathsig", "TERM"] if setpriv else []
        with log.open("ab") as output:
            process = subprocess.Popen(
                [*prefix, *command],
                cwd=folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        self._started.append(process)
        self._seen[process.pid] = psutil.Process(process.pid)

    def ended(self) -> str:
        """Why this system can't answer any more; empty while all that we started runs."""
        for process in self._started:
            code = process.poll()
            if code is not None:
                return f"{process.args!r} ended with exit code {code}"
        return ""

    def alive(self) -> list[psutil.Process]:
        """Every process of the tree that runs now."""
        for process in list(self._seen.values()):
            try:
                below = process.children(recursive=True)
            except psutil.NoSuchProcess:
                continue
            for child in below:
                self._seen.setdefault(child.pid, child)
        return [process for process in self._seen.values() if _runs(process)]

    def cpu_seconds(self) -> float:
        """Processor time that the living processes have used so far."""
        return sum(_cpu_seconds(process) for process in self.alive())

    def resident_bytes(self) -> int:
        """Memory of the tree: the sum of PSS, where a page that several share counts once.

        The sum of RSS would count MLflow's shared pages once per worker. Where the system has
        no PSS (other than Linux) it is the sum of USS, which leaves shared pages out.
        """
        return sum(_resident_bytes(process) for process in self.alive())

    def wait_until_idle(self, *, quiet_seconds: int, limit_seconds: float) -> bool:
        """Wait until the tree was quiet for so long; False when it wasn't within the limit."""
        deadline = time.monotonic() + limit_seconds
        quiet = 0
        used = self.cpu_seconds()
        while quiet < quiet_seconds:
            if time.monotonic() > deadline:
                return False
            time.sleep(1)
            before, used = used, self.cpu_seconds()
            quiet = quiet + 1 if abs(used - before) < QUIET_SHARE else 0
        return True

    def stop(self) -> None:
        """End everything, politely at first; nothing of the tree runs afterwards."""
        self.alive()
        for process in reversed(self._started):
            if process.poll() is None:
                process.terminate()
        deadline = time.monotonic() + STOP_SECONDS
        while self.alive() and time.monotonic() < deadline:
            for process in self._started:
                process.poll()
            time.sleep(0.05)
        for survivor in self.alive():
            survivor.kill()
        for process in self._started:
            process.wait(10)
        self._started.clear()
        self._seen.clear()


def _cpu_seconds(process: psutil.Process) -> float:
    try:
        times = process.cpu_times()
    except psutil.NoSuchProcess:
        return 0
    return times.user + times.system


def _resident_bytes(process: psutil.Process) -> int:
    try:
        memory = process.memory_full_info()
    except psutil.NoSuchProcess:
        return 0
    return int(getattr(memory, "pss", memory.uss))


def _runs(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def as_ourselves() -> str:
    """The name of the user that we are."""
    import pwd

    return pwd.getpwuid(os.geteuid()).pw_name
