"""Paths that the gateway answers itself, for signed-in callers.

Everything else below `/headgate` is nobody's: it neither exists nor reaches MLflow, however it
is spelt. Start at `OwnRoutes.find`.
"""

from __future__ import annotations

import posixpath
from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus
from urllib.parse import unquote_to_bytes

import msgspec

from headgate.errors import ApiError, unauthenticated
from headgate.gateway.identity import (
    CURRENT_USER_PATHS,
    SIGN_IN_PATH,
    SIGN_OUT_PATH,
    Identifier,
)
from headgate.gateway.identity.clock import Clock
from headgate.gateway.identity.principal import Principal
from headgate.gateway.request import Request, answer, json_headers, redirect, require_method
from headgate.gateway.token_api import TokenApi

Handler = Callable[[Request], Awaitable[None]]

TOKENS_PATH = b"/headgate/api/tokens"
_RESERVED = (b"headgate", b"_headgate")


class OwnRoutes:
    """Finds the handler of a path of ours; `more` are those of other parts of the gateway."""

    def __init__(
        self,
        identifier: Identifier,
        more: Mapping[bytes, Handler] | None = None,
        *,
        clock: Clock | None = None,
    ) -> None:
        self._identifier = identifier
        self._tokens = TokenApi(identifier.directory, clock)
        self._handlers: dict[bytes, Handler] = {
            SIGN_OUT_PATH: self._sign_out,
            TOKENS_PATH: self._token_api,
            **dict.fromkeys(CURRENT_USER_PATHS, self._current_user),
            **(more or {}),
        }

    def find(self, request: Request) -> Handler | None:
        """What answers this request, or None if it is not for us. Raises `ApiError` 404 below
        our reserved prefixes."""
        handler = self._handlers.get(request.raw_path)
        if handler is None and is_reserved(request.raw_path):
            raise ApiError(HTTPStatus.NOT_FOUND, "ENDPOINT_NOT_FOUND", "There is nothing here.")
        return handler

    async def _current_user(self, request: Request) -> None:
        """MLflow's `users/current`, by which its interface knows a name, and signs out."""
        require_method(request, "GET", "HEAD")
        if self._identifier.is_ui_sign_out(request):
            await self._identifier.sign_out(request)
            raise unauthenticated("You are signed out.", challenge=False)
        principal = _principal(request)
        user = {
            "id": principal.user_id,
            "username": principal.username,
            "is_admin": principal.is_admin,
        }
        # `is_basic_auth` makes MLflow's interface show its menu with sign-out and password.
        body = msgspec.json.encode({"user": user, "is_basic_auth": True})
        await answer(request, int(HTTPStatus.OK), json_headers(body), body)

    async def _sign_out(self, request: Request) -> None:
        require_method(request, "POST")
        await self._identifier.sign_out(request)
        await redirect(request, SIGN_IN_PATH.decode())

    async def _token_api(self, request: Request) -> None:
        await self._tokens.handle(request, _principal(request))


def is_reserved(raw_path: bytes) -> bool:
    """Whether a path lies below a prefix of ours, also when it is encoded or has odd slashes."""
    if b"%" not in raw_path and b"headgate" not in raw_path.lower():
        return False
    path = unquote_to_bytes(unquote_to_bytes(raw_path)).lower().replace(b"\\", b"/")
    first = posixpath.normpath(path).lstrip(b"/").partition(b"/")[0]
    return first.partition(b";")[0] in _RESERVED


def _principal(request: Request) -> Principal:
    if request.principal is None:
        raise RuntimeError("A path of ours was reached by a request without a name.")
    return request.principal
