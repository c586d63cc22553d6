"""Guessing is slow, and nobody pays for a stranger's guesses for long."""

from __future__ import annotations

import pytest

from headgate.gateway.identity.clock import Clock
from headgate.gateway.identity.refusal import Refusal
from headgate.gateway.identity.throttle import Buckets, Limit, Throttle, networks
from tests.unit.identity.world import FakeClock, World, basic

GUESSES = 500


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def throttle(clock: FakeClock) -> Throttle:
    return Throttle(Clock(wall=clock, monotonic=clock))


def evaluated(throttle: Throttle, guesses: list[tuple[str, str]]) -> int:
    """How many of these wrong passwords (name, address) would be looked at."""
    count = 0
    for username, address in guesses:
        try:
            throttle.charge_password(username, address)
        except Refusal:
            continue
        count += 1
    return count


def test_one_address_gets_few_guesses_at_one_user(throttle: Throttle) -> None:
    assert evaluated(throttle, [("bob", "192.0.2.1")] * GUESSES) == 10


def test_one_address_gets_few_guesses_at_many_users(throttle: Throttle) -> None:
    assert evaluated(throttle, [(f"user{n}", "192.0.2.1") for n in range(GUESSES)]) == 30


def test_changing_the_address_does_not_give_more_guesses_at_one_user(throttle: Throttle) -> None:
    guesses = [("bob", f"192.0.{n // 250}.{n % 250}") for n in range(GUESSES)]
    assert evaluated(throttle, guesses) <= 60


def test_coming_back_with_used_addresses_gives_no_more_than_once_that(throttle: Throttle) -> None:
    guesses = [("bob", f"192.0.2.{n % 50}") for n in range(GUESSES)]
    assert evaluated(throttle, guesses) <= 60


def test_a_customer_with_a_whole_ipv6_network_counts_once(throttle: Throttle) -> None:
    in_64 = [(f"user{n}", f"2001:db8:1:1:{n:x}::1") for n in range(GUESSES)]
    assert evaluated(throttle, in_64) == 30
    in_48 = [(f"user{n}", f"2001:db8:2:{n:x}::1") for n in range(GUESSES)]
    assert evaluated(throttle, in_48) == 50


def test_an_address_counts_in_all_its_spellings() -> None:
    assert networks("::ffff:192.0.2.1") == networks("192.0.2.1")
    assert networks("2001:DB8::1") == networks("2001:db8:0:0:0::2")
    assert networks("fe80::1%eth0") == networks("fe80::1")
    assert networks("unix") == ("unix", None)


def test_waiting_as_long_as_told_is_enough(throttle: Throttle, clock: FakeClock) -> None:
    evaluated(throttle, [("bob", "192.0.2.1")] * GUESSES)
    with pytest.raises(Refusal) as refused:
        throttle.check_password("bob", "192.0.2.1")
    assert refused.value.retry_after is not None
    clock.advance(refused.value.retry_after)
    throttle.check_password("bob", "192.0.2.1")


def test_a_right_password_costs_nothing(throttle: Throttle) -> None:
    for _ in range(GUESSES):
        throttle.give_back(throttle.charge_password("bob", "192.0.2.1"))


def test_an_attacker_behind_the_users_own_address_shuts_out_nobody_elsewhere(
    throttle: Throttle, clock: FakeClock
) -> None:
    for _ in range(60):
        evaluated(throttle, [("bob", "192.0.2.1")] * 100)
        throttle.check_password("bob", "198.51.100.7")
        clock.advance(60)


def test_a_botnet_does_not_keep_a_user_out_who_comes_from_a_new_address(
    throttle: Throttle, clock: FakeClock
) -> None:
    botnet = [f"10.0.{n // 250}.{n % 250}" for n in range(400)]
    waited = []
    for hour in range(2):
        for _ in range(120):
            evaluated(throttle, [("bob", address) for address in botnet])
            clock.advance(30)
        seconds = 0
        while True:
            try:
                throttle.check_password("bob", f"198.51.100.{hour}")
                break
            except Refusal:
                seconds += 5
                clock.advance(5)
        waited.append(seconds)
    assert max(waited) <= 30


def test_the_tables_never_grow_beyond_their_size(clock: FakeClock) -> None:
    buckets = Buckets(Limit(10, 60), Clock(wall=clock, monotonic=clock), size=100)
    for number in range(1000):
        buckets.charge((str(number),))
    assert len(buckets) == 100
    buckets.give_back(("999",))
    buckets.give_back(("no such key",))
    assert len(buckets) == 99


async def test_unknown_names_are_limited_like_real_ones(world: World) -> None:
    async def statuses(username: str, client: str) -> list[tuple[int, str]]:
        answers = []
        for number in range(20):
            error = await world.refused(basic(username, f"guess {number}"), client=client)
            answers.append((int(error.status), error.message))
        return answers

    assert await statuses("bob", "192.0.2.1") == await statuses("nobody", "192.0.2.2")


async def test_who_is_throttled_is_let_in_after_the_wait(world: World) -> None:
    for number in range(11):
        error = await world.refused(basic("bob", f"guess {number}"))
    assert error.status == 429
    assert error.message == "Too many failed sign-ins. Try again in 60 seconds."
    world.clock.advance(60)
    assert (await world.enter(basic("bob", "bob's password"))).username == "bob"


async def test_forged_cookies_stop_no_password(world: World) -> None:
    for _ in range(GUESSES):
        await world.refused({"cookie": "headgate_session=forged"})
    assert (await world.enter(basic("bob", "bob's password"))).username == "bob"
