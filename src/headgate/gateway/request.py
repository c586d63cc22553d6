"""A request at the door: its head, read once, with nothing decoded twice.

Made by `app.Gateway` for each request and handed to every part that decides about it.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from starlette.types import Receive, Scope, Send

from headgate.errors import ApiError, bad_request

if TYPE_CHECKING:  # identity is built on requests
    from headgate.gateway.identity.principal import Principal

BODY_SECONDS = 25.0
WRITING_METHODS = frozenset({"POST", "PUT", "PATCH", "DELETE"})


@dataclass(slots=True)
class Request:
    """One request. `raw_path` is as the client sent it: undecoded, without the query.

    `headers` are lower-case names and values as bytes, in order. `client` is the address that
    limits and logs use, behind trusted proxies the one they report. `iam_caller` is whom API
    Gateway named, where that may be believed. `principal` is set once the caller is known.
    """

    scope: Scope = field(repr=False)  # it has the headers too
    receive: Receive
    send: Send
    id: str
    method: str
    raw_path: bytes
    query: bytes
    headers: list[tuple[bytes, bytes]] = field(repr=False)
    client: str
    secure: bool
    principal: Principal | None = None
    route: str = "unknown"
    iam_caller: str | None = field(default=None, repr=False)
    set_cookies: list[bytes] = field(default_factory=list, repr=False)

    def header(self, name: bytes) -> bytes | None:
        """The first value of a header, or None."""
        return next((value for key, value in self.headers if key == name), None)

    def header_count(self, name: bytes) -> int:
        """How often a header occurs."""
        return sum(1 for key, _ in self.headers if key == name)

    def cookie(self, name: str) -> str | None:
        """The value of a cookie; None if it is absent or sent twice (nobody can tell which)."""
        found = self.cookie_values(name)
        return found[0].decode("latin-1") if len(found) == 1 else None

    def cookie_values(self, name: str) -> list[bytes]:
        """Every value that came for a cookie."""
        wanted = name.encode()
        return [
            value.strip()
            for header, line in self.headers
            if header == b"cookie"
            for key, _, value in (part.partition(b"=") for part in line.split(b";"))
            if key.strip() == wanted
        ]

    @property
    def writes(self) -> bool:
        """Whether the method may change something."""
        return self.method in WRITING_METHODS

    @property
    def wants_page(self) -> bool:
        """Whether a person's browser asks for a page, rather than a program for data."""
        if self.method not in ("GET", "HEAD"):
            return False
        mode = self.header(b"sec-fetch-mode")
        if mode is not None:
            return mode == b"navigate"
        return b"text/html" in (self.header(b"accept") or b"")

    def respond_headers(self) -> list[tuple[bytes, bytes]]:
        """Headers that every answer to this request carries."""
        common = [(b"x-request-id", self.id.encode())]
        return common + [(b"set-cookie", cookie) for cookie in self.set_cookies]


def require_method(request: Request, *methods: str) -> None:
    """Raise `ApiError` 405 for any other method."""
    if request.method not in methods:
        raise ApiError(
            HTTPStatus.METHOD_NOT_ALLOWED,
            "BAD_REQUEST",
            f"This path takes {', '.join(methods)}.",
            headers=((b"allow", ", ".join(methods).encode()),),
        )


async def read_body(request: Request, limit: int, *, seconds: float = BODY_SECONDS) -> bytes:
    """The whole body, of at most `limit` bytes.

    Raises `ApiError` 413 beyond them (at once, if the client declares more), and 408 if it has
    not come within `seconds`.
    """
    check_declared_length(request, limit)
    try:
        async with asyncio.timeout(seconds):
            return await _gather(request, limit)
    except TimeoutError:
        raise body_timed_out() from None


def check_declared_length(request: Request, limit: int) -> None:
    """Raise `ApiError` 413 if the client declares a body of more than `limit` bytes."""
    declared = request.header(b"content-length") or b"0"
    if not declared.isdigit() or int(declared) > limit:
        raise body_too_large(limit)


async def _gather(request: Request, limit: int) -> bytes:
    chunks: list[bytes] = []
    received = 0
    while True:
        message = await request.receive()
        if message["type"] == "http.disconnect":
            raise body_broken_off()
        chunks.append(message.get("body", b""))
        received += len(chunks[-1])
        if received > limit:
            raise body_too_large(limit)
        if not message.get("more_body", False):
            return b"".join(chunks)


# What is left of a body that we stop reading would be taken for the next request: these close.


def body_too_large(limit: int) -> ApiError:
    """413."""
    return ApiError(
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        "INVALID_PARAMETER_VALUE",
        f"The body is larger than {limit} bytes.",
        close=True,
    )


def body_timed_out() -> ApiError:
    """408."""
    return ApiError(
        HTTPStatus.REQUEST_TIMEOUT, "BAD_REQUEST", "The body did not arrive in time.", close=True
    )


def body_broken_off() -> ApiError:
    """400, which nobody will read: the client has left."""
    return bad_request("The request ended before its body did.", close=True)


def json_headers(body: bytes) -> list[tuple[bytes, bytes]]:
    """Headers of a JSON answer."""
    return [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
        (b"cache-control", b"no-store"),
        (b"x-content-type-options", b"nosniff"),
    ]


async def answer(
    request: Request, status: int, headers: list[tuple[bytes, bytes]], body: bytes
) -> None:
    """Send a whole answer; a HEAD request gets its headers alone."""
    start: dict[str, Any] = {
        "type": "http.response.start",
        "status": status,
        "headers": headers + request.respond_headers(),
    }
    await request.send(start)
    content = b"" if request.method == "HEAD" else body
    await request.send({"type": "http.response.body", "body": content})


async def redirect(request: Request, target: str) -> None:
    """Send somebody on with a GET to `target`, which must be ours."""
    headers = [
        (b"location", target.encode("ascii")),
        (b"content-length", b"0"),
        (b"cache-control", b"no-store"),
    ]
    await answer(request, int(HTTPStatus.SEE_OTHER), headers, b"")
