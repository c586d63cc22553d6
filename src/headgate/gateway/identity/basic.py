"""HTTP Basic (RFC 7617), as `MLFLOW_TRACKING_USERNAME` and `_PASSWORD` arrive."""

from __future__ import annotations

import base64
import binascii

from headgate.gateway.identity.passwords import Passwords
from headgate.gateway.identity.principal import Principal
from headgate.gateway.identity.refusal import Refusal, wrong_password
from headgate.gateway.request import Request

_MAX_BYTES = 8192


class BasicWayIn:
    """Lets in whoever sends a user's name and password with each request."""

    def __init__(self, passwords: Passwords) -> None:
        self._passwords = passwords

    async def identify(self, request: Request, value: bytes) -> Principal:
        """Who sent this value of `Authorization` (behind the scheme). Raises `Refusal`."""
        username, password = parse(value)
        user = await self._passwords.verify(username, password, request.client)
        return Principal(user.id, user.username, user.is_admin, "basic")


def parse(value: bytes) -> tuple[str, str]:
    """Name and password; the password may hold colons. Raises `Refusal`.

    We ask for UTF-8. Some programs send Latin-1 whatever they are asked; bytes that are no
    UTF-8 are read that way.
    """
    if len(value) > _MAX_BYTES:
        raise _malformed()
    try:
        decoded = base64.b64decode(value.strip(b" "), validate=True)
    except binascii.Error:
        raise _malformed() from None
    try:
        text = decoded.decode("utf-8")
    except UnicodeDecodeError:
        text = decoded.decode("latin-1")
    username, colon, password = text.partition(":")
    if not colon:
        raise _malformed()
    return username, password


def _malformed() -> Refusal:
    return Refusal("malformed", wrong_password().message)
