"""One secret key per installation, and what is derived from it.

The key is 32 random bytes in a 0600 file, or a secret in AWS that several servers share.
Whatever needs a secret of its own (sessions, the identity that the gateway signs for MLflow,
Flask's forms) derives it under a label, so that one purpose's secret tells nothing about
another's. Start at `installation_key`.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import re
import secrets
from pathlib import Path
from typing import Literal

from headgate.errors import HeadgateError
from headgate.secret_store import Secret

Purpose = Literal["session", "identity", "flask"]

KEY_FILE_VARIABLE = "HEADGATE_SECRET_KEY_FILE"
KEY_SECRET_VARIABLE = "HEADGATE_SECRET_KEY_SECRET"  # noqa: S105 - a name
_KEY_BYTES = 32
_HEXADECIMAL = re.compile(rf"[0-9a-fA-F]{{{_KEY_BYTES * 2}}}")


def installation_key(path: Path, secret: str | None = None) -> bytes:
    """The key: from the secret of that name, else from the file at `path`, made if need be.

    Raises `HeadgateError` for what is no key.
    """
    if secret is None:
        return load_or_create_key(path)
    return key_from_text(Secret(secret).value().text, secret)


def key_from_text(text: str, name: str) -> bytes:
    """The key that a secret's text is: its digits, or a digest of other text that is as hard to
    guess. Raises `HeadgateError` for shorter text; `name` says which secret that is.
    """
    text = text.strip()
    if _HEXADECIMAL.fullmatch(text):
        return bytes.fromhex(text)
    if len(text) < _KEY_BYTES:
        raise HeadgateError(
            f"The secret {name} is too short for a key: it needs {_KEY_BYTES} random characters."
        )
    return hashlib.sha256(b"headgate/key\0" + text.encode()).digest()


def load_or_create_key(path: Path) -> bytes:
    """Read the key at `path`, or make it (0600, complete or not at all).

    Safe when several processes start at once: exactly one key wins. Raises `HeadgateError`
    for a file that is not such a key, or that cannot be written.
    """
    try:
        if not path.exists():
            _create(path)
        return load_key(path)
    except OSError as error:
        raise HeadgateError(
            f"The secret key {path} cannot be used: {error.strerror}.",
            hint="Mend the space or the permissions of its folder.",
        ) from None


def load_key(path: Path) -> bytes:
    """Read the key at `path`; raises `HeadgateError` if it is missing or not a key."""
    try:
        key = bytes.fromhex(path.read_text(encoding="ascii").strip())
    except FileNotFoundError:
        raise HeadgateError(f"The secret key {path} does not exist.") from None
    except ValueError:
        key = b""
    if len(key) != _KEY_BYTES:
        raise HeadgateError(
            f"{path} is not a secret key of Headgate ({_KEY_BYTES * 2} hexadecimal digits).",
            hint="Restore it from a backup, or remove it: everybody then has to sign in again.",
        )
    return key


def derive(key: bytes, purpose: Purpose) -> bytes:
    """A 32-byte secret for one purpose (HKDF-Expand of RFC 5869 with a single block)."""
    return hmac.new(key, b"headgate/" + purpose.encode() + b"\x01", hashlib.sha256).digest()


def _create(path: Path) -> None:
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(secrets.token_hex(_KEY_BYTES))
            file.flush()
            os.fsync(file.fileno())
        # A link fails if the file is there by now, so that two starters agree on one key.
        os.link(temporary, path)
    except FileExistsError:
        pass
    finally:
        temporary.unlink()
