"""Our own paths: who am I, sign-out, tokens; and what is nobody's."""

from __future__ import annotations

import json
from typing import Any

import pytest

from headgate.database.users import MAX_TOKENS_PER_USER
from headgate.errors import ApiError
from headgate.gateway.identity.clock import Clock
from headgate.gateway.own_routes import OwnRoutes
from tests.unit.gateway.asgi import Answer
from tests.unit.identity.world import (
    World,
    basic,
    bearer,
    cookie_header,
    cookies_of,
    knock,
    make_token,
    sign_in,
)

TOKENS = "/headgate/api/tokens"
CURRENT = "/ajax-api/2.0/mlflow/users/current"
BOB = basic("bob", "bob's password")
ADA = basic("ada", "ada's password")
JSON = {"content-type": "application/json"}


async def ask(
    world: World,
    method: str,
    path: str,
    headers: dict[str, str],
    body: object = None,
    query: str = "",
) -> tuple[Answer, dict[str, str]]:
    """The answer to a request that passes identity, and the cookies it sets."""
    sent = body if isinstance(body, bytes) else json.dumps(body).encode() if body else b""
    request, answer = knock(method, path, JSON | headers, body=sent, query=query)
    request.principal = await world.identifier.identify(request)
    clock = Clock(wall=world.clock, monotonic=world.clock)
    handler = OwnRoutes(world.identifier, clock=clock).find(request)
    assert handler is not None
    try:
        await handler(request)
    except ApiError as error:
        answer.status, answer.body = int(error.status), error.body("id")
        answer.headers = dict(error.headers)
    return answer, cookies_of(request)


async def tokens(
    world: World, method: str, headers: dict[str, str], body: object = None, query: str = ""
) -> tuple[int, Any]:
    """Status and content of an answer of the token API."""
    answer, _ = await ask(world, method, TOKENS, headers, body, query)
    return answer.status, json.loads(answer.body)


@pytest.mark.parametrize("path", [CURRENT, "/api/2.0/mlflow/users/current"])
async def test_mlflows_interface_learns_who_one_is(world: World, path: str) -> None:
    cookies = cookie_header(await sign_in(world, "ada", "ada's password"))
    for headers in (cookies, ADA):
        answer, _ = await ask(world, "GET", path, headers)
        assert json.loads(answer.body) == {
            "user": {"id": 1, "username": "ada", "is_admin": True},
            "is_basic_auth": True,
        }


async def test_mlflows_sign_out_ends_the_session(world: World) -> None:
    """Its interface deletes the cookie that scripts may read, then asks who one is."""
    cookies = await sign_in(world, "bob", "bob's password")
    del cookies["mlflow_user"]
    answer, dropped = await ask(world, "GET", CURRENT, cookie_header(cookies))
    assert answer.status == 401
    assert b"www-authenticate" not in answer.headers
    assert dropped == {"headgate_session": "", "mlflow_user": ""}
    assert (await world.refused(cookie_header(cookies))).status == 401


async def test_so_it_does_when_it_sends_its_made_up_name(world: World) -> None:
    cookies = await sign_in(world, "bob", "bob's password")
    del cookies["mlflow_user"]
    made_up = basic("mlflow-logged-out-abc123", "mlflow-logged-out-abc123")
    answer, _ = await ask(world, "GET", CURRENT, cookie_header(cookies) | made_up)
    assert answer.status == 401
    assert b"www-authenticate" not in answer.headers
    assert (await world.refused(cookie_header(cookies))).status == 401


async def test_the_made_up_name_opens_nothing(world: World) -> None:
    made_up = basic("mlflow-logged-out-abc123", "mlflow-logged-out-abc123")
    assert (await world.refused(made_up, path=CURRENT)).status == 401
    cookies = cookie_header(await sign_in(world, "bob", "bob's password"))
    assert (await world.refused(cookies | made_up)).status == 401


async def test_a_stray_cookie_of_that_name_keeps_nobody_signed_in(world: World) -> None:
    cookies = await sign_in(world, "bob", "bob's password")
    cookies["mlflow_user"] = "somebody"
    answer, _ = await ask(world, "GET", CURRENT, cookie_header(cookies))
    assert answer.status == 401


async def test_signing_out_leads_to_the_sign_in_page(world: World) -> None:
    cookies = cookie_header(await sign_in(world, "bob", "bob's password"))
    answer, dropped = await ask(world, "POST", "/headgate/sign-out", cookies)
    assert (answer.status, answer.headers[b"location"]) == (303, b"/headgate/sign-in")
    assert dropped == {"headgate_session": "", "mlflow_user": ""}
    error = await world.refused(cookies, method="POST", path="/headgate/sign-out")
    assert (error.status, dict(error.headers)[b"location"]) == (303, b"/headgate/sign-in")


async def test_a_link_signs_nobody_out(world: World) -> None:
    cookies = cookie_header(await sign_in(world, "bob", "bob's password"))
    answer, _ = await ask(world, "GET", "/headgate/sign-out", cookies)
    assert (answer.status, answer.headers[b"allow"]) == (405, b"POST")
    assert (await world.enter(cookies)).username == "bob"


@pytest.mark.parametrize(
    "path",
    [
        "/headgate",
        "/headgate/",
        "/headgate/x",
        "/headgate/api/tokens/",
        "/headgate/api/tokens/1",
        "/headgate//api/tokens",
        "/HEADGATE/api/tokens",
        "/_headgate/anything",
        "/%68eadgate/api/tokens",
        "/%5fheadgate/x",
        "/%255fheadgate/x",
        "//headgate/x",
        "//_headgate/x",
        "/./_headgate/x",
        "/x/../_headgate/x",
        "/x/%2e%2e/_headgate/x",
        "/_headgate;x/y",
        "/\\_headgate/x",
    ],
)
def test_the_rest_below_our_prefixes_is_nobodys_however_it_is_spelt(
    world: World, path: str
) -> None:
    with pytest.raises(ApiError) as refused:
        OwnRoutes(world.identifier).find(knock("GET", path)[0])
    assert refused.value.status == 404


@pytest.mark.parametrize("path", ["/", "/api/2.0/mlflow/runs/get", "/headgates", "/x/headgate/y"])
def test_other_paths_are_not_ours(world: World, path: str) -> None:
    assert OwnRoutes(world.identifier).find(knock("GET", path)[0]) is None


async def test_a_new_token_is_shown_once_and_works(world: World) -> None:
    status, made = await tokens(world, "POST", BOB, {"name": "nightly", "expires_in_days": 30})
    assert status == 201
    assert (await world.enter(bearer(made["token"]))).username == "bob"
    status, listed = await tokens(world, "GET", BOB)
    assert status == 200
    (token,) = listed["tokens"]
    assert token == {key: value for key, value in made.items() if key != "token"}
    assert token["name"] == "nightly"
    assert token["created_at"] == "2027-01-15T08:00:00Z"
    assert token["expires_at"] == "2027-02-14T08:00:00Z"
    world.clock.advance(30 * 24 * 3600)
    assert (await world.refused(bearer(made["token"]))).status == 401


async def test_a_revoked_token_is_gone_from_the_list_and_refused(world: World) -> None:
    _, made = await tokens(world, "POST", BOB, {"name": "a"})
    assert await tokens(world, "DELETE", BOB, {"id": made["id"]}) == (200, {})
    assert (await tokens(world, "GET", BOB))[1] == {"tokens": []}
    assert (await tokens(world, "DELETE", BOB, {"id": made["id"]}))[0] == 404
    assert (await world.refused(bearer(made["token"]))).status == 401


async def test_one_sees_and_revokes_ones_own_tokens_only(world: World) -> None:
    _, made = await tokens(world, "POST", ADA, {"name": "hers"})
    assert (await tokens(world, "GET", BOB))[1] == {"tokens": []}
    assert (await tokens(world, "GET", BOB, query="all=1"))[0] == 403
    assert (await tokens(world, "DELETE", BOB, {"id": made["id"]}))[0] == 404
    assert (await tokens(world, "POST", BOB, {"name": "x", "username": "ada"}))[0] == 403
    assert (await tokens(world, "POST", BOB, {"name": "x", "username": "nobody"}))[0] == 403
    assert (await tokens(world, "POST", BOB, {"name": "x", "username": "bob"}))[0] == 201


async def test_an_admin_makes_sees_and_revokes_tokens_of_others(world: World) -> None:
    _, made = await tokens(world, "POST", ADA, {"name": "for bob", "username": "bob"})
    who = await world.enter(bearer(made["token"]))
    assert (who.username, who.is_admin) == ("bob", False)
    assert (await tokens(world, "GET", ADA))[1] == {"tokens": []}
    _, listed = await tokens(world, "GET", ADA, query="all=1")
    assert [token["username"] for token in listed["tokens"]] == ["bob"]
    assert (await tokens(world, "DELETE", ADA, {"id": made["id"]}))[0] == 200
    status, error = await tokens(world, "POST", ADA, {"name": "x", "username": "nobody"})
    assert (status, error["error_code"]) == (404, "RESOURCE_DOES_NOT_EXIST")
    for odd in ("", "a\0b", "x" * 2000):
        assert (await tokens(world, "POST", ADA, {"name": "x", "username": odd}))[0] == 404


async def test_a_token_makes_none_that_may_do_more_or_lives_longer(world: World) -> None:
    read_only = bearer(await make_token(world, "bob", read_only=True))
    assert (await world.refused(read_only, method="POST", path=TOKENS)).status == 403
    tomorrow = int(world.clock() * 1000) + 24 * 3600 * 1000
    short = bearer(await make_token(world, "bob", expires_at=tomorrow))
    assert (await tokens(world, "POST", short, {"name": "x"}))[0] == 403
    assert (await tokens(world, "POST", short, {"name": "x", "expires_in_days": 2}))[0] == 403
    assert (await tokens(world, "POST", short, {"name": "x", "expires_in_days": 1}))[0] == 201
    endless = bearer(await make_token(world, "bob"))
    assert (await tokens(world, "POST", endless, {"name": "x"}))[0] == 201


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"x",
        b"null",
        b"[]",
        b'"x"',
        b"{}",
        b'{"name": ""}',
        b'{"name": 1}',
        b'{"name": "a\\u0000b"}',
        b'{"name": "\xff"}',
        b'{"name": "\\ud800"}',
        b'{"name": "x", "read_only": "yes"}',
        b'{"name": "x", "read_only": 1}',
        b'{"name": "x", "expires_in_days": 0}',
        b'{"name": "x", "expires_in_days": -1}',
        b'{"name": "x", "expires_in_days": 1.5}',
        b'{"name": "x", "expires_in_days": "1"}',
        b'{"name": "x", "expires_in_days": 1e400}',
        b'{"name": "x", "expires_in_days": 99999999999999999999}',
        b'{"name": "x", "is_admin": true}',
        b'{"name": "' + b"x" * 101 + b'"}',
        b'{"name": ' + b"[" * 3000,
    ],
)
async def test_a_wish_that_is_not_understood_is_told_why(world: World, body: bytes) -> None:
    status, error = await tokens(world, "POST", BOB, body)
    assert status == 400
    assert error["error_code"] == "INVALID_PARAMETER_VALUE"
    assert error["message"].endswith(".")
    assert (await tokens(world, "GET", BOB))[1] == {"tokens": []}


async def test_a_huge_wish_is_not_read(world: World) -> None:
    assert (await tokens(world, "POST", BOB, b" " * 5000))[0] == 413


async def test_only_json_is_read(world: World) -> None:
    headers = BOB | {"content-type": "text/plain"}
    assert (await tokens(world, "POST", headers, {"name": "x"}))[0] == 400


@pytest.mark.parametrize("method", ["PUT", "PATCH", "OPTIONS"])
async def test_other_methods_are_not_taken(world: World, method: str) -> None:
    answer, _ = await ask(world, method, TOKENS, BOB)
    assert answer.status == 405
    assert b"DELETE" in answer.headers[b"allow"]


async def test_nobody_fills_the_database_with_tokens(world: World) -> None:
    for _ in range(MAX_TOKENS_PER_USER):
        await make_token(world, "bob")
    status, error = await tokens(world, "POST", BOB, {"name": "one more"})
    assert (status, error["error_code"]) == (400, "RESOURCE_LIMIT_EXCEEDED")
    assert (await tokens(world, "POST", ADA, {"name": "hers"}))[0] == 201
