"""Did a page of our own send this, or one of somebody else's, with our user's cookie?

Browsers send a cookie along whoever asks for the request. For writes we therefore want to be
told by the browser where it came from: `Sec-Fetch-Site`, which no page can forge, and where it
is missing (plain http beyond localhost, old browsers) `Origin`. Neither: refused.
"""

from __future__ import annotations

from headgate.errors import forbidden
from headgate.gateway.request import Request

_DEFAULT_PORTS = {b"http": b":80", b"https": b":443"}


def check_same_origin(request: Request) -> None:
    """Raise `ApiError` 403 if a write rests on a cookie and may come from a foreign page.

    `request.principal` has to be known. Basic credentials and tokens pass: no page can make a
    browser send them.
    """
    if request.writes and request.principal and request.principal.way_in == "session":
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
    if len(origins) > 1 or not _is_own(request, origins[0]):
        raise forbidden("This write was sent by a page of another origin, and is refused.")


def _is_own(request: Request, origin: bytes) -> bool:
    """Whether the origin is this server, by the name that the client uses for it.

    Behind a proxy that ends TLS we may not know that the client sees https; a page that came
    over https counts as ours then. The other way round it does not.
    """
    scheme, separator, authority = origin.lower().partition(b"://")
    host = (request.header(b"host") or b"").lower()
    if not separator or not host or scheme not in _DEFAULT_PORTS:
        return False
    if request.secure and scheme != b"https":
        return False
    port = _DEFAULT_PORTS[scheme]
    return authority.removesuffix(port) == host.removesuffix(port)
