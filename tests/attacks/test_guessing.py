"""Guessing passwords is slow, tells nothing, and shuts out nobody who belongs here."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.harness import HeadgateServer, User
from tests.harness.wire import ask_all, head

SEARCH = "/api/2.0/mlflow/experiments/search?max_results=1"
# The numbers: of 500 guesses in a row at most 60 are evaluated.
GUESSES = 500
EVALUATED = 60


@pytest.fixture(scope="module")
def server(migrated_copy: Callable[[], Path]) -> Iterator[HeadgateServer]:
    """A server of its own, as its limits are used up here."""
    with HeadgateServer(migrated_copy()) as started:
        yield started.wait_ready()


def guesses(name: str) -> list[tuple[str, bytes]]:
    """Five hundred wrong passwords for one name."""
    return [
        ("GET", head("GET", SEARCH, f"Authorization: {User(name, f'guess-{n}').authorization()}"))
        for n in range(GUESSES)
    ]


def test_of_many_guesses_few_are_looked_at_and_nobody_else_is_shut_out(
    server: HeadgateServer,
) -> None:
    alice = server.user("alice")
    assert server.request("GET", SEARCH, user=alice).status == 200
    newcomer = server.user("newcomer")

    bodies = {}
    for name in ("alice", "nobody-of-this-name"):
        answers = ask_all(server, guesses(name), seconds=60)
        counted = Counter(answer.status for answer in answers)
        assert set(counted) == {401, 429}
        assert counted[401] <= EVALUATED
        for answer in answers:
            if answer.status == 429:
                assert b"retry-after" in answer.head.lower()
        bodies[name] = {answer.status for answer in answers}
    assert bodies["alice"] == bodies["nobody-of-this-name"]

    # From another address: remembered, and never seen before.
    assert server.request("GET", SEARCH, user=alice).status == 200
    assert server.request("GET", SEARCH, user=newcomer).status == 200
