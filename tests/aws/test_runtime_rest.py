"""The database may pause: connections are closed when idle, and a wake-up is shared by all."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy

from headgate.database.engine import make_engine
from headgate.database.idle import Usage
from headgate.errors import ApiError
from headgate.gateway.database_rest import Waker, close_idle
from tests.harness.databases import DatabaseServer
from tests.harness.sleeper import SleepingDatabase
from tests.harness.waiting import eventually

CROWD = 200


@pytest.fixture
def database(aurora: DatabaseServer) -> Iterator[SleepingDatabase]:
    with SleepingDatabase(aurora.port) as started:
        yield started


@pytest.fixture
def engine(database: SleepingDatabase, aurora: DatabaseServer) -> Iterator[sqlalchemy.Engine]:
    made = make_engine(database.uri(aurora.new_database()))
    yield made
    made.dispose()


def ask(engine: sqlalchemy.Engine) -> None:
    with engine.connect() as connection:
        connection.execute(sqlalchemy.text("SELECT 1"))


async def refusal(waker: Waker) -> ApiError | None:
    try:
        await waker()
    except ApiError as error:
        return error
    return None


async def test_the_last_idle_connection_is_closed_too(
    engine: sqlalchemy.Engine, database: SleepingDatabase
) -> None:
    usage = Usage(engine)
    ask(engine)
    assert database.open == 1
    resting = asyncio.create_task(close_idle([usage], 0.2))
    await asyncio.to_thread(lambda: eventually(lambda: database.open == 0, seconds=5))
    ask(engine)
    resting.cancel()


def test_a_connection_in_use_is_never_closed(
    engine: sqlalchemy.Engine, database: SleepingDatabase
) -> None:
    usage = Usage(engine)
    with engine.connect() as connection:
        assert not usage.close_if_idle(0)
        connection.execute(sqlalchemy.text("SELECT 1"))
    assert usage.close_if_idle(0)
    assert not usage.close_if_idle(0)


def test_what_was_used_just_now_stays_open(engine: sqlalchemy.Engine) -> None:
    usage = Usage(engine)
    ask(engine)
    assert not usage.close_if_idle(60)
    assert usage.has_idle_connection()


def test_sqlite_lets_go_of_its_file_as_well(tmp_path: Path) -> None:
    engine = make_engine(f"sqlite:///{tmp_path}/store.db")
    usage = Usage(engine)
    ask(engine)
    assert usage.close_if_idle(0)
    ask(engine)
    engine.dispose()


async def test_a_crowd_at_a_sleeping_database_shares_one_attempt_and_is_told_to_come_again(
    engine: sqlalchemy.Engine, database: SleepingDatabase
) -> None:
    database.sleep(2)
    waker = Waker(Usage(engine), wait_seconds=0.3)
    threads = threading.active_count()
    answers = await asyncio.gather(*(refusal(waker) for _ in range(CROWD)))
    assert database.attempts == 1
    assert threading.active_count() - threads <= 4  # ours, and the stand-in's
    for answer in answers:
        assert answer is not None
        assert answer.status == 503
        assert int(dict(answer.headers)[b"retry-after"]) >= 1
    waker.close()


async def test_the_attempt_goes_on_after_those_who_began_it_have_gone(
    engine: sqlalchemy.Engine, database: SleepingDatabase
) -> None:
    database.sleep(1)
    impatient = Waker(Usage(engine), wait_seconds=0.1)
    assert await refusal(impatient) is not None
    await asyncio.to_thread(lambda: eventually(lambda: engine.pool.checkedin() == 1, seconds=10))  # type: ignore[attr-defined]  # a QueuePool
    assert database.attempts == 1
    assert await refusal(impatient) is None
    impatient.close()


async def test_who_waits_long_enough_is_served(
    engine: sqlalchemy.Engine, database: SleepingDatabase
) -> None:
    database.sleep(1)
    waker = Waker(Usage(engine), wait_seconds=20)
    assert await asyncio.gather(*(refusal(waker) for _ in range(CROWD))) == [None] * CROWD
    assert database.attempts == 1
    waker.close()
