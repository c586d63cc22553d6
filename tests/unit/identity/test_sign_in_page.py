"""The sign-in page and its form."""

from __future__ import annotations

from urllib.parse import urlencode

import pytest

from headgate.gateway.pages.sign_in import sign_in_pages
from tests.unit.gateway.asgi import Answer
from tests.unit.identity.world import World, cookie_header, cookies_of, knock, sign_in

PAGE = "/headgate/sign-in"
FORM = {"content-type": "application/x-www-form-urlencoded", "sec-fetch-site": "same-origin"}


async def show(
    world: World, path: str = PAGE, headers: dict[str, str] | None = None, query: str = ""
) -> Answer:
    """What somebody who opens a page sees."""
    request, answer = knock("GET", path, headers, query=query)
    await sign_in_pages(world.identifier)[path.encode()](request)
    return answer


async def post(
    world: World,
    form: dict[str, str] | bytes,
    headers: dict[str, str] | None = None,
) -> tuple[Answer, dict[str, str]]:
    """What somebody who sends the form sees, and the cookies they get."""
    body = form if isinstance(form, bytes) else urlencode(form).encode()
    request, answer = knock("POST", PAGE, FORM if headers is None else headers, body=body)
    await sign_in_pages(world.identifier)[PAGE.encode()](request)
    return answer, cookies_of(request)


async def test_anybody_sees_the_form(world: World) -> None:
    answer = await show(world)
    assert answer.status == 200
    assert answer.headers[b"content-type"] == b"text/html; charset=utf-8"
    assert answer.headers[b"cache-control"] == b"no-store"
    for part in (
        b'<label for="username">',
        b'<label for="password">',
        b'autocomplete="username"',
        b'autocomplete="current-password"',
        b" autofocus",
        b'<html lang="en">',
    ):
        assert part in answer.body
    assert b"role=" not in answer.body


async def test_the_page_needs_no_script_and_no_inline_style(world: World) -> None:
    answer = await show(world)
    assert b"<script" not in answer.body
    assert b"style=" not in answer.body
    assert b"<style" not in answer.body
    policy = answer.headers[b"content-security-policy"]
    for rule in (
        b"default-src 'none'",
        b"style-src 'self'",
        b"form-action 'self'",
        b"frame-ancestors 'none'",
        b"base-uri 'none'",
    ):
        assert rule in policy


async def test_the_page_says_nothing_of_the_installation(world: World) -> None:
    answer = await show(world)
    for word in (b"version", b"3.17", b"sqlite", b"admin", b"ada", b"/tmp"):
        assert word not in answer.body.lower()


async def test_the_right_password_leads_to_the_page_that_was_asked_for(world: World) -> None:
    form = {"username": "bob", "password": "bob's password", "next": "/get-artifact?path=a%2Fb"}
    answer, cookies = await post(world, form)
    assert answer.status == 303
    assert answer.headers[b"location"] == b"/get-artifact?path=a%2Fb"
    assert (await world.enter(cookie_header(cookies))).username == "bob"


async def test_and_never_to_another_site(world: World) -> None:
    form = {"username": "bob", "password": "bob's password", "next": "//evil.example"}
    answer, _ = await post(world, form)
    assert answer.headers[b"location"] == b"/"


async def test_a_wrong_password_keeps_the_name_and_the_wish(world: World) -> None:
    form = {"username": "bob", "password": "wrong one", "next": "/x"}
    answer, cookies = await post(world, form)
    assert answer.status == 401
    assert cookies == {}
    assert b"www-authenticate" not in answer.headers
    assert b'role="alert"' in answer.body
    assert b"The user name or the password is wrong." in answer.body
    assert b'value="bob"' in answer.body
    assert b'name="next" value="/x"' in answer.body
    assert b"wrong one" not in answer.body


async def test_an_unknown_name_gets_the_same_page(world: World) -> None:
    known, _ = await post(world, {"username": "bob", "password": "wrong"})
    unknown, _ = await post(world, {"username": "nob", "password": "wrong"})
    assert known.status == unknown.status
    assert known.body == unknown.body.replace(b"nob", b"bob")


@pytest.mark.parametrize("name", ['"><script>alert(1)</script>', "' onfocus='x", "{next}", "é<b>"])
async def test_what_is_shown_again_is_escaped(world: World, name: str) -> None:
    answer, _ = await post(world, {"username": name, "password": "wrong", "next": '/"><b>'})
    assert b"<script" not in answer.body
    assert b"' onfocus" not in answer.body
    assert b'"><b>' not in answer.body
    assert b"<b>" not in answer.body


async def test_who_guesses_too_often_is_told_how_long_to_wait(world: World) -> None:
    for _ in range(11):
        answer, _ = await post(world, {"username": "bob", "password": "wrong"})
    assert answer.status == 429
    assert answer.headers[b"retry-after"] == b"60"
    assert b"Try again in 60 seconds." in answer.body


@pytest.mark.parametrize(
    "headers",
    [
        FORM | {"sec-fetch-site": "cross-site"},
        FORM | {"sec-fetch-site": "same-site"},
        {"content-type": FORM["content-type"]},
        {"content-type": FORM["content-type"], "origin": "http://evil.example"},
        {"content-type": FORM["content-type"], "origin": "null"},
    ],
)
async def test_no_other_site_signs_a_visitor_in(world: World, headers: dict[str, str]) -> None:
    answer, cookies = await post(world, {"username": "bob", "password": "bob's password"}, headers)
    assert answer.status == 403
    assert cookies == {}


@pytest.mark.parametrize("kind", ["", "text/plain", "application/json", "multipart/form-data"])
async def test_only_a_form_is_read(world: World, kind: str) -> None:
    good = {"username": "bob", "password": "bob's password"}
    answer, cookies = await post(world, good, FORM | {"content-type": kind})
    assert answer.status == 415
    assert answer.headers[b"connection"] == b"close"
    assert cookies == {}


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 401),
        (b"username=bob", 401),
        (b"password=x", 401),
        (b"username=&password=", 401),
        (b"username=bob&password=%00", 401),
        (b"username=bob&password=%ff%fe", 400),
        (b"username=b\xc3\xb6b&password=x", 400),
        (b"&".join([b"a=1"] * 50), 400),
        (b"username=%ed%a0%80&password=x", 400),
        (b"\xff\xfe\x00", 400),
        (b"username=bob&password=" + b"x" * 10_000, 413),
    ],
)
async def test_a_strange_form_is_refused_and_no_fault(
    world: World, body: bytes, status: int
) -> None:
    answer, cookies = await post(world, body)
    assert (answer.status, cookies) == (status, {})


async def test_a_form_that_says_it_is_huge_is_not_read(world: World) -> None:
    answer, _ = await post(world, b"", FORM | {"content-length": "999999999999"})
    assert answer.status == 413


async def test_who_is_signed_in_goes_on(world: World) -> None:
    headers = cookie_header(await sign_in(world, "bob", "bob's password"))
    answer = await show(world, headers=headers, query="next=%2Fx")
    assert (answer.status, answer.headers[b"location"]) == (303, b"/x")
    stale = await show(world, headers={"cookie": "headgate_session=stale"}, query="next=%2Fx")
    assert stale.status == 200
    assert b'name="next" value="/x"' in stale.body


async def test_the_page_is_there_while_the_database_is_away(world: World) -> None:
    headers = cookie_header(await sign_in(world, "bob", "bob's password"))
    with world.engine.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE users RENAME TO elsewhere")
    world.clock.advance(10)
    assert (await show(world, headers=headers)).status == 200
    answer, _ = await post(world, {"username": "bob", "password": "bob's password!"})
    assert answer.status == 503
    assert answer.headers[b"retry-after"] == b"2"


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/headgate/assets/headgate.css", b"text/css; charset=utf-8"),
        ("/headgate/assets/mark.svg", b"image/svg+xml"),
        ("/headgate/assets/starting.js", b"text/javascript; charset=utf-8"),
    ],
)
async def test_the_assets_are_there_for_anybody(world: World, path: str, kind: bytes) -> None:
    answer = await show(world, path)
    assert (answer.status, answer.headers[b"content-type"]) == (200, kind)
    again = await show(world, path, {"if-none-match": answer.headers[b"etag"].decode()})
    assert (again.status, again.body) == (304, b"")


async def test_nothing_else_is_there_for_anybody(world: World) -> None:
    assert set(sign_in_pages(world.identifier)) == {
        b"/headgate/sign-in",
        b"/headgate/assets/headgate.css",
        b"/headgate/assets/mark.svg",
        b"/headgate/assets/starting.js",
    }
