"""`/headgate/api/tokens`: make, list and revoke API tokens.

POST `{"name", "read_only", "expires_in_days", "username"}` makes one and shows it, once. GET
lists one's own, `?all=1` everybody's. DELETE `{"id"}` revokes. What concerns others needs an
admin. A token may make others, but none that outlives it or may do more.
"""

from __future__ import annotations

import secrets
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Annotated, TypeVar
from urllib.parse import parse_qs

import msgspec

from headgate.database.users import Token, TooManyTokensError, User
from headgate.errors import ApiError, forbidden
from headgate.gateway.identity.clock import Clock
from headgate.gateway.identity.directory import Directory
from headgate.gateway.identity.passwords import MAX_NAME, is_plausible
from headgate.gateway.identity.principal import Principal
from headgate.gateway.identity.token import new_token
from headgate.gateway.request import (
    Request,
    answer,
    json_headers,
    read_body,
    require_method,
)

_MAX_BODY_BYTES = 4096
_DAY_MS = 24 * 3600 * 1000

_T = TypeVar("_T")


class _NewToken(msgspec.Struct, forbid_unknown_fields=True):
    name: Annotated[str, msgspec.Meta(min_length=1, max_length=100)]
    read_only: bool = False
    expires_in_days: Annotated[int, msgspec.Meta(ge=1, le=3650)] | None = None
    username: str | None = None


class _OldToken(msgspec.Struct, forbid_unknown_fields=True):
    id: Annotated[str, msgspec.Meta(min_length=1, max_length=32)]


class TokenApi:
    """Answers the path for signed-in callers."""

    def __init__(self, directory: Directory, clock: Clock | None = None) -> None:
        self._directory = directory
        self._clock = clock or Clock()

    async def handle(self, request: Request, principal: Principal) -> None:
        """Answer one request. Raises `ApiError`."""
        require_method(request, "GET", "HEAD", "POST", "DELETE")
        if request.writes and principal.read_only:
            raise forbidden("This token is read-only.")
        if request.method == "POST":
            await self._create(request, principal)
        elif request.method == "DELETE":
            await self._revoke(request, principal)
        else:
            await self._list(request, principal)

    async def _create(self, request: Request, principal: Principal) -> None:
        wish = await _read(request, _NewToken)
        if not wish.name.isprintable():
            raise _invalid("The name may not hold control characters.")
        owner = await self._owner(wish.username, principal)
        now = self._clock.wall_ms()
        expires_at = now + wish.expires_in_days * _DAY_MS if wish.expires_in_days else None
        if principal.expires_at is not None and (
            expires_at is None or expires_at > principal.expires_at
        ):
            raise forbidden("A token cannot make one that outlives it; set expires_in_days.")
        token = Token(
            id=secrets.token_hex(8),
            name=wish.name,
            user_id=owner.id,
            username=owner.username,
            read_only=wish.read_only,
            created_at=now,
            expires_at=expires_at,
        )
        secret, digest = new_token()
        try:
            await self._directory.add_token(token, digest)
        except TooManyTokensError:
            raise ApiError(
                HTTPStatus.BAD_REQUEST,
                "RESOURCE_LIMIT_EXCEEDED",
                f"{owner.username} has as many tokens as a user may have. Revoke some first.",
            ) from None
        await _answer_json(request, HTTPStatus.CREATED, {"token": secret, **_shown(token)})

    async def _owner(self, username: str | None, principal: Principal) -> User:
        """Whose token it will be. Only an admin learns here which users there are."""
        if username is not None and username != principal.username and not principal.is_admin:
            raise forbidden("Only an admin makes tokens for others.")
        wanted = principal.username if username is None else username
        user = await self._directory.user(wanted) if is_plausible(wanted, MAX_NAME) else None
        if user is None:
            raise ApiError(
                HTTPStatus.NOT_FOUND, "RESOURCE_DOES_NOT_EXIST", f"There is no user {username!r}."
            )
        return user

    async def _list(self, request: Request, principal: Principal) -> None:
        everybody = parse_qs(request.query.decode("latin-1")).get("all") == ["1"]
        if everybody and not principal.is_admin:
            raise forbidden("Only an admin lists the tokens of others.")
        tokens = await self._directory.list_tokens(None if everybody else principal.user_id)
        await _answer_json(request, HTTPStatus.OK, {"tokens": [_shown(token) for token in tokens]})

    async def _revoke(self, request: Request, principal: Principal) -> None:
        token = await _read(request, _OldToken)
        owner = None if principal.is_admin else principal.user_id
        if not await self._directory.revoke_token(token.id, user_id=owner):
            raise ApiError(
                HTTPStatus.NOT_FOUND, "RESOURCE_DOES_NOT_EXIST", "There is no token with this id."
            )
        await _answer_json(request, HTTPStatus.OK, {})


def _shown(token: Token) -> dict[str, object]:
    return {
        "id": token.id,
        "name": token.name,
        "username": token.username,
        "read_only": token.read_only,
        "created_at": _time(token.created_at),
        "expires_at": None if token.expires_at is None else _time(token.expires_at),
    }


def _time(milliseconds: int) -> str:
    return datetime.fromtimestamp(milliseconds // 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


async def _read(request: Request, type_: type[_T]) -> _T:
    content_type = (request.header(b"content-type") or b"").partition(b";")[0].strip().lower()
    if content_type != b"application/json":
        raise ApiError(
            HTTPStatus.BAD_REQUEST,
            "INVALID_PARAMETER_VALUE",
            "The Content-Type must be application/json.",
            close=True,
        )
    body = await read_body(request, _MAX_BODY_BYTES)
    try:
        return msgspec.json.decode(body, type=type_)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise _invalid(f"The body cannot be read: {error}.") from None


def _invalid(message: str) -> ApiError:
    return ApiError(HTTPStatus.BAD_REQUEST, "INVALID_PARAMETER_VALUE", message)


async def _answer_json(request: Request, status: HTTPStatus, content: object) -> None:
    body = msgspec.json.encode(content)
    await answer(request, int(status), json_headers(body), body)
