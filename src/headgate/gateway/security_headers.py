"""Headers that tell a browser what the answers of this server may do.

Three policies: `UI` for MLflow's own pages and scripts, `OWN_PAGE` for the sign-in and starting
pages, `PASSIVE` for everything else. Whatever MLflow sends, artifacts among it, is passive:
opened in a tab of its own, an HTML or SVG artifact is a document without origin, which neither
runs scripts nor has anybody's session. Start at `SecurityHeaders.complete`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self

from headgate.gateway.request import Request
from headgate.settings.server import ServerSettings

Headers = list[tuple[bytes, bytes]]

TRACE_RENDERER = b"/static-files/lib/notebook-trace-renderer/index.html"

OWN_PAGE_POLICY = (
    b"default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; "
    b"base-uri 'none'; frame-ancestors 'none'"
)
OWN_SCRIPT_POLICY = OWN_PAGE_POLICY + b"; script-src 'self'"
PASSIVE_POLICY = (
    b"sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src 'self' data:; "
    b"media-src 'self'; frame-ancestors 'self'"
)
_COMMON: tuple[tuple[bytes, bytes], ...] = (
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"SAMEORIGIN"),
    # Not `no-referrer`: browsers then send `Origin: null` with a form of our own.
    (b"referrer-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (
        b"permissions-policy",
        b"camera=(), display-capture=(), geolocation=(), hid=(), microphone=(), midi=(), "
        b"payment=(), serial=(), usb=()",
    ),
    # Answers hold what one user may see; MLflow says nothing, and browsers then guess.
    (b"cache-control", b"no-store"),
)
_TRANSPORT = (b"strict-transport-security", b"max-age=31536000")


def own_page_headers(body: bytes, *, scripts: bool = False) -> Headers:
    """Headers of an HTML page of ours, with scripts from our files or, as a rule, without."""
    return [
        (b"content-type", b"text/html; charset=utf-8"),
        (b"content-length", str(len(body)).encode()),
        (b"cache-control", b"no-store"),
        (b"content-security-policy", OWN_SCRIPT_POLICY if scripts else OWN_PAGE_POLICY),
        (b"x-frame-options", b"DENY"),
    ]


class SecurityHeaders:
    """Adds to every answer what it lacks.

    `artifact_scripts` are the sources from which scripts of HTML artifacts may run in MLflow's
    artifact viewer, `frame_origins` the foreign pages (notebooks) that may show a trace,
    `bucket_origins` where artifacts come from that the viewer is redirected to.
    """

    def __init__(
        self,
        *,
        artifact_scripts: Sequence[str],
        frame_origins: Sequence[str],
        bucket_origins: Sequence[str] = (),
    ) -> None:
        policy = _ui_policy(artifact_scripts, bucket_origins)
        self._ui = (b"content-security-policy", policy + b"; frame-ancestors 'self'")
        embedded = " ".join(["'self'", *_NOTEBOOKS_HERE, *frame_origins]).encode()
        self._renderer = (
            b"content-security-policy",
            policy + b"; frame-ancestors " + embedded,
        )
        self._passive = (b"content-security-policy", PASSIVE_POLICY)

    @classmethod
    def of(cls, settings: ServerSettings, bucket_origins: Sequence[str] = ()) -> Self:
        """As the settings want it."""
        sources = ["'unsafe-inline'", *settings.html_artifact_sources]
        return cls(
            artifact_scripts=sources if settings.html_artifact_scripts else [],
            frame_origins=settings.allowed_origins,
            bucket_origins=bucket_origins,
        )

    def complete(self, request: Request, headers: Headers) -> Headers:
        """`headers` and what they lack; none that is there is changed."""
        present = {name for name, _ in headers}
        completed = headers + [pair for pair in _COMMON if pair[0] not in present]
        path = request.raw_path
        if b"content-security-policy" in present:
            pass
        elif path == TRACE_RENDERER:
            completed = [pair for pair in completed if pair[0] != b"x-frame-options"]
            completed.append(self._renderer)
        elif path == b"/" or path.startswith(b"/static-files/"):
            completed.append(self._ui)
        else:
            completed.append(self._passive)
        if request.secure and not _is_this_machine(request.header(b"host")):
            completed.append(_TRANSPORT)
        return completed


# A notebook on one's own machine shows traces of a server there (`mlflow.tracing.display`).
_NOTEBOOKS_HERE = ("http://localhost:*", "http://127.0.0.1:*")


def _ui_policy(artifact_scripts: Sequence[str], bucket_origins: Sequence[str]) -> bytes:
    """The policy of MLflow's pages, each line needed by MLflow 3.17 and seen in a browser.

    The artifact viewer shows an HTML artifact in a sandboxed frame, from a blob, which inherits
    this policy: hence `artifact_scripts`. No script may stand in an attribute (`onerror=`), the
    usual way in for markup that slipped through.
    """
    # Plotly's parallel coordinates, on the page that compares runs, compile their shaders' calls.
    scripts = " ".join(["'self'", "'unsafe-eval'", *artifact_scripts])
    # Without a bucket nothing is added, not even a space.
    bucket = "".join(f" {origin}" for origin in bucket_origins)
    directives = [
        "default-src 'none'",
        f"script-src {scripts}",
        "script-src-attr 'none'",
        "style-src 'self' 'unsafe-inline'",  # emotion and plotly write style elements
        f"img-src 'self' data: blob:{bucket}",
        "font-src 'self' data:",
        f"media-src 'self' data: blob:{bucket}",
        f"connect-src 'self' data: blob:{bucket}",
        "worker-src 'self' blob:",
        "frame-src 'self' blob: data:",
        "manifest-src 'self'",
        "form-action 'self'",
        "base-uri 'self'",  # the trace renderer's page has a base element
        "object-src 'none'",
    ]
    return "; ".join(directives).encode()


def _is_this_machine(host: bytes | None) -> bool:
    """Whether a Host names the visitor's own machine: browsers keep what they are told of
    localhost for every other server on it too."""
    name = (host or b"").rpartition(b":")[0] or (host or b"")
    return name == b"localhost" or name.endswith(b".localhost")
