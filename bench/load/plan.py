"""What to send: one kind of request, with holes that make each one of its kind distinct."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

_HOLE = re.compile(rb"\{\{(run|step|time|trace)\}\}")
# Longer than any benchmark counts: loads on one store never send the same number twice.
NUMBERS_PER_LOAD = 10_000_000
TRACE_HOLE = b"{{trace}}"


@dataclass(frozen=True, slots=True)
class Plan:
    """A request; in its body stand {{run}}, {{step}}, {{time}} and {{trace}} for the holes."""

    method: str
    path: str
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    runs: Sequence[str] = ()

    def lua(self, *, headers: Mapping[str, str], load: int, salt: bytes) -> bytes:
        """The plan as requests.lua reads it; `headers` are sent too, `load` numbers the loads."""
        sent = {**self.headers, **headers}
        lines = [
            b"return {",
            b"method = %b, path = %b," % (_text(self.method), _text(self.path)),
            b"first = %d, salt = %b," % (load * NUMBERS_PER_LOAD, _quoted(salt)),
            b"headers = {",
            *(b"[%b] = %b," % (_text(name), _text(sent[name])) for name in sent),
            b"},",
            b"runs = {%b}," % b", ".join(map(_text, self.runs)),
            b"body = {",
            *self._pieces(),
            b"}}",
        ]
        return b"\n".join(lines)

    def example(self, salt: bytes) -> bytes:
        """One body with its holes filled, in numbers that no load uses."""
        values = {
            b"run": (self.runs[0] if self.runs else "").encode(),
            b"step": b"0",
            b"time": b"1750000000000",
            b"trace": salt + bytes(8),
        }
        return _HOLE.sub(lambda match: values[match[1]], self.body)

    def _pieces(self) -> list[bytes]:
        # `split` with a group gives text and names of holes in turn.
        parts = _HOLE.split(self.body)
        return [
            b"{%b = %b}," % (b"hole" if number % 2 else b"text", _quoted(part))
            for number, part in enumerate(parts)
        ]


def _text(value: str) -> bytes:
    return _quoted(value.encode())


def _quoted(value: bytes) -> bytes:
    """A Lua string of exactly these bytes."""
    return b'"%b"' % b"".join(
        bytes((byte,)) if 32 <= byte < 127 and byte not in b'"\\' else b"\\%03d" % byte
        for byte in value
    )
