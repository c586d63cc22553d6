"""`headgate token` over the gateway's API."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.unit.cli.conftest import FakeServer, Run

TOKENS = "/headgate/api/tokens"
TOKEN: dict[str, Any] = {
    "id": "4f3a9c0d1b2e5f67",
    "name": "nightly",
    "username": "alice",
    "read_only": True,
    "created_at": "2026-11-25T01:00:00Z",
    "expires_at": None,
}


def test_a_token_is_printed_alone_so_that_a_script_can_read_it(
    run: Run, server: FakeServer
) -> None:
    server.will("POST", TOKENS, TOKEN | {"token": "the-token"}, 201)
    result = run("token", "create", "--name", "nightly", "--days", "90", "--read-only")
    assert (result.code, result.out) == (0, "the-token\n")
    assert result.err == "This token is not shown again.\n"
    assert server.asked[0][2] == {"name": "nightly", "read_only": True, "expires_in_days": 90}


def test_an_admin_makes_tokens_for_others(run: Run, server: FakeServer) -> None:
    server.will("POST", TOKENS, TOKEN | {"token": "the-token"}, 201)
    run("token", "create", "--user", "alice")
    assert server.asked[0][2]["username"] == "alice"
    assert server.asked[0][2]["name"]


def test_tokens_are_listed(run: Run, server: FakeServer) -> None:
    server.will("GET", TOKENS, {"tokens": [TOKEN]})
    assert run("token", "list").out == (
        "ID                NAME     USER   READ-ONLY  CREATED               EXPIRES\n"
        "4f3a9c0d1b2e5f67  nightly  alice  yes        2026-11-25T01:00:00Z  -\n"
    )
    assert json.loads(run("token", "list", "--all", "--json").out) == [TOKEN]
    assert [path for _, path, _ in server.asked] == [TOKENS, f"{TOKENS}?all=1"]


def test_a_token_is_revoked_by_its_id(run: Run, server: FakeServer) -> None:
    server.will("DELETE", TOKENS)
    result = run("token", "revoke", TOKEN["id"])
    assert result.code == 0
    assert server.asked == [("DELETE", TOKENS, {"id": TOKEN["id"]})]


@pytest.mark.parametrize("days", ["0", "-1", "many"])
def test_a_token_lives_for_a_number_of_days(days: str, run: Run, server: FakeServer) -> None:
    assert run("token", "create", "--days", days).code == 2
    assert server.asked == []


def test_a_refusal_is_told_in_the_servers_words(run: Run, server: FakeServer) -> None:
    server.will("DELETE", TOKENS, {"message": "There is no token with this id."}, 404)
    result = run("token", "revoke", "absent")
    assert (result.code, result.err) == (1, "error: There is no token with this id.\n")
