"""A real name and an unknown one cost the same, and hashing never takes all there is."""

from __future__ import annotations

import asyncio
import threading

import pytest
from werkzeug.security import check_password_hash, generate_password_hash

from headgate.gateway.identity.hashing import AT_ONCE, Decoys, Hasher
from headgate.gateway.identity.refusal import Refusal
from tests.unit.identity.world import QUICK_METHOD, World, basic


def method_of(stored: str) -> str:
    """The part of a stored hash that decides what checking costs."""
    return stored.partition("$")[0]


async def test_a_wrong_password_and_an_unknown_name_are_each_hashed_once_alike(
    world: World,
) -> None:
    await world.refused(basic("bob", "wrong"))
    await world.refused(basic("nobody", "wrong"))
    assert [method_of(stored) for stored in world.checks.calls] == [QUICK_METHOD] * 2


async def test_so_are_users_that_cannot_sign_in_at_all(world: World) -> None:
    world.users.change("bob", password_hash=None)
    await world.refused(basic("bob", "wrong"))
    assert [method_of(stored) for stored in world.checks.calls] == [QUICK_METHOD]


async def test_an_unknown_name_reads_as_often_as_a_real_one(world: World) -> None:
    statements: list[str] = []

    def note(*arguments: object) -> None:
        statements.append(str(arguments[2]))

    import sqlalchemy as sa

    await world.refused(basic("carol", "warms up what is read once a minute"))
    sa.event.listen(world.engine, "before_cursor_execute", note)
    await world.refused(basic("bob", "wrong"))
    real = list(statements)
    statements.clear()
    await world.refused(basic("nobody", "wrong"))
    assert real == statements
    statements.clear()
    await world.refused(basic("bob", "wrong again"))
    real = list(statements)
    statements.clear()
    await world.refused(basic("nobody", "wrong again"))
    assert real == statements


def test_a_decoy_is_of_the_method_of_some_user_and_always_the_same() -> None:
    decoys = Decoys()
    methods = ["scrypt:32768:8:1", "pbkdf2:sha256:260000"]
    names = [f"user{number}" for number in range(64)]
    chosen = [method_of(decoys.for_name(name, methods)) for name in names]
    assert set(chosen) == set(methods)
    assert chosen == [method_of(decoys.for_name(name, methods)) for name in names]


def test_without_users_a_decoy_costs_what_a_new_password_would() -> None:
    decoy = Decoys().for_name("nobody", [])
    usual = generate_password_hash("x")
    assert method_of(decoy) == method_of(usual)
    assert len(decoy) == len(usual)
    assert not check_password_hash(decoy, "x")


async def test_at_most_two_passwords_are_hashed_at_once() -> None:
    lock, running, most = threading.Lock(), 0, 0

    def check(_stored: str, _password: str) -> bool:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        threading.Event().wait(0.005)
        with lock:
            running -= 1
        return False

    hasher = Hasher(check)

    async def one(number: int) -> None:
        async with hasher.turn(f"192.0.2.{number}", privileged=False):
            await hasher.matches("stored", "password")

    await asyncio.gather(*(one(number) for number in range(40)))
    assert most == AT_ONCE
    hasher.close()


async def test_a_flood_is_refused_while_it_waits_and_known_users_are_not() -> None:
    hasher = Hasher(lambda _stored, _password: False)
    turns = [hasher.turn("192.0.2.1", privileged=False) for _ in range(AT_ONCE)]
    for turn in turns:
        await turn.__aenter__()

    async def wait(address: str, privileged: bool) -> None:
        async with hasher.turn(address, privileged=privileged):
            pass

    waiting = [asyncio.create_task(wait("192.0.2.1", False)) for _ in range(32)]
    await asyncio.sleep(0)
    with pytest.raises(Refusal) as refused:
        await wait("192.0.2.1", False)
    assert refused.value.retry_after == 2
    others = [
        asyncio.create_task(wait(f"192.0.2.{n}", False)) for n in range(10, 13) for _ in range(32)
    ]
    await asyncio.sleep(0)
    with pytest.raises(Refusal):
        await wait("192.0.2.99", False)
    known = asyncio.create_task(wait("192.0.2.1", True))
    for turn in turns:
        await turn.__aexit__(None, None, None)
    await asyncio.gather(*waiting, *others, known)
    hasher.close()


async def test_the_loop_goes_on_while_passwords_are_hashed() -> None:
    started, release = threading.Event(), threading.Event()

    def check(_stored: str, _password: str) -> bool:
        started.set()
        return release.wait(30)

    hasher = Hasher(check)
    hashing = asyncio.create_task(hasher.matches("stored", "password"))
    await asyncio.to_thread(started.wait, 30)
    assert not hashing.done()
    release.set()
    assert await hashing
    hasher.close()
