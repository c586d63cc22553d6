"""A request without a server: what a part of the gateway is handed, and what it answered."""

from __future__ import annotations

from dataclasses import dataclass, field

from starlette.types import Message

from headgate.gateway.request import Request


@dataclass
class Answer:
    """An answer as it was sent, whole."""

    status: int = 0
    headers: dict[bytes, bytes] = field(default_factory=dict)
    body: bytes = b""

    async def send(self, message: Message) -> None:
        """An ASGI `send`."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.headers = dict(message["headers"])
        else:
            self.body += message.get("body", b"")


async def _nothing_to_receive() -> Message:
    return {"type": "http.disconnect"}


def make_request(
    method: str,
    path: str,
    headers: dict[str, str] | None = None,
    *,
    secure: bool = False,
) -> tuple[Request, Answer]:
    """A request, and the answer it will get."""
    answer = Answer()
    request = Request(
        scope={"type": "http"},
        receive=_nothing_to_receive,
        send=answer.send,
        id="0123456789abcdef",
        method=method,
        raw_path=path.encode(),
        query=b"",
        headers=[(k.lower().encode(), v.encode()) for k, v in (headers or {}).items()],
        client="127.0.0.1",
        secure=secure,
    )
    return request, answer
