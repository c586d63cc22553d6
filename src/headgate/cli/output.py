"""What a command prints: data to standard output, everything else to standard error."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from headgate.errors import HeadgateError
from headgate.finding import Finding


def data(text: str) -> None:
    """A line that a script may read."""
    sys.stdout.write(f"{text}\n")


def data_json(value: Any) -> None:
    """A value for `--json`."""
    data(json.dumps(value, indent=2))


def table(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Print aligned columns; understandable without colour."""
    for line in columns(header, rows):
        data(line)


def columns(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> Iterator[str]:
    """The lines of a table."""
    lines = [list(header), *([_cell(value) for value in row] for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(header))]
    for line in lines:
        padded = (cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        yield "  ".join(padded).rstrip()


def say(text: str) -> None:
    """A line for the person at the terminal."""
    sys.stderr.write(f"{text}\n")


def warn(text: str) -> None:
    """Something that works but deserves attention."""
    say(f"warning: {text}")


def show_error(error: HeadgateError) -> None:
    """What happened and, after a blank line, what to do next."""
    say(f"error: {error}")
    if error.hint:
        say(f"\n{error.hint}")


def finding_lines(finding: Finding) -> Iterator[str]:
    """What a check saw and, below it, how to mend it."""
    yield f"{finding.state:<8} {finding.about:<10} {finding.text}"
    if finding.mend:
        yield f"{'':<19} -> {finding.mend}"


def size(count: float) -> str:
    """Bytes for people."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "B" or count >= 10 else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value)
