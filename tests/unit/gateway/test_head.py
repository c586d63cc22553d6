"""What no head may hold, and whom we believe about where a request came from."""

from __future__ import annotations

import pytest

from headgate.errors import ApiError, SettingsError
from headgate.gateway.head import HeadReader, check_head
from headgate.gateway.request import Request


async def _nothing(*_: object) -> None:
    return None


def _read(
    *headers: tuple[str, str], peer: str = "192.0.2.9", trusted: tuple[str, ...] = ()
) -> Request:
    scope = {
        "type": "http",
        "method": "GET",
        "scheme": "http",
        "raw_path": b"/",
        "query_string": b"",
        "client": (peer, 1234),
        "headers": [(name.encode(), value.encode()) for name, value in headers],
    }
    return HeadReader(trusted).read(scope, _nothing, _nothing)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "name",
    ["x-headgate-identity", "x_headgate_identity", "x-headgate_principal", "x_headgate-anything"],
)
def test_no_client_may_send_a_header_that_only_the_gateway_sets(name: str) -> None:
    with pytest.raises(ApiError, match="No client may send") as refusal:
        check_head(_read((name, "root")))
    assert (refusal.value.status, refusal.value.close) == (400, True)


@pytest.mark.parametrize("name", ["host", "authorization", "content-type", "origin"])
def test_a_header_that_decides_something_may_occur_once(name: str) -> None:
    with pytest.raises(ApiError, match="more than once"):
        check_head(_read((name, "a"), (name, "b")))


def test_an_ordinary_head_passes() -> None:
    check_head(_read(("host", "localhost"), ("accept", "a"), ("accept", "b")))


def test_a_stranger_is_not_believed_about_the_address_it_comes_from() -> None:
    request = _read(("x-forwarded-for", "127.0.0.1"), ("x-forwarded-proto", "https"))
    assert (request.client, request.secure) == ("192.0.2.9", False)


def test_a_trusted_proxy_is_believed_about_address_and_scheme() -> None:
    request = _read(
        ("x-forwarded-for", "198.51.100.7"),
        ("x-forwarded-proto", "https"),
        trusted=("192.0.2.0/24",),
    )
    assert (request.client, request.secure) == ("198.51.100.7", True)


def test_what_a_client_itself_claims_left_of_the_proxies_is_ignored() -> None:
    request = _read(
        ("x-forwarded-for", "127.0.0.1, 198.51.100.7, 10.0.0.3"),
        trusted=("192.0.2.9", "10.0.0.0/8"),
    )
    assert request.client == "198.51.100.7"


def test_a_proxy_that_names_nobody_is_itself_the_client() -> None:
    assert _read(trusted=("192.0.2.9",)).client == "192.0.2.9"


def test_each_request_has_an_id_of_its_own() -> None:
    assert _read().id != _read().id


def test_a_trusted_proxy_that_is_no_address_is_refused_with_the_setting_it_came_from() -> None:
    with pytest.raises(SettingsError, match=r"trusted_proxies: 'proxy\.example'"):
        HeadReader(["proxy.example"])
