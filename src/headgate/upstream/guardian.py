"""Runs one command and lets nothing of it outlive the process that asked for it.

A program of its own (`python -I -S guardian.py LIFE REPORT COMMAND…`), small because it stays
beside MLflow for life; it imports nothing but the standard library. It ends, with all its
descendants, when

- the pipe LIFE closes, which the kernel does for a parent that dies in whatever way;
- the command ends: then it ends as the command did, by the same signal or exit code.

It is the command's parent, and adopts processes whose own parent is gone (on Linux), so that
also those that left the process group are found. REPORT gets the command's process id.
SIGTERM and SIGINT are passed to the command as SIGTERM. Should LIFE close after that, the rest
is killed at once; otherwise it is asked first, and has three seconds.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import select
import signal
import sys
import time

GRACE_SECONDS = 3.0
_PAUSE = 0.02
_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36


def main(arguments: list[str]) -> None:
    """Run the command; does not return."""
    life, report, command = int(arguments[0]), int(arguments[1]), arguments[2:]
    for descriptor in (life, report):
        os.set_inheritable(descriptor, False)
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)
    wakes = _wake_up_on_signals()
    child = _start(command)
    asked = False

    def ask(*_: object) -> None:
        nonlocal asked
        asked = True
        _send(child, signal.SIGTERM)

    for signum in (signal.SIGTERM, signal.SIGINT):
        signal.signal(signum, ask)
    os.write(report, b"%d\n" % child)
    os.close(report)
    status = _wait(child, life, wakes)
    _end_descendants(at_once=asked or status is not None)
    _end_as(signal.SIGKILL if status is None else status)


def _wake_up_on_signals() -> int:
    """A descriptor that becomes readable when a signal has come."""
    readable, writable = os.pipe()
    os.set_blocking(writable, False)
    os.set_blocking(readable, False)
    signal.set_wakeup_fd(writable, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    return readable


def _start(command: list[str]) -> int:
    ourselves = os.getpid()
    child = os.fork()
    if child:
        return child
    try:
        for signum in (signal.SIGHUP, signal.SIGCHLD, signal.SIGPIPE):
            signal.signal(signum, signal.SIG_DFL)
        # Should the guardian itself be killed.
        _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() == ourselves:
            os.execvp(command[0], command)  # noqa: S606 - an argument list, and no shell
    except OSError as fault:
        os.write(2, f"{command[0]}: {fault.strerror}\n".encode())
    finally:
        os._exit(127)


def _wait(child: int, life: int, wakes: int) -> int | None:
    """Wait for the end of the command, which is how it ended, or of our parent, which is None."""
    while True:
        status = _reap(child)
        if status is not None:
            return status
        ready, _, _ = select.select([life, wakes], [], [])
        if life in ready:
            return None
        os.read(wakes, 512)


def _reap(child: int) -> int | None:
    """Bury who died; the wait status of `child` if it was among them."""
    found = None
    while True:
        try:
            process, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return found
        if process == 0:
            return found
        if process == child:
            found = status


def _end_descendants(*, at_once: bool) -> None:
    """End everybody below us: asked first, unless `at_once`, then killed."""
    if not at_once:
        _signal_descendants(signal.SIGTERM)
        deadline = time.monotonic() + GRACE_SECONDS
        while _descendants() and time.monotonic() < deadline:
            _reap(0)
            time.sleep(_PAUSE)
    # Again and again: one may be making the next while it is killed.
    while _descendants():
        _signal_descendants(signal.SIGKILL)
        _reap(0)
        time.sleep(_PAUSE)


def _signal_descendants(signum: int) -> None:
    for process in _descendants():
        _send(process, signum)


def _descendants() -> list[int]:
    """Every living process below us (Linux); elsewhere those of our process group."""
    children = _children_by_parent()
    if children is None:
        return _group()
    found, parents = [], [os.getpid()]
    while parents:
        below = children.get(parents.pop(), [])
        found += below
        parents += below
    return found


def _children_by_parent() -> dict[int, list[int]] | None:
    children: dict[int, list[int]] = {}
    try:
        processes = [name for name in os.listdir("/proc") if name.isdigit()]
    except FileNotFoundError:
        return None
    for name in processes:
        try:
            with open(f"/proc/{name}/stat", "rb") as file:
                # The command's name, in parentheses, may hold anything.
                state, parent = file.read().rpartition(b")")[2].split()[:2]
        except OSError:
            continue  # It ended meanwhile.
        if state != b"Z":
            children.setdefault(int(parent), []).append(int(name))
    return children if processes else None


def _group() -> list[int]:
    """Without /proc we cannot look; signal the group, from which we are safe but for SIGKILL."""
    try:
        os.waitpid(-1, os.WNOHANG)
    except ChildProcessError:
        return []
    return [-os.getpgrp()]


def _send(process: int, signum: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.kill(process, signum)


def _end_as(status: int) -> None:
    """End as a process with this wait status did."""
    if not os.WIFSIGNALED(status):
        os._exit(os.waitstatus_to_exitcode(status))
    signum = os.WTERMSIG(status)
    if signum != signal.SIGKILL:
        signal.signal(signum, signal.SIG_DFL)
    os.kill(os.getpid(), signum)
    os._exit(128 + signum)


def _prctl(option: int, value: int) -> None:
    if sys.platform.startswith("linux"):
        ctypes.CDLL(None).prctl(option, value, 0, 0, 0)


if __name__ == "__main__":
    main(sys.argv[1:])
