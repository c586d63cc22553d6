"""API tokens at the door."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from headgate.errors import ApiError
from headgate.gateway.identity.principal import Principal
from headgate.gateway.identity.read_only import READING_POSTS, check_read_only
from headgate.gateway.identity.token import digest_of, new_token
from tests.unit.identity.world import World, bearer, knock, make_token


async def test_a_token_lets_in_as_its_owner(world: World) -> None:
    token = await make_token(world, "ada")
    assert await world.enter(bearer(token)) == Principal(1, "ada", is_admin=True, way_in="token")


async def test_a_read_only_token_says_so(world: World) -> None:
    token = await make_token(world, "bob", read_only=True)
    assert (await world.enter(bearer(token))).read_only


async def test_a_token_of_43_random_characters_is_kept_as_a_hash_alone(world: World) -> None:
    token = await make_token(world, "bob")
    assert len(token) == 46
    assert token != await make_token(world, "bob")
    with world.engine.connect() as connection:
        rows = connection.execute(sa.text("SELECT * FROM headgate_tokens")).all()
    assert token not in repr(rows)
    assert digest_of(token.encode()) in repr(rows)


async def test_an_expired_token_is_refused_and_told_why(world: World) -> None:
    token = await make_token(world, "bob", expires_at=int(world.clock() * 1000) + 1000)
    await world.enter(bearer(token))
    world.clock.advance(1)
    error = await world.refused(bearer(token))
    assert (int(error.status), error.message) == (401, "This token has expired.")


async def test_a_revoked_token_is_refused_within_five_seconds(world: World) -> None:
    token = await make_token(world, "bob")
    principal = await world.enter(bearer(token))
    (kept,) = await world.identifier.directory.list_tokens(principal.user_id)
    assert await world.another_gateway().directory.revoke_token(kept.id, user_id=principal.user_id)
    world.clock.advance(5)
    error = await world.refused(bearer(token))
    assert (int(error.status), error.message) == (401, "This token was revoked.")


async def test_scripts_that_go_on_with_a_revoked_token_use_up_nobodys_guesses(
    world: World,
) -> None:
    revoked, good = await make_token(world, "bob"), await make_token(world, "carol")
    (kept,) = await world.identifier.directory.list_tokens(2)
    await world.identifier.directory.revoke_token(kept.id, user_id=None)
    for _ in range(200):
        assert (await world.refused(bearer(revoked))).status == 401
    assert (await world.enter(bearer(good))).username == "carol"


async def test_a_token_survives_a_new_password_of_its_owner(world: World) -> None:
    token = await make_token(world, "bob")
    world.users.change_password("bob", "another password")
    world.clock.advance(5)
    assert (await world.enter(bearer(token))).username == "bob"


async def test_a_token_dies_with_its_user_even_if_the_id_is_given_out_again(world: World) -> None:
    token = await make_token(world, "carol")
    world.users.remove("carol")
    world.users.add("carol", "a new carol")  # SQLite gives her the same id
    assert (await world.refused(bearer(token))).status == 401


async def test_requests_in_a_row_read_a_token_once(world: World) -> None:
    token = await make_token(world, "bob")
    statements = []
    sa.event.listen(world.engine, "before_cursor_execute", lambda *a: statements.append(a[2]))
    for _ in range(100):
        await world.enter(bearer(token))
    assert len(statements) == 1


@pytest.mark.parametrize("scheme", ["Digest", "Negotiate", "NTLM", "AWS4-HMAC-SHA256", "hg", ""])
async def test_an_unknown_scheme_is_401(world: World, scheme: str) -> None:
    token = await make_token(world, "bob")
    assert (await world.refused({"authorization": f"{scheme} {token}"})).status == 401


def test_no_two_tokens_are_alike() -> None:
    assert len({new_token() for _ in range(100)}) == 100


def read_only(method: str, path: str) -> None:
    """What a read-only token is told."""
    request, _ = knock(method, path)
    request.principal = Principal(2, "bob", is_admin=False, way_in="token", read_only=True)
    check_read_only(request)


def test_a_read_only_token_may_search_though_searches_are_posts() -> None:
    assert b"/api/2.0/mlflow/runs/search" in READING_POSTS
    for path in READING_POSTS:
        read_only("POST", path.decode())
    read_only("GET", "/api/2.0/mlflow/runs/get")
    read_only("HEAD", "/")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/api/2.0/mlflow/runs/create"),
        ("POST", "/api/2.0/mlflow/runs/search/"),
        ("POST", "/api/2.0/mlflow/runs/%73earch"),
        ("POST", "/api/2.0/mlflow/runs//search"),
        ("PUT", "/api/2.0/mlflow/runs/search"),
        ("DELETE", "/api/2.0/mlflow/runs/search"),
        ("PATCH", "/api/2.0/mlflow/users/update-password"),
        ("POST", "/v1/traces"),
        ("POST", "/graphql"),
        ("MKCOL", "/"),
    ],
)
def test_a_read_only_token_may_change_nothing(method: str, path: str) -> None:
    with pytest.raises(ApiError) as refused:
        read_only(method, path)
    assert refused.value.status == 403
