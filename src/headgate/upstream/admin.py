"""The password that the first admin gets, in a file that only we may read."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from headgate.errors import HeadgateError
from headgate.secret_store import Secret
from headgate.settings import Settings

_NAMED = "first-admin"
_RANDOM_BYTES = 18


@contextmanager
def admin_password_file(settings: Settings) -> Iterator[Path]:
    """The file of the first admin's password, while the process that makes the admin runs.

    A password that the settings name, or the secret of theirs, is in a file for that time
    alone; a generated one stays where `headgate credentials` finds it.
    """
    password = _named_password(settings)
    if password is None:
        yield generated_password(settings.admin_password_path())
        return
    path = settings.run_dir() / _NAMED
    path.unlink(missing_ok=True)  # left by a start that was killed
    try:
        with _private_file(path) as file:
            file.write(password)
        yield path
    finally:
        path.unlink(missing_ok=True)


def admin_name(settings: Settings) -> str:
    """The first admin's name: the secret's, where there is one. Raises `HeadgateError`."""
    if settings.admin_secret is None:
        return settings.admin_username
    return Secret(settings.admin_secret).credentials().username


def _named_password(settings: Settings) -> str | None:
    if settings.admin_secret is not None:
        return Secret(settings.admin_secret).credentials().password
    return settings.admin_password.get_secret_value() if settings.admin_password else None


def generated_password(path: Path) -> Path:
    """The password file at `path`, made with a strong random password if it is not there.

    Complete or not at all, and never another one in its place: an interrupted start must not
    leave an admin whose password nobody knows. Raises `HeadgateError` if it cannot be made.
    """
    if path.exists():
        return path
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        try:
            with _private_file(temporary) as file:
                file.write(secrets.token_urlsafe(_RANDOM_BYTES) + "\n")
                file.flush()
                os.fsync(file.fileno())
            os.link(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)
    except FileExistsError:
        pass  # Another process made it at the same moment.
    except OSError as fault:
        raise HeadgateError(
            f"The password file {path} cannot be written: {fault.strerror}.",
            hint="Mend the permissions or the space of that folder, or set "
            "HEADGATE_ADMIN_PASSWORD.",
        ) from None
    return path


def _private_file(path: Path) -> TextIO:
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w")
