"""The signed identity: what is believed, and what is not."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headgate import assertion

KEY = b"k" * 32
NOW = 1_800_000_000.0


def signed(**changes: object) -> str:
    claims = {
        "username": "ann",
        "method": "POST",
        "raw_target": b"/api/2.0/mlflow/runs/create?x=%2e",
        "now": NOW,
    }
    return assertion.sign(KEY, **(claims | changes))  # type: ignore[arg-type]


def verified(token: str, key: bytes = KEY, **changes: object) -> str:
    claims = {"method": "POST", "raw_target": b"/api/2.0/mlflow/runs/create?x=%2e", "now": NOW}
    return assertion.verify(key, token, **(claims | changes))  # type: ignore[arg-type]


def test_an_assertion_names_its_user() -> None:
    assert verified(signed()) == "ann"


def test_it_is_one_header_value_without_spaces() -> None:
    assert signed(username="a, b\r\nX: y").isprintable()
    assert " " not in signed(username="a b")


@settings(deadline=None)
@given(st.text(max_size=200).filter(lambda name: name.isprintable()))
def test_any_username_comes_through(name: str) -> None:
    assert verified(signed(username=name)) == name


def test_it_holds_for_its_whole_lifetime() -> None:
    assert verified(signed(), now=NOW + assertion.LIFETIME) == "ann"


@pytest.mark.parametrize(
    "changes",
    [
        {"method": "GET"},
        {"method": "post"},
        {"raw_target": b"/api/2.0/mlflow/runs/create"},
        {"raw_target": b"/api/2.0/mlflow/runs/create?x=."},
        {"raw_target": b"/api/2.0/mlflow/runs/create?x=%2E"},
        {"now": NOW + assertion.LIFETIME + 1},
        {"now": NOW - 60},
        {"key": b"q" * 32},
    ],
)
def test_it_holds_for_one_request_only(changes: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="identity"):
        verified(signed(), **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize("token", ["", ".", "ann", "ann.1.2.3", "é" * 8, "." * 5000, "a" * 99999])
def test_what_is_not_ours_is_refused(token: str) -> None:
    with pytest.raises(ValueError, match="identity"):
        verified(token)


def test_no_character_of_it_can_be_changed() -> None:
    token = signed()
    for place, character in enumerate(token):
        other = "A" if character != "A" else "B"
        with pytest.raises(ValueError, match="identity"):
            verified(token[:place] + other + token[place + 1 :])


def test_method_and_target_cannot_borrow_from_each_other() -> None:
    token = signed(method="GET|", raw_target=b"/x")
    with pytest.raises(ValueError, match="identity"):
        verified(token, method="GET", raw_target=b"|/x")


def test_the_target_is_what_both_sides_see() -> None:
    assert assertion.raw_target(b"/a%2fb", b"") == b"/a%2fb"
    assert assertion.raw_target(b"/a%2fb", b"q=1&q=2") == b"/a%2fb?q=1&q=2"
