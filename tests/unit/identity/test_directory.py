"""What the gateway knows of users is never old, and seldom waited for."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy.exc import OperationalError, SQLAlchemyError

from headgate.database.engine import make_engine
from headgate.database.users import UserStore
from headgate.errors import ApiError, unavailable
from headgate.gateway.identity.clock import Clock
from headgate.gateway.identity.directory import (
    BELIEVED_FOR,
    REFRESHED_AFTER,
    Directory,
    FreshRows,
)
from tests.unit.identity.world import FakeClock, make_world


class Source:
    """A table of one column; a test can make reading it slow, or fail."""

    def __init__(self) -> None:
        self.value = "old"
        self.reads = 0
        self.fails = False
        self.may_go_on = threading.Event()
        self.may_go_on.set()
        self.has_read = threading.Event()

    def __call__(self, _key: str) -> str:
        self.reads += 1
        value, fails = self.value, self.fails
        self.has_read.set()
        self.may_go_on.wait(30)
        if fails:
            raise OperationalError("SELECT secret", {}, Exception("gone"))
        return value


def failed(_error: SQLAlchemyError) -> ApiError:
    """What callers are told."""
    return unavailable("away", retry_after=2)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def source() -> Iterator[Source]:
    made = Source()
    yield made
    made.may_go_on.set()


@pytest.fixture
def rows(source: Source, clock: FakeClock) -> Iterator[FreshRows[str, str]]:
    with ThreadPoolExecutor(2) as executor:
        yield FreshRows(source, executor, Clock(wall=clock, monotonic=clock), failed, size=10)
        source.may_go_on.set()


async def test_many_callers_share_one_read(source: Source, rows: FreshRows[str, str]) -> None:
    assert set(await asyncio.gather(*(rows.get("k") for _ in range(50)))) == {"old"}
    assert source.reads == 1


async def test_what_is_in_use_is_read_again_beside_the_requests(
    source: Source, rows: FreshRows[str, str], clock: FakeClock
) -> None:
    await rows.get("k")
    source.value = "new"
    clock.advance(REFRESHED_AFTER)
    source.may_go_on.clear()
    assert await rows.get("k") == "old"  # it did not wait for the read that it began
    source.may_go_on.set()
    await rows.refreshed()
    assert await rows.get("k") == "new"
    assert source.reads == 2


async def test_what_is_too_old_is_waited_for(
    source: Source, rows: FreshRows[str, str], clock: FakeClock
) -> None:
    await rows.get("k")
    source.value = "new"
    clock.advance(BELIEVED_FOR)
    assert await rows.get("k") == "new"


async def test_the_age_of_a_row_counts_from_before_its_read(
    source: Source, rows: FreshRows[str, str], clock: FakeClock
) -> None:
    source.may_go_on.clear()
    first = asyncio.create_task(rows.get("k"))
    await asyncio.sleep(0)
    await asyncio.to_thread(source.has_read.wait, 30)
    source.value = "new"
    clock.advance(BELIEVED_FOR)
    source.may_go_on.set()
    await first
    assert await rows.get("k") == "new"


async def test_what_was_just_written_beats_a_read_that_began_before(
    source: Source, rows: FreshRows[str, str], clock: FakeClock
) -> None:
    source.may_go_on.clear()
    reading = asyncio.create_task(rows.get("k"))
    await asyncio.sleep(0)
    await asyncio.to_thread(source.has_read.wait, 30)
    clock.advance(0.1)
    rows.put("k", "written")
    source.may_go_on.set()
    assert await reading == "written"
    assert await rows.get("k") == "written"


async def test_a_failed_read_is_told_and_tried_again(
    source: Source, rows: FreshRows[str, str]
) -> None:
    source.fails = True
    with pytest.raises(ApiError, match="away") as refused:
        await rows.get("k")
    assert refused.value.__cause__ is None
    assert refused.value.__suppress_context__
    source.fails = False
    assert await rows.get("k") == "old"


async def test_a_refresh_that_fails_disturbs_nobody_until_the_row_is_too_old(
    source: Source, rows: FreshRows[str, str], clock: FakeClock
) -> None:
    await rows.get("k")
    source.fails = True
    clock.advance(REFRESHED_AFTER)
    assert await rows.get("k") == "old"
    await rows.refreshed()
    clock.advance(BELIEVED_FOR)
    with pytest.raises(ApiError):
        await rows.get("k")


async def test_rows_are_forgotten_beyond_a_size(source: Source, rows: FreshRows[str, str]) -> None:
    for number in range(100):
        await rows.get(str(number))
    assert len(rows) == 10


async def test_a_caller_who_goes_away_leaves_the_others_their_answer(
    source: Source, rows: FreshRows[str, str]
) -> None:
    source.may_go_on.clear()
    first, second = (asyncio.create_task(rows.get("k")) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    source.may_go_on.set()
    assert await second == "old"


async def test_nobody_opens_the_database_while_it_is_migrated(tmp_path: Path) -> None:
    path = tmp_path / "auth.db"
    migrated = asyncio.Event()

    async def opened() -> bool:
        await migrated.wait()
        return True

    directory = Directory(
        UserStore(make_engine(f"sqlite:///{path}")), Clock(), lambda event: None, opened
    )
    early = asyncio.create_task(directory.user("ada"))
    tokens = asyncio.create_task(directory.list_tokens(None))
    await asyncio.sleep(0)
    assert not path.exists()

    make_world(tmp_path)
    migrated.set()
    found = await early
    assert found is not None
    assert found.username == "ada"
    assert await tokens == []
    directory.close()


async def test_who_waited_for_long_enough_is_told_to_come_again(tmp_path: Path) -> None:
    async def opened() -> bool:
        return False

    path = tmp_path / "auth.db"
    directory = Directory(
        UserStore(make_engine(f"sqlite:///{path}")), Clock(), lambda event: None, opened
    )
    for waiting in (directory.user("ada"), directory.list_tokens(None)):
        with pytest.raises(ApiError) as refused:
            await waiting
        assert refused.value.status == 503
    assert not path.exists()
    directory.close()
