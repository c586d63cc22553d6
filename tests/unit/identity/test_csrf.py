"""Writes that rest on a cookie come from our own pages."""

from __future__ import annotations

import pytest

from headgate.errors import ApiError
from headgate.gateway.identity.csrf import require_same_origin
from tests.unit.identity.world import (
    World,
    basic,
    bearer,
    cookie_header,
    knock,
    make_token,
    sign_in,
)

OURS = "headgate.example.com"


@pytest.mark.parametrize(
    "headers",
    [
        {"sec-fetch-site": "same-origin"},
        {"sec-fetch-site": "same-origin", "origin": f"http://{OURS}"},
        {"sec-fetch-site": "none"},
        {"origin": f"http://{OURS}"},
        {"origin": f"http://{OURS}:80"},
        {"origin": f"https://{OURS}"},  # a proxy may have ended TLS
        {"host": f"{OURS}:5000", "origin": f"http://{OURS}:5000"},
        {"host": OURS.upper(), "origin": f"http://{OURS}"},
        {"host": "[::1]:5000", "origin": "http://[::1]:5000"},
    ],
)
def test_our_own_pages_may_write(headers: dict[str, str]) -> None:
    require_same_origin(knock("POST", headers=headers)[0])


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"referer": f"http://{OURS}/"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        {"sec-fetch-site": "same-site", "origin": f"http://{OURS}"},
        {"sec-fetch-site": ""},
        {"sec-fetch-site": "Same-Origin"},
        {"sec-fetch-site": "same-origin, cross-site"},
        {"origin": "null"},
        {"origin": ""},
        {"origin": OURS},
        {"origin": "http://"},
        {"origin": f"ftp://{OURS}"},
        {"origin": f"http://{OURS}.evil.example"},
        {"origin": f"http://evil.example/{OURS}"},
        {"origin": f"http://evil.example@{OURS}"},
        {"origin": f"http://{OURS}@evil.example"},
        {"origin": f"http://{OURS}:5001"},
        {"host": f"{OURS}:5000", "origin": f"http://{OURS}"},
        {"host": "", "origin": "http://"},
        {"host": f"{OURS}:80", "origin": f"https://{OURS}:443"},
    ],
)
def test_other_pages_and_those_we_cannot_tell_may_not(headers: dict[str, str]) -> None:
    with pytest.raises(ApiError) as refused:
        require_same_origin(knock("POST", headers=headers)[0])
    assert refused.value.status == 403


def test_over_tls_a_page_that_came_without_is_foreign() -> None:
    with pytest.raises(ApiError):
        require_same_origin(knock(headers={"origin": f"http://{OURS}"}, secure=True)[0])
    require_same_origin(knock(headers={"origin": f"https://{OURS}"}, secure=True)[0])


@pytest.mark.parametrize("name", [b"sec-fetch-site", b"origin"])
def test_a_header_that_is_there_twice_is_not_believed(name: bytes) -> None:
    good = {"origin": f"http://{OURS}", "sec-fetch-site": "same-origin"}
    request, _ = knock("POST", headers={name.decode(): good[name.decode()]})
    request.headers.append((name, good[name.decode()].encode()))
    with pytest.raises(ApiError):
        require_same_origin(request)


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
async def test_each_write_with_a_cookie_is_checked_and_a_read_is_not(
    world: World, method: str
) -> None:
    headers = cookie_header(await sign_in(world, "bob", "bob's password"))
    foreign = headers | {"sec-fetch-site": "cross-site"}
    assert (await world.refused(foreign, method=method)).status == 403
    assert (await world.refused(headers, method=method)).status == 403
    assert await world.enter(headers | {"sec-fetch-site": "same-origin"}, method=method)
    assert await world.enter(foreign, method="GET")


async def test_programs_need_no_such_header(world: World) -> None:
    token = await make_token(world, "bob")
    assert await world.enter(basic("bob", "bob's password"), method="POST")
    assert await world.enter(bearer(token), method="POST")


async def test_a_page_whose_origin_the_settings_allow_may_write(world: World) -> None:
    headers = cookie_header(await sign_in(world, "bob", "bob's password"))
    foreign = headers | {"sec-fetch-site": "same-site"}
    allowed = foreign | {"origin": "https://notebooks.example.com"}
    assert await world.enter(allowed, method="POST")
    other = foreign | {"origin": "https://evil.example.com"}
    assert (await world.refused(other, method="POST")).status == 403
