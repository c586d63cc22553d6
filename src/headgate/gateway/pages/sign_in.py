"""The sign-in page: a form that works without scripts, and what becomes of it.

Anybody may see it, so it says nothing of the installation. The form is taken from a page of
this server only: otherwise another site could sign a visitor in as somebody it chose.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from html import escape
from http import HTTPStatus
from urllib.parse import parse_qs

from headgate.errors import ApiError, bad_request
from headgate.gateway.identity import SIGN_IN_PATH, Identifier
from headgate.gateway.identity.csrf import require_same_origin
from headgate.gateway.pages.assets import asset_pages
from headgate.gateway.pages.next_page import next_page
from headgate.gateway.request import Request, answer, read_body, redirect, require_method
from headgate.gateway.security_headers import own_page_headers

_MAX_FORM_BYTES = 8192
_FORM_TYPE = b"application/x-www-form-urlencoded"
# A browser is answered with a page; the challenge of Basic would open its own dialog.
_NOT_ON_A_PAGE = (b"www-authenticate",)
_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex">
<title>Sign in</title>
<link rel="icon" href="/headgate/assets/mark.svg" type="image/svg+xml">
<link rel="stylesheet" href="/headgate/assets/headgate.css">
</head>
<body>
<main>
<img class="mark" src="/headgate/assets/mark.svg" alt="">
<h1>Sign in</h1>
<p class="quiet">to continue to MLflow</p>
{message}<form method="post">
<input type="hidden" name="next" value="{next}">
<label for="username">User name</label>
<input id="username" name="username" type="text" value="{username}" required maxlength="255"
 autocomplete="username" autocapitalize="none" autocorrect="off" spellcheck="false"{username_more}>
<label for="password">Password</label>
<input id="password" name="password" type="password" required maxlength="1024"
 autocomplete="current-password"{password_more}>
<button type="submit">Sign in</button>
</form>
</main>
</body>
</html>
"""
_MESSAGE = '<p class="refused" role="alert" id="message">{}</p>\n'


def sign_in_pages(identifier: Identifier) -> dict[bytes, Callable[[Request], Awaitable[None]]]:
    """What answers each path of the sign-in page and its assets."""

    async def page(request: Request) -> None:
        await sign_in_page(request, identifier)

    return {SIGN_IN_PATH: page, **asset_pages()}


async def sign_in_page(request: Request, identifier: Identifier) -> None:
    """Show the form, or take it: then on to the page that was asked for, or the form again."""
    require_method(request, "GET", "HEAD", "POST")
    if request.method == "POST":
        await _take(request, identifier)
    else:
        await _show(request, identifier)


async def _show(request: Request, identifier: Identifier) -> None:
    wish = next_page(_first(parse_qs(request.query.decode("latin-1")), "next"))
    if await _is_signed_in(request, identifier):
        await redirect(request, wish)
        return
    await _answer_page(request, HTTPStatus.OK, [], wish=wish)


async def _is_signed_in(request: Request, identifier: Identifier) -> bool:
    try:
        return await identifier.has_session(request)
    except ApiError:
        return False  # the database is away; the form is there all the same


async def _take(request: Request, identifier: Identifier) -> None:
    wish, username = "/", ""
    try:
        require_same_origin(request)
        form = await _form(request)
        wish, username = next_page(_first(form, "next")), _first(form, "username") or ""
        await identifier.sign_in(request, username, _first(form, "password") or "")
    except ApiError as error:
        headers = [pair for pair in error.headers if pair[0] not in _NOT_ON_A_PAGE]
        if error.close:
            headers.append((b"connection", b"close"))
        await _answer_page(
            request, error.status, headers, wish=wish, username=username, message=error.message
        )
        return
    await redirect(request, wish)


async def _form(request: Request) -> dict[str, list[str]]:
    type_ = (request.header(b"content-type") or b"").partition(b";")[0].strip().lower()
    if type_ != _FORM_TYPE:
        # Its body is left unread.
        raise ApiError(
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
            "BAD_REQUEST",
            "The sign-in page takes its own form only.",
            close=True,
        )
    body = await read_body(request, _MAX_FORM_BYTES)
    try:
        return parse_qs(body.decode("ascii"), errors="strict", max_num_fields=10)
    except ValueError:
        raise bad_request("The form cannot be read.") from None


def _first(form: dict[str, list[str]], name: str) -> str | None:
    values = form.get(name)
    return values[0] if values else None


async def _answer_page(
    request: Request,
    status: HTTPStatus,
    headers: list[tuple[bytes, bytes]],
    *,
    wish: str,
    username: str = "",
    message: str | None = None,
) -> None:
    page = render(wish=wish, username=username, message=message).encode("utf-8", "replace")
    await answer(request, int(status), own_page_headers(page) + headers, page)


def render(*, wish: str, username: str = "", message: str | None = None) -> str:
    """The page, with what went wrong the last time, and the name that was given then."""
    described = ' aria-describedby="message"' if message else ""
    focus = " autofocus"
    return _PAGE.format(
        message=_MESSAGE.format(escape(message)) if message else "",
        next=escape(wish),
        username=escape(username),
        username_more=described + ("" if username else focus),
        password_more=described + (focus if username else ""),
    )
