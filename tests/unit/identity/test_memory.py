"""What identity remembers is bounded, forgotten in time, and tells nothing."""

from __future__ import annotations

import pytest

from headgate.gateway.identity.clock import Clock
from headgate.gateway.identity.memory import BoundedMemory, CredentialMemory
from tests.unit.identity.world import FakeClock


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


def test_a_memory_keeps_what_was_used_last(clock: FakeClock) -> None:
    memory: BoundedMemory[int, str] = BoundedMemory(Clock(clock, clock), size=3, seconds=60)
    for number in range(3):
        memory.put(number, str(number))
    memory.get(0)
    memory.put(3, "3")
    assert [memory.get(number) for number in range(4)] == ["0", None, "2", "3"]
    assert len(memory) == 3


def test_a_memory_forgets_in_time(clock: FakeClock) -> None:
    memory: BoundedMemory[str, str] = BoundedMemory(Clock(clock, clock), size=3, seconds=60)
    memory.put("k", "v")
    clock.advance(59)
    assert memory.get("k") == "v"  # being used makes nothing last longer
    clock.advance(1)
    assert memory.get("k") is None
    assert len(memory) == 0


def test_a_credential_is_fresh_for_the_hash_it_was_verified_against(clock: FakeClock) -> None:
    memory = CredentialMemory(Clock(clock, clock), fresh_seconds=60)
    fingerprint = memory.fingerprint("bob", "secret")
    memory.remember(fingerprint, "stored")
    verified = memory.recall(fingerprint)
    assert verified is not None
    assert memory.is_fresh(verified, ["stored"])
    assert not memory.is_fresh(verified, ["changed"])
    assert not memory.is_fresh(verified, [])
    assert memory.is_fresh(verified, ["changed", "stored"])
    clock.advance(60)
    assert not memory.is_fresh(verified, ["stored"])


def test_no_two_pairs_share_a_fingerprint(clock: FakeClock) -> None:
    memory = CredentialMemory(Clock(clock, clock), fresh_seconds=60)
    pairs = [("bob", "secret"), ("bobs", "ecret"), ("", "bobsecret"), ("secret", "bob")]
    assert len({memory.fingerprint(*pair) for pair in pairs}) == len(pairs)


def test_a_fingerprint_means_nothing_in_another_process(clock: FakeClock) -> None:
    one, other = (CredentialMemory(Clock(clock, clock), fresh_seconds=60) for _ in range(2))
    assert one.fingerprint("bob", "secret") != other.fingerprint("bob", "secret")


def test_what_is_remembered_does_not_print_itself(clock: FakeClock) -> None:
    memory = CredentialMemory(Clock(clock, clock), fresh_seconds=60)
    fingerprint = memory.fingerprint("bob", "secret")
    memory.remember(fingerprint, "scrypt$stored")
    assert "stored" not in repr(memory.recall(fingerprint))
