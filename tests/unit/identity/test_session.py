"""Sessions of browsers."""

from __future__ import annotations

import pytest

from headgate.errors import ApiError
from headgate.gateway.identity.principal import Principal
from headgate.observation import SignedIn
from tests.unit.identity.world import (
    HERE,
    World,
    basic,
    cookie_header,
    cookies_of,
    knock,
    sign_in,
)

HOUR = 3600
DAY = 24 * HOUR


async def signed_in(world: World) -> dict[str, str]:
    """The cookie header of bob's browser."""
    return cookie_header(await sign_in(world, "bob", "bob's password"))


async def test_after_sign_in_the_cookie_says_who_one_is(world: World) -> None:
    headers = await signed_in(world)
    assert await world.enter(headers) == Principal(2, "bob", is_admin=False, way_in="session")
    assert world.events == [SignedIn("bob", HERE)]


async def test_the_cookie_is_out_of_reach_of_scripts_and_other_sites(world: World) -> None:
    request, _ = knock("POST", "/headgate/sign-in")
    await world.identifier.sign_in(request, "bob", "bob's password")
    session, companion = (line.decode().split("; ") for line in request.set_cookies)
    assert session[0].startswith("headgate_session=")
    assert session[1:] == ["Path=/", "SameSite=Lax", f"Max-Age={12 * HOUR}", "HttpOnly"]
    assert companion == ["mlflow_user=bob", "Path=/", "SameSite=Lax", f"Max-Age={12 * HOUR}"]


async def test_over_tls_no_neighbouring_host_can_set_the_cookie(world: World) -> None:
    request, _ = knock("POST", "/headgate/sign-in", secure=True)
    await world.identifier.sign_in(request, "bob", "bob's password")
    session, companion = (line.decode().split("; ") for line in request.set_cookies)
    assert session[0].startswith("__Host-headgate_session=")
    assert "Secure" in session
    assert "Secure" in companion
    plain = {"headgate_session": session[0].partition("=")[2]}
    assert (await world.refused(cookie_header(plain), secure=True)).status == 401


async def test_each_sign_in_is_a_session_of_its_own(world: World) -> None:
    assert await signed_in(world) != await signed_in(world)


async def test_a_name_of_any_letters_can_sign_in(world: World) -> None:
    name = 'é; Path=/evil, "x" 用户'
    world.users.add(name, "a password")
    cookies = await sign_in(world, name, "a password")
    assert (await world.enter(cookie_header(cookies))).username == name
    assert cookies["mlflow_user"].isascii()
    assert ";" not in cookies["mlflow_user"]


async def test_a_session_ends_when_it_was_idle_too_long(world: World) -> None:
    headers = await signed_in(world)
    world.clock.advance(12 * HOUR - 1)
    await world.enter(headers)
    world.clock.advance(1)
    assert (await world.refused(headers)).status == 401
    assert world.refusals() == ["expired"]


async def test_a_session_in_use_is_renewed_now_and_then_and_ends_in_the_end(world: World) -> None:
    headers = await signed_in(world)
    renewals = 0
    for _ in range(30 * 24 - 1):
        world.clock.advance(HOUR)
        request, _ = knock(headers=headers)
        await world.identifier.identify(request)
        if request.set_cookies:
            renewals += 1
            headers = cookie_header(cookies_of(request))
    assert 300 <= renewals <= 30 * 12
    world.clock.advance(HOUR)
    assert (await world.refused(headers)).status == 401


async def test_a_session_used_a_moment_ago_sets_no_cookies(world: World) -> None:
    headers = await signed_in(world)
    world.clock.advance(HOUR)
    request, _ = knock(headers=headers)
    await world.identifier.identify(request)
    assert request.set_cookies == []


async def test_a_cookie_is_not_set_to_live_longer_than_its_session(world: World) -> None:
    headers = await signed_in(world)
    for _ in range(59):
        world.clock.advance(12 * HOUR - 60)
        request, _ = knock(headers=headers)
        await world.identifier.identify(request)
        headers = cookie_header(cookies_of(request))
    left = 30 * DAY - 59 * (12 * HOUR - 60)
    world.clock.advance(2 * HOUR)
    request, _ = knock(headers=headers)
    await world.identifier.identify(request)
    assert f"Max-Age={min(12 * HOUR, left - 2 * HOUR)}".encode() in request.set_cookies[0]


async def test_a_changed_password_ends_the_session_within_five_seconds(world: World) -> None:
    headers = await signed_in(world)
    await world.enter(headers)
    world.users.change_password("bob", "another password")
    world.clock.advance(5)
    assert (await world.refused(headers)).status == 401


async def test_a_copied_cookie_is_dead_after_sign_out_here_at_once(world: World) -> None:
    headers = await signed_in(world)
    await world.enter(headers)
    request, _ = knock("POST", "/headgate/sign-out", headers)
    await world.identifier.sign_out(request)
    assert cookies_of(request) == {"headgate_session": "", "mlflow_user": ""}
    assert all(b"Max-Age=0" in line for line in request.set_cookies)
    assert (await world.refused(headers)).status == 401


async def test_and_at_every_other_gateway_within_five_seconds(world: World) -> None:
    headers, other = await signed_in(world), world.another_gateway()
    await world.enter(headers, at=other)
    await world.identifier.sign_out(knock("POST", "/headgate/sign-out", headers)[0])
    world.clock.advance(5)
    with pytest.raises(ApiError):
        await world.enter(headers, at=other)
    other.close()


async def test_a_renewed_cookie_dies_with_the_session_it_came_from(world: World) -> None:
    headers = await signed_in(world)
    world.clock.advance(2 * HOUR)
    request, _ = knock(headers=headers)
    await world.identifier.identify(request)
    await world.identifier.sign_out(knock("POST", "/headgate/sign-out", headers)[0])
    assert (await world.refused(cookie_header(cookies_of(request)))).status == 401


async def test_signing_out_twice_or_without_a_session_is_fine(world: World) -> None:
    headers = await signed_in(world)
    for _ in range(2):
        await world.identifier.sign_out(knock("POST", "/headgate/sign-out", headers)[0])
    await world.identifier.sign_out(knock("POST", "/headgate/sign-out")[0])


async def test_signing_out_ends_no_other_session_of_the_user(world: World) -> None:
    here, there = await signed_in(world), await signed_in(world)
    await world.identifier.sign_out(knock("POST", "/headgate/sign-out", here)[0])
    assert (await world.enter(there)).username == "bob"


async def test_a_cookie_signed_with_another_key_is_refused(world: World) -> None:
    headers = await signed_in(world)
    assert (await world.refused(headers, at=world.another_gateway(b"x" * 32))).status == 401
    assert (await world.enter(headers, at=world.another_gateway())).username == "bob"


async def test_a_cookie_from_the_future_is_refused(world: World) -> None:
    world.clock.advance(DAY)
    headers = await signed_in(world)
    world.clock.advance(-DAY)
    assert (await world.refused(headers)).status == 401


async def test_authorization_alone_decides_when_both_are_there(world: World) -> None:
    headers = await signed_in(world)
    who = await world.enter(headers | basic("carol", "carol's password"))
    assert (who.username, who.way_in) == ("carol", "basic")
    assert (await world.refused(headers | basic("carol", "wrong"))).status == 401


async def test_requests_in_a_row_read_the_database_once(world: World) -> None:
    import sqlalchemy as sa

    headers = await signed_in(world)
    statements = []
    sa.event.listen(world.engine, "before_cursor_execute", lambda *a: statements.append(a[2]))
    for _ in range(100):
        await world.enter(headers)
    assert len(statements) <= 2


async def test_a_page_without_a_session_is_sent_to_the_sign_in_page_and_back(
    world: World,
) -> None:
    page = {"sec-fetch-mode": "navigate", "accept": "text/html"}
    for cookies in ({}, {"cookie": "headgate_session=forged"}):
        error = await world.refused(page | cookies, path="/x%2F&y", query="a=1&b=é%20")
        assert error.status == 303
        assert dict(error.headers)[b"location"] == (
            b"/headgate/sign-in?next=/x%252F%26y%3Fa%3D1%26b%3D%C3%A9%2520"
        )
    error = await world.refused(page, path="/")
    assert dict(error.headers)[b"location"] == b"/headgate/sign-in"
    error = await world.refused(page, path="/" + "x" * 5000)
    assert dict(error.headers)[b"location"] == b"/headgate/sign-in"


async def test_a_page_gets_to_the_sign_in_page_however_often_its_cookie_was_bad(
    world: World,
) -> None:
    headers = {"cookie": "headgate_session=forged", "sec-fetch-mode": "navigate"}
    for _ in range(100):
        assert (await world.refused(headers)).status == 303


async def test_a_program_without_a_name_is_asked_for_one(world: World) -> None:
    error = await world.refused({})
    assert error.status == 401
    assert error.error_code == "UNAUTHENTICATED"
    assert dict(error.headers)[b"www-authenticate"].startswith(b'Basic realm="')


@pytest.mark.parametrize(
    "browser",
    [
        {"sec-fetch-mode": "cors"},
        {"sec-fetch-mode": "same-origin"},
        {"cookie": "headgate_session=over"},
        {"cookie": "mlflow_user=bob"},
        {"user-agent": "Mozilla/5.0"},
    ],
)
async def test_a_browser_is_not_made_to_show_its_own_dialog(
    world: World, browser: dict[str, str]
) -> None:
    error = await world.refused(browser)
    assert error.status == 401
    assert b"www-authenticate" not in dict(error.headers)
