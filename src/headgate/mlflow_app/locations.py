"""Which locations an ordinary user may name: pure rules, applied by `guard`.

MLflow's server opens the locations that it has stored, with its own rights. So a user may
name places inside the artifact store only, or inside what a run already has.
"""

from __future__ import annotations

from urllib.parse import SplitResult, unquote, urlsplit

ARTIFACT_STORE = "mlflow-artifacts:/"
_REFERENCES = ("runs", "models")


def is_inside(location: str, root: str) -> bool:
    """Whether `location` is `root` or below it, however either is spelled.

    Says no to whatever may mean another place to somebody else: another host or query, a
    fragment, `.` and `..` under any encoding, backslashes, control characters.
    """
    place, base = _parsed(location), _parsed(root)
    if place is None or base is None:
        return False
    address, segments = place
    base_address, base_segments = base
    return address == base_address and segments[: len(base_segments)] == base_segments


def is_reference(location: str) -> bool:
    """Whether `location` names a run or model of this server, which MLflow itself resolves and
    checks. Another server's (`models://profile@…`) is no reference.
    """
    parts = _split(location)
    return parts is not None and parts.scheme in _REFERENCES and not parts.netloc


def is_plain_name(name: str) -> bool:
    """Whether `name` is one path segment and stays one under any decoding."""
    decoded = _decoded(name)
    return (
        bool(name)
        and decoded not in (".", "..")
        and not _has_tricks(decoded)
        and "/" not in decoded
    )


def _parsed(location: str) -> tuple[tuple[str, str, str], list[str]] | None:
    parts = _split(location)
    if parts is None or parts.fragment:
        return None
    # A bucket alone is its own root; a path without a slash is relative to nobody knows what.
    decoded = _decoded(parts.path or "/" * bool(parts.netloc))
    if not decoded.startswith("/"):
        return None
    segments = decoded.strip("/").split("/") if decoded.strip("/") else []
    if _has_tricks(decoded) or any(segment in ("", ".", "..") for segment in segments):
        return None
    # A path without a scheme and the same as `file:` are one place.
    scheme = "" if parts.scheme == "file" else parts.scheme
    return (scheme, parts.netloc, parts.query), segments


def _split(location: str) -> SplitResult | None:
    # `urlsplit` drops such characters silently; whoever opens the location may not.
    if not location.isprintable() or location != location.strip():
        return None
    try:
        return urlsplit(location)
    except ValueError:
        return None


def _decoded(text: str) -> str:
    while (once := unquote(text)) != text:
        text = once
    return text


def _has_tricks(decoded: str) -> bool:
    # Backslashes separate on some systems, and a semicolon starts a parameter for MLflow.
    return not decoded.isprintable() or "\\" in decoded or ";" in decoded
