"""What an event becomes in the log: a line for people, or JSON for machines.

Requests are formatted by hand, since every request pays for its line; the other events go
through structlog. Nothing a client sends can end a line, start another one, or look like
another field: such characters are written as escapes. No line holds a query string, a header
or a body. Start at `AccessLog.__call__`.
"""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Callable
from typing import Any

import msgspec
import structlog
from structlog.typing import EventDict, FilteringBoundLogger, WrappedLogger

from headgate.gateway.log_writer import LogWriter
from headgate.observation import (
    Draining,
    Event,
    GatewayFault,
    MigrationFinished,
    MigrationStarted,
    MigrationStep,
    PasswordRotated,
    RequestFinished,
    SecretUnreadable,
    ServerListening,
    SignedIn,
    SignInRefused,
    UpstreamLine,
    UpstreamReady,
    UpstreamStarting,
    UpstreamStopped,
    UsersUnreadable,
)

_SERVER_FAULT = 500
_PLAIN_WORD = re.compile(r"[!#-\[\]-~]+", re.ASCII)
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_PASSWORD_IN_URL = re.compile(r"(://[^\s:/@]*):[^\s@/]+@")


class AccessLog:
    """An `Observe` that writes every event, as JSON or as text."""

    def __init__(self, writer: LogWriter, *, as_json: bool) -> None:
        self._writer = writer
        self._clock = _Clock(local=not as_json)
        self._request_line = _request_as_json if as_json else _request_as_text
        self._logger: FilteringBoundLogger = structlog.wrap_logger(
            _Sink(writer),
            processors=[structlog.processors.add_log_level, self._add_time]
            + ([_render_json] if as_json else [_render_text]),
            wrapper_class=structlog.make_filtering_bound_logger(0),
        )

    def __call__(self, event: Event) -> None:
        if isinstance(event, RequestFinished):
            # A load balancer asks every second, and the other events tell how it is.
            if event.route != "health":
                self._writer.write(self._request_line(event, self._clock.now()))
            return
        level, part, text = describe(event)
        fields = msgspec.to_builtins(event)
        log = getattr(self._logger, level)
        log(text, part=part, kind=type(event).__name__, fields=fields)

    def close(self) -> None:
        """Write what is left."""
        self._writer.close()

    def _add_time(self, _logger: WrappedLogger, _method: str, entry: EventDict) -> EventDict:
        entry["time"] = self._clock.now()
        return entry


def make_access_log(log_format: str, write: Callable[[bytes], object] | None = None) -> AccessLog:
    """The log on standard error, or what `write` makes of its lines; `auto` is text in a terminal
    and JSON elsewhere."""
    as_json = log_format == "json" or (log_format == "auto" and not os.isatty(2))
    return AccessLog(LogWriter(write), as_json=as_json)


def describe(event: Event) -> tuple[str, str, str]:
    """Level, part of the system and sentence of an event that is not a request."""
    match event:
        case SignedIn():
            return "info", "sign-in", f"{word(event.username)} signed in from {word(event.client)}"
        case SignInRefused():
            return (
                "warning",
                "sign-in",
                f"refused {event.way_in} from {word(event.client)}: {event.reason} "
                f"({event.request_id})",
            )
        case UsersUnreadable():
            return "warning", "sign-in", f"users cannot be read: {_one_line(event.reason)}"
        case PasswordRotated():
            return (
                "info",
                "sign-in",
                f"{word(event.username)} has a new password; the old one is good for "
                f"{event.grace_minutes:g} minutes",
            )
        case SecretUnreadable():
            return "warning", "sign-in", _one_line(event.reason)
        case MigrationStarted():
            found = event.found or "empty"
            return (
                "info",
                "database",
                f"schema of {event.chain} is at {found}; bringing it to {event.head}",
            )
        case MigrationStep():
            return "info", "database", _one_line(event.text)
        case MigrationFinished():
            return "info", "database", f"schemas are up to date after {event.seconds:.1f} s"
        case UpstreamStarting():
            return "info", "upstream", f"MLflow is starting (process {event.pid})"
        case UpstreamReady():
            return (
                "info",
                "upstream",
                f"MLflow is ready after {event.seconds:.1f} s (process {event.pid})",
            )
        case UpstreamStopped():
            return (
                "warning",
                "upstream",
                f"MLflow stopped ({event.reason}) after {event.uptime:.0f} s; "
                f"restart {event.restarts} in {event.restart_in:.0f} s",
            )
        case UpstreamLine():
            return "info", "mlflow", _one_line(event.text)
        case ServerListening():
            return "info", "server", f"listening at {event.address}"
        case Draining():
            return "info", "server", f"{event.signal}: finishing what is under way"
        case GatewayFault():
            return "error", "gateway", f"fault in request {event.request_id}"
        case _:
            return "info", "server", _sentence_of(event)


def word(value: str) -> str:
    """A value as one word: as it is, or quoted with escapes if it could be read otherwise."""
    return value if _PLAIN_WORD.fullmatch(value) else json.dumps(value)


def _sentence_of(event: object) -> str:
    """An event without a sentence of its own: its name and its values."""
    name = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", type(event).__name__).lower()
    values = ", ".join(f"{key} {word(str(value))}" for key, value in _values(event).items())
    return f"{name}: {values}" if values else name


def _values(event: object) -> dict[str, Any]:
    values: dict[str, Any] = msgspec.to_builtins(event)
    return values


def _one_line(text: str) -> str:
    """A line of another program: without colours, control characters and passwords in URLs."""
    text = _PASSWORD_IN_URL.sub(r"\1:***@", _COLOUR.sub("", text.rstrip()))
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c == "\t" else _escape(c) for c in text)


def _escape(character: str) -> str:
    return json.dumps(character)[1:-1] if character != "\x7f" else "\\u007f"


# --- requests -----------------------------------------------------------------------------


class _RequestLine(msgspec.Struct):
    time: str
    level: str
    part: str
    status: int
    method: str
    path: str
    route: str
    ms: float
    bytes: int
    client: str
    username: str | None
    request_id: str


_encoder = msgspec.json.Encoder()


def _encode(value: Any) -> bytes:
    """JSON in ASCII: some readers take U+0085 or U+2028 for the end of a line."""
    encoded = _encoder.encode(value)
    return encoded if encoded.isascii() else json.dumps(msgspec.to_builtins(value)).encode()


def _request_as_json(event: RequestFinished, now: str) -> bytes:
    line = _RequestLine(
        now,
        "info" if event.status < _SERVER_FAULT else "warning",
        "request",
        event.status,
        event.method,
        event.path,
        event.route,
        round(event.seconds * 1000, 3),
        event.sent_bytes,
        event.client,
        event.username,
        event.request_id,
    )
    return _encode(line) + b"\n"


def _request_as_text(event: RequestFinished, now: str) -> bytes:
    level = "INFO" if event.status < _SERVER_FAULT else "WARNING"
    username = "-" if event.username is None else word(event.username)
    return (
        f"{now} {level} request: {event.status} {word(event.method)} {word(event.path)} "
        f"{event.seconds * 1000:.1f} ms {event.sent_bytes} B {username} {word(event.client)} "
        f"{event.request_id}\n"
    ).encode()


# --- the other events ---------------------------------------------------------------------


def _render_json(_logger: WrappedLogger, _method: str, entry: EventDict) -> bytes:
    fields = {
        key: _PASSWORD_IN_URL.sub(r"\1:***@", value) if isinstance(value, str) else value
        for key, value in entry["fields"].items()
    }
    line = {
        "time": entry["time"],
        "level": entry["level"],
        "part": entry["part"],
        "event": entry["kind"],
        "message": entry["event"],
    }
    fields.pop("text", None)  # Words of another program, and the message already.
    return _encode(line | fields) + b"\n"


def _render_text(_logger: WrappedLogger, _method: str, entry: EventDict) -> bytes:
    line = f"{entry['time']} {entry['level'].upper()} {entry['part']}: {entry['event']}\n"
    traceback = entry["fields"].get("traceback", "")
    more = "".join(f"    {_one_line(row)}\n" for row in traceback.splitlines())
    return (line + more).encode(errors="backslashreplace")


class _Sink:
    """What structlog calls with a rendered line."""

    def __init__(self, writer: LogWriter) -> None:
        self.debug = self.info = self.warning = self.error = writer.write


class _Clock:
    """Time stamps: of day for people, UTC with the date for machines; a second is formatted
    once."""

    def __init__(self, *, local: bool) -> None:
        self._local = local
        self._second = -1
        self._formatted = ""

    def now(self) -> str:
        moment = time.time()
        second = int(moment)
        if second != self._second:
            parts = time.localtime(second) if self._local else time.gmtime(second)
            pattern = "%H:%M:%S" if self._local else "%Y-%m-%dT%H:%M:%S"
            # In this order: another thread must not see the new second with the old text.
            self._formatted = time.strftime(pattern, parts)
            self._second = second
        if self._local:
            return self._formatted
        return f"{self._formatted}.{int((moment - second) * 1000):03d}Z"
