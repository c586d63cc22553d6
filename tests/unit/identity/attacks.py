"""What is tried at every way in. A test class for a way in inherits `WayInAttacks`, says how
its credential looks, and so runs all of them."""

from __future__ import annotations

import abc
import asyncio
import traceback

import pytest

from headgate.errors import ApiError
from tests.unit.identity.world import World, knock

REMOVED_WITHIN = 5
GUESSES = 500
EVALUATED_AT_MOST = 60
NEIGHBOUR = "198.51.100.7"

Headers = dict[str, str]


class WayInAttacks(abc.ABC):
    """The shared suite. Bob is the victim."""

    @abc.abstractmethod
    async def good(self, world: World) -> Headers:
        """A credential of bob's."""

    @abc.abstractmethod
    def guess(self, number: int) -> Headers:
        """The `number`th guess at one."""

    @abc.abstractmethod
    def altered(self, good: Headers) -> list[Headers]:
        """A good credential, damaged in ways that must not matter to anybody."""

    @abc.abstractmethod
    def secret(self, good: Headers) -> str:
        """What of a good credential nobody else may ever see."""

    def junked(self, name: str, value: str, junk: str) -> str:
        """A header of a good credential with junk in the credential's place."""
        kind = value.partition("=" if name == "cookie" else " ")
        return f"{kind[0]}{kind[1]}{junk}"

    async def test_the_credential_is_good(self, world: World) -> None:
        assert (await world.enter(await self.good(world))).username == "bob"

    async def test_no_damaged_credential_gets_in_or_breaks_anything(self, world: World) -> None:
        good = await self.good(world)
        for headers in self.altered(good):
            error = await world.refused(headers)
            assert error.status in (401, 429), headers

    @pytest.mark.parametrize(
        "junk",
        [
            "",
            " ",
            "\0",
            "\xff" * 40,
            "A" * 100_000,
            "../../etc/passwd",
            "' OR 1=1 --",
            "{}",
            "[1,2,3]",
            "null",
            "%00",
            "=",
            ".",
            "..",
            "a.b",
            "eyJhbGciOiJub25lIn0.e30.",
        ],
    )
    async def test_junk_is_refused_and_never_a_fault(self, world: World, junk: str) -> None:
        for name, value in (await self.good(world)).items():
            error = await world.refused({name: self.junked(name, value, junk)})
            assert error.status == 401

    async def test_a_removed_user_is_refused_within_five_seconds(self, world: World) -> None:
        good = await self.good(world)
        await world.enter(good)
        world.users.remove("bob")
        world.clock.advance(REMOVED_WITHIN)
        assert (await world.refused(good)).status == 401

    async def test_a_new_user_of_the_same_name_inherits_nothing(self, world: World) -> None:
        good = await self.good(world)
        await world.enter(good)
        world.users.remove("bob")
        world.users.add("bob", "another password")
        world.clock.advance(REMOVED_WITHIN)
        assert (await world.refused(good)).status == 401

    async def test_a_credential_of_another_installation_is_refused(self, world: World) -> None:
        good = await self.good(world)
        with world.engine.begin() as connection:
            connection.exec_driver_sql("DELETE FROM users")
            connection.exec_driver_sql("DELETE FROM headgate_tokens")
        world.users.add("ada", "other", admin=True)
        world.users.add("bob", "other")
        assert (await world.refused(good, at=world.another_gateway(b"k" * 32))).status == 401

    async def test_of_many_guesses_in_a_row_few_are_evaluated(self, world: World) -> None:
        statuses = []
        for number in range(GUESSES):
            error = await world.refused(self.guess(number))
            statuses.append(int(error.status))
            if error.status == 429:
                assert int(dict(error.headers)[b"retry-after"]) >= 1
        assert set(statuses) == {401, 429}
        assert statuses.count(401) <= EVALUATED_AT_MOST
        assert len(world.checks.calls) <= EVALUATED_AT_MOST

    async def test_guesses_sent_all_at_once_count_like_guesses_in_a_row(self, world: World) -> None:
        guesses = (world.refused(self.guess(number)) for number in range(GUESSES))
        statuses = [int(error.status) for error in await asyncio.gather(*guesses)]
        assert set(statuses) == {401, 429}
        assert statuses.count(401) <= EVALUATED_AT_MOST

    async def test_a_program_that_begins_with_many_requests_at_once_gets_in(
        self, world: World
    ) -> None:
        good = await self.good(world)
        everybody = await asyncio.gather(*(world.enter(good) for _ in range(GUESSES)))
        assert {who.username for who in everybody} == {"bob"}

    async def test_a_guessing_stranger_does_not_lock_out_who_is_known(self, world: World) -> None:
        good = await self.good(world)
        await world.enter(good)
        for _ in range(5):
            for number in range(GUESSES):
                await world.refused(self.guess(number))
            assert (await world.enter(good)).username == "bob"
            world.clock.advance(61)  # the password has to be hashed again
            assert (await world.enter(good)).username == "bob"

    async def test_a_guessing_stranger_does_not_lock_out_another_address(
        self, world: World
    ) -> None:
        good = await self.good(world)
        for number in range(GUESSES):
            await world.refused(self.guess(number))
        assert (await world.enter(good, client=NEIGHBOUR)).username == "bob"

    async def test_nothing_that_is_kept_or_said_holds_the_secret(self, world: World) -> None:
        good = await self.good(world)
        secrets = [self.secret(good), "bob's password"]
        said = [repr(await world.enter(good)), repr(knock(headers=good)[0])]
        for headers in self.altered(good):
            error = await world.refused(headers)
            said += [error.message, repr(error.headers), "".join(traceback.format_exception(error))]
        said += [repr(world.events), repr(vars(world.identifier))]
        for secret in secrets:
            assert not any(secret in text for text in said)

    async def test_a_refused_program_is_asked_for_credentials_and_a_browser_is_not(
        self, world: World
    ) -> None:
        bad = self.guess(0)
        from_fetch = {"sec-fetch-mode": "cors", "sec-fetch-site": "same-origin"}
        from_http = {"user-agent": "Mozilla/5.0 (X11; Linux x86_64)"}
        for browser in (from_fetch, from_http):
            assert challenge(await world.refused(bad | browser)) is None

    async def test_a_refusal_is_told_to_the_log_with_its_request(self, world: World) -> None:
        await world.refused(self.guess(0))
        (event,) = world.events
        assert event.client == knock()[0].client  # type: ignore[union-attr]  # a refusal
        assert event.request_id == knock()[0].id  # type: ignore[union-attr]  # a refusal


def challenge(error: ApiError) -> bytes | None:
    """The challenge of a refusal."""
    return dict(error.headers).get(b"www-authenticate")
