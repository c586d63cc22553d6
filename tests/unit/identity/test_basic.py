"""Names and passwords with each request."""

from __future__ import annotations

import asyncio
import base64

import pytest

from headgate.gateway.identity.principal import Principal
from headgate.observation import UsersUnreadable
from tests.unit.identity.world import World, basic


def encoded(pair: bytes) -> dict[str, str]:
    """The header of any bytes."""
    return {"authorization": f"Basic {base64.b64encode(pair).decode()}"}


async def test_a_user_gets_in_with_name_and_password(world: World) -> None:
    assert await world.enter(basic("bob", "bob's password")) == Principal(
        2, "bob", is_admin=False, way_in="basic"
    )


async def test_the_scheme_is_read_in_any_case(world: World) -> None:
    header = basic("bob", "bob's password")["authorization"].replace("Basic", "bAsIc")
    assert (await world.enter({"authorization": header})).username == "bob"


@pytest.mark.parametrize("password", ["with:colon:", ":", "pässwörd ⚿ 密码", " spaces "])
async def test_any_password_of_printable_characters_works(world: World, password: str) -> None:
    world.users.add("dora", password)
    assert (await world.enter(basic("dora", password))).username == "dora"


async def test_a_program_that_sends_latin_1_gets_in(world: World) -> None:
    world.users.add("dora", "pässwörd")
    assert (await world.enter(encoded("dora:pässwörd".encode("latin-1")))).username == "dora"


@pytest.mark.parametrize(
    "value",
    [
        "Basic",
        "Basic ",
        "Basic  ",
        "Basic =",
        "Basic ====",
        "Basic bob:bob's password",
        "Basic Ym9iOmJvYidzIHBhc3N3b3J",
        "Basic Ym9i\tOmJvYidzIHBhc3N3b3Jk",
        "Basic Ym9iOmJvYidzIHBhc3N3b3Jk, Basic Ym9iOmJvYidzIHBhc3N3b3Jk",
        "Basic \xff\xfe",
        "Basic " + "A" * 100_000,
        "Basic " + base64.b64encode(b"no colon").decode(),
        "Basic " + base64.b64encode(b":").decode(),
        "Basic " + base64.b64encode(b"bob:").decode(),
        "Basic " + base64.b64encode(b":bob's password").decode(),
        "Basic " + base64.b64encode(b"bob\0:bob's password").decode(),
        "Basic " + base64.b64encode(b"bob:bob's password\0").decode(),
        "Basic " + base64.b64encode(b"bob:bob's password\r\n").decode(),
        "Basic " + base64.b64encode(b"\xff\xfe\xfd:\x80").decode(),
        "Basic " + base64.b64encode(b"\xed\xa0\x80:surrogate").decode(),
        "Basic " + base64.b64encode(b"bob:" + b"x" * 5000).decode(),
        "Basic " + base64.b64encode(b"b" * 5000 + b":x").decode(),
    ],
)
async def test_what_is_no_credential_is_refused_as_a_wrong_one(world: World, value: str) -> None:
    error = await world.refused({"authorization": value})
    assert error.status == 401
    assert error.message == "The user name or the password is wrong."


async def test_a_name_is_exact(world: World) -> None:
    for name in ("Bob", "BOB", "bob ", " bob", "bób", "b%", "b_b", "bob' OR '1'='1"):
        assert (await world.refused(basic(name, "bob's password"))).status == 401


async def test_a_second_request_within_a_minute_is_not_hashed(world: World) -> None:
    await world.enter(basic("bob", "bob's password"))
    world.clock.advance(59)
    await world.enter(basic("bob", "bob's password"))
    assert len(world.checks.calls) == 1
    world.clock.advance(1)
    await world.enter(basic("bob", "bob's password"))
    assert len(world.checks.calls) == 2


async def test_the_same_credential_many_times_at_once_is_hashed_once(world: World) -> None:
    await asyncio.gather(*(world.enter(basic("bob", "bob's password")) for _ in range(50)))
    assert len(world.checks.calls) == 1


async def test_a_client_that_goes_away_leaves_the_others_their_answer(world: World) -> None:
    first = asyncio.create_task(world.enter(basic("bob", "bob's password")))
    second = asyncio.create_task(world.enter(basic("bob", "bob's password")))
    await asyncio.sleep(0)
    first.cancel()
    assert (await second).username == "bob"


async def test_a_remembered_password_of_a_removed_user_is_refused_within_five_seconds(
    world: World,
) -> None:
    await world.enter(basic("bob", "bob's password"))
    world.users.remove("bob")
    world.clock.advance(5)
    assert (await world.refused(basic("bob", "bob's password"))).status == 401


async def test_a_changed_password_counts_within_five_seconds(world: World) -> None:
    await world.enter(basic("bob", "bob's password"))
    world.users.change_password("bob", "a new password")
    world.clock.advance(5)
    assert (await world.refused(basic("bob", "bob's password"))).status == 401
    assert (await world.enter(basic("bob", "a new password"))).username == "bob"


async def test_a_password_just_set_and_a_user_just_made_get_in_at_once(world: World) -> None:
    await world.enter(basic("bob", "bob's password"))
    await world.refused(basic("dora", "dora's password"))
    world.users.change_password("bob", "a new password")
    world.users.add("dora", "dora's password")
    assert (await world.enter(basic("bob", "a new password"))).username == "bob"
    assert (await world.enter(basic("dora", "dora's password"))).username == "dora"


async def test_a_change_of_role_counts_within_five_seconds(world: World) -> None:
    await world.enter(basic("bob", "bob's password"))
    world.users.change("bob", is_admin=True)
    world.clock.advance(5)
    assert (await world.enter(basic("bob", "bob's password"))).is_admin


async def test_the_password_that_mlflow_used_to_ship_lets_no_admin_in(world: World) -> None:
    world.users.change_password("ada", "password1234")
    world.users.change_password("bob", "password1234")
    assert (await world.refused(basic("ada", "password1234"))).status == 401
    assert (await world.enter(basic("bob", "password1234"))).username == "bob"


@pytest.mark.parametrize(
    "stored", [None, "", "nonsense", "sha256$salt$abc", "scrypt:1:1$a$b", "pbkdf2:sha256:x$a$b"]
)
async def test_a_stored_hash_that_cannot_be_used_lets_nobody_in(
    world: World, stored: str | None
) -> None:
    world.users.change("bob", password_hash=stored)
    assert (await world.refused(basic("bob", "bob's password"))).status == 401


async def test_while_the_database_is_away_the_answer_is_to_come_back(world: World) -> None:
    with world.engine.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE users RENAME TO elsewhere")
    error = await world.refused(basic("bob", "bob's password"))
    assert error.status == 503
    assert (b"retry-after", b"2") in error.headers
    with world.engine.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE elsewhere RENAME TO users")
    assert (await world.enter(basic("bob", "bob's password"))).username == "bob"


async def test_what_the_database_did_not_answer_is_not_counted_as_a_guess(world: World) -> None:
    with world.engine.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE users RENAME TO elsewhere")
    for _ in range(50):
        assert (await world.refused(basic("bob", "bob's password"))).status == 503
    # The log is told why, without what was asked, and not each time.
    (event,) = world.events
    assert isinstance(event, UsersUnreadable)
    assert event.reason.endswith("failed: no such table: users")


async def test_a_memory_of_zero_seconds_hashes_each_time(world: World) -> None:
    world.settings.credential_memory_seconds = 0
    gateway = world.another_gateway()
    for _ in range(3):
        await world.enter(basic("bob", "bob's password"), at=gateway)
    assert len(world.checks.calls) == 3
    gateway.close()
