"""Whom API Gateway names is believed from its own way in, and from nowhere else."""

from __future__ import annotations

import pytest
from starlette.types import Receive, Scope, Send

from headgate.gateway.head import HeadReader
from headgate.gateway.request import Request

HEADER = "x-iam-principal-arn"
CALLER = "arn:aws:sts::123456789012:assumed-role/Team/session"
NGINX = "127.0.0.1"


def read(peer: str | None, *headers: tuple[str, str], networks: list[str] | None = None) -> Request:
    """The request as the door reads it."""
    reader = HeadReader(
        ["10.0.0.0/8", NGINX],
        iam_header=HEADER,
        iam_networks=[NGINX] if networks is None else networks,
    )
    scope: Scope = {
        "type": "http",
        "method": "GET",
        "scheme": "http",
        "raw_path": b"/",
        "query_string": b"",
        "headers": [(name.encode(), value.encode()) for name, value in headers],
        "client": (peer, 1234) if peer else None,
    }
    unused: tuple[Receive, Send] = (_nothing, _nothing)  # type: ignore[assignment]  # not called
    return reader.read(scope, *unused)


async def _nothing(*_: object) -> None:
    raise AssertionError


def test_the_trusted_peer_is_believed_and_the_header_goes_no_further() -> None:
    request = read(NGINX, (HEADER, CALLER), ("accept", "*/*"))
    assert request.iam_caller == CALLER
    assert request.headers == [(b"accept", b"*/*")]


@pytest.mark.parametrize("peer", ["10.0.0.1", "192.0.2.7", "::1", "localhost", None])
def test_nobody_else_is_believed_and_the_header_is_dropped(peer: str | None) -> None:
    request = read(peer, (HEADER, CALLER))
    assert request.iam_caller is None
    assert request.headers == []


def test_the_peer_is_who_has_the_connection_whatever_it_says_of_others() -> None:
    request = read("10.0.0.1", ("x-forwarded-for", NGINX), (HEADER, CALLER))
    assert request.client == NGINX
    assert request.iam_caller is None


@pytest.mark.parametrize("spelling", [HEADER.replace("-", "_"), "x-iam_principal-arn"])
def test_another_spelling_counts_for_nothing_and_is_dropped(spelling: str) -> None:
    request = read(NGINX, (spelling, CALLER))
    assert request.iam_caller is None
    assert request.headers == []


def test_a_spelling_beside_the_real_one_does_not_disturb_it() -> None:
    request = read(NGINX, (HEADER.replace("-", "_"), "arn:aws:iam::1:user/eve"), (HEADER, CALLER))
    assert request.iam_caller == CALLER


def test_two_headers_name_nobody() -> None:
    request = read(NGINX, (HEADER, CALLER), (HEADER, CALLER))
    assert request.iam_caller not in (None, CALLER)


def test_an_empty_header_is_none() -> None:
    assert read(NGINX, (HEADER, "")).iam_caller is None


def test_where_no_principal_is_anybody_the_header_is_like_any_other() -> None:
    request = read(NGINX, (HEADER, CALLER), networks=[])
    assert request.iam_caller is None
    assert len(request.headers) == 1
