"""The admin's password comes from a secret: a new one counts at once, the old one a while."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from headgate.observation import PasswordRotated, SecretUnreadable
from headgate.secret_store import SecretError, SecretValue
from headgate.settings.auth import AuthSettings
from tests.harness.moto import credentials
from tests.unit.identity.world import World, basic, cookie_header, make_world, sign_in

OLD, NEW = "ada's password", "the password to come"
GRACE = 600


class AdminsSecret:
    """The secret as a test sets it; broken if `password` is None."""

    def __init__(self) -> None:
        self.username = "ada"
        self.password: str | None = OLD
        self.version = 1
        self.fetches = 0

    def rotate(self, password: str) -> None:
        self.password = password
        self.version += 1

    def __call__(self, name: str) -> SecretValue:
        self.fetches += 1
        if self.password is None:
            raise SecretError("The secret admin cannot be fetched.")
        return SecretValue(str(self.version), credentials(self.username, self.password))


@pytest.fixture
def secret() -> AdminsSecret:
    return AdminsSecret()


@pytest.fixture
def world(tmp_path: Path, secret: AdminsSecret) -> Iterator[World]:
    made = make_world(tmp_path, AuthSettings(), secret)
    yield made
    made.identifier.close()
    made.engine.dispose()


async def looked(world: World) -> None:
    """Let what happens beside the requests happen."""
    assert world.identifier._admin_secret is not None
    await world.identifier._admin_secret.looked()


async def test_the_new_password_is_good_from_its_first_use_on(
    world: World, secret: AdminsSecret
) -> None:
    await world.enter(basic("ada", OLD))
    secret.rotate(NEW)
    assert (await world.enter(basic("ada", NEW))).username == "ada"
    assert PasswordRotated("ada", 10) in world.events


async def test_the_old_password_is_good_for_the_grace_time_and_no_longer(
    world: World, secret: AdminsSecret
) -> None:
    secret.rotate(NEW)
    await world.enter(basic("ada", NEW))
    world.clock.advance(GRACE - 10)
    assert (await world.enter(basic("ada", OLD))).username == "ada"
    world.clock.advance(15)
    assert (await world.refused(basic("ada", OLD))).status == 401
    assert (await world.enter(basic("ada", NEW))).username == "ada"


async def test_the_old_password_costs_no_hash_per_request_in_its_grace_time(
    world: World, secret: AdminsSecret
) -> None:
    await world.enter(basic("ada", OLD))
    secret.rotate(NEW)
    await world.enter(basic("ada", NEW))
    world.clock.advance(3)
    before = len(world.checks.calls)
    for _ in range(5):
        await world.enter(basic("ada", OLD))
    assert len(world.checks.calls) == before


async def test_a_session_of_the_old_password_outlives_it_by_the_grace_time(
    world: World, secret: AdminsSecret
) -> None:
    session = cookie_header(await sign_in(world, "ada", OLD))
    secret.rotate(NEW)
    await world.enter(basic("ada", NEW))
    world.clock.advance(5)
    assert (await world.enter(session)).username == "ada"
    world.clock.advance(GRACE)
    assert (await world.refused(session)).status == 401


async def test_who_goes_on_with_the_old_password_retires_it_too(
    world: World, secret: AdminsSecret
) -> None:
    await world.enter(basic("ada", OLD))
    await looked(world)
    secret.rotate(NEW)
    world.clock.advance(61)
    await world.enter(basic("ada", OLD))
    await looked(world)
    assert PasswordRotated("ada", 10) in world.events
    world.clock.advance(GRACE + 5)
    assert (await world.refused(basic("ada", OLD))).status == 401


async def test_several_gateways_agree_and_one_of_them_changes_the_password(
    world: World, secret: AdminsSecret
) -> None:
    others = [world.another_gateway() for _ in range(3)]
    secret.rotate(NEW)
    everybody = [world.identifier, *others]
    who = await asyncio.gather(*(world.enter(basic("ada", NEW), at=at) for at in everybody))
    assert {one.username for one in who} == {"ada"}
    assert sum(isinstance(event, PasswordRotated) for event in world.events) == 1
    for at in everybody:
        assert (await world.enter(basic("ada", OLD), at=at)).username == "ada"
    for other in others:
        other.close()


async def test_a_crowd_with_the_new_password_asks_aws_once(
    world: World, secret: AdminsSecret
) -> None:
    secret.rotate(NEW)
    await asyncio.gather(*(world.enter(basic("ada", NEW)) for _ in range(200)))
    await looked(world)
    assert secret.fetches <= 2  # the sign-in's, and the look beside it


async def test_guesses_do_not_reach_aws_faster_than_the_throttle_lets_them(
    world: World, secret: AdminsSecret
) -> None:
    for number in range(300):
        await world.refused(basic("ada", f"guess {number}"))
    assert secret.fetches <= 40


async def test_while_aws_is_away_what_the_database_knows_is_good(
    world: World, secret: AdminsSecret
) -> None:
    secret.password = None
    assert (await world.enter(basic("ada", OLD))).username == "ada"
    assert (await world.refused(basic("ada", NEW))).status == 401
    assert any(isinstance(event, SecretUnreadable) for event in world.events)


async def test_the_secret_is_no_way_in_for_others(world: World, secret: AdminsSecret) -> None:
    secret.rotate(NEW)
    assert (await world.refused(basic("bob", NEW))).status == 401
    secret.username = "bob"  # no admin
    assert (await world.refused(basic("bob", NEW))).status == 401


async def test_two_rotations_in_the_grace_time_leave_all_three_passwords_good(
    world: World, secret: AdminsSecret
) -> None:
    for password in (NEW, "and one more password"):
        secret.rotate(password)
        await world.enter(basic("ada", password))
    world.clock.advance(5)
    for password in (OLD, NEW, "and one more password"):
        assert (await world.enter(basic("ada", password))).username == "ada"


async def test_nothing_kept_or_said_holds_a_password(world: World, secret: AdminsSecret) -> None:
    secret.rotate(NEW)
    await world.enter(basic("ada", NEW))
    said = repr(world.events) + repr(vars(world.identifier)) + repr(world.identifier._admin_secret)
    assert NEW not in said
    with world.engine.connect() as connection:
        rows = connection.exec_driver_sql("SELECT * FROM headgate_former_passwords").all()
    assert len(rows) == 1
    assert OLD not in repr(rows)


async def test_a_former_password_dies_with_its_user(world: World, secret: AdminsSecret) -> None:
    secret.rotate(NEW)
    await world.enter(basic("ada", NEW))
    world.users.remove("ada")
    world.users.add("ada", "of somebody else", admin=True)
    world.clock.advance(5)
    assert (await world.refused(basic("ada", OLD))).status == 401
