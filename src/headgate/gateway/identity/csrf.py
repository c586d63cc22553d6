"""Did a page of our own send this, or one of somebody else's, with our user's cookie?

Browsers send a cookie along whoever asks for the request. For writes we therefore want to be
told by the browser where it came from: `Sec-Fetch-Site`, which no page can forge, and where it
is missing (plain http beyond localhost, old browsers) `Origin`. Neither: refused.
"""

from __future__ import annotations

from headgate.errors import forbidden
from headgate.gateway.hosts import HostPolicy, is_own_origin
from headgate.gateway.request import Request


def check_same_origin(request: Request, hosts: HostPolicy) -> None:
    """Raise `ApiError` 403 if a write rests on a cookie and may come from a foreign page, unless
    the settings allow that page's origin.

    `request.principal` has to be known. Basic credentials and tokens pass: no page can make a
    browser send them.
    """
    by_cookie = request.principal is not None and request.principal.way_in == "session"
    if request.writes and by_cookie and not hosts.allows_origin(request):
        require_same_origin(request)


def require_same_origin(request: Request) -> None:
    """Raise `ApiError` 403 unless a browser says that a page of this server sent this.

    `Sec-Fetch-Site: none` means that no page did, but the person themselves; it passes.
    """
    sites = [value for name, value in request.headers if name == b"sec-fetch-site"]
    if sites:
        if len(sites) > 1 or sites[0] not in (b"same-origin", b"none"):
            raise forbidden("This write was sent by a page of another site, and is refused.")
        return
    origins = [value for name, value in request.headers if name == b"origin"]
    if not origins:
        raise forbidden(
            "A write with a session cookie needs a Sec-Fetch-Site or Origin header, which "
            "browsers send. Programs sign in with a token or a password instead."
        )
    if len(origins) > 1 or not is_own_origin(request, origins[0].decode("latin-1")):
        raise forbidden("This write was sent by a page of another origin, and is refused.")
