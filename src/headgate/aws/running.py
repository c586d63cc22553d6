"""Other programs that we run: their lines as they come, their last words if they fail."""

from __future__ import annotations

import subprocess
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from headgate.errors import HeadgateError

OnLine = Callable[[str], None]
_LAST_LINES = 15


def run(
    command: Sequence[str],
    *,
    what: str,
    environment: Mapping[str, str],
    on_line: OnLine,
    secret_input: str | None = None,
    folder: Path | None = None,
) -> None:
    """Run a program to its end, handing over each line of its output.

    `secret_input` goes to its standard input. Raises `HeadgateError` with the last lines if it
    fails; `what` says in words what was tried.
    """
    last: deque[str] = deque(maxlen=_LAST_LINES)
    try:
        process = subprocess.Popen(
            command,
            env=dict(environment),
            cwd=folder,
            stdin=subprocess.DEVNULL if secret_input is None else subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        )
    except OSError as error:
        raise HeadgateError(f"{what}: {command[0]} could not be started ({error}).") from None
    with process:
        if process.stdin is not None and secret_input is not None:
            _write(process, secret_input)
        for raw in process.stdout or ():
            line = raw.rstrip()
            if line:
                last.append(line)
                on_line(line)
    if process.returncode != 0:
        words = "\n".join(f"  {line}" for line in last)
        raise HeadgateError(
            f"{what} failed ({Path(command[0]).name} ended with {process.returncode})."
            + (f" Its last lines:\n{words}" if words else "")
        )


def _write(process: subprocess.Popen[str], text: str) -> None:
    assert process.stdin is not None
    try:
        process.stdin.write(text)
        process.stdin.close()
    except BrokenPipeError:
        pass  # it ended before it read; its exit code says why
