"""Passwords on their way in: prompted hidden, piped, or generated; never an argument."""

from __future__ import annotations

import getpass
import os
import secrets
import sys
from pathlib import Path

from headgate.cli import output
from headgate.cli.asking import UsageError
from headgate.errors import HeadgateError

SHORTEST = 12


def generate() -> str:
    """A strong random password that survives being copied by hand (126 bits)."""
    return secrets.token_urlsafe(16)[:21]


def new_password(*, from_stdin: bool, generated: bool) -> str:
    """A new password by the way that the flags name."""
    if from_stdin and generated:
        raise UsageError("--password-stdin and --generate exclude each other.")
    if generated:
        return generate()
    password = piped() if from_stdin else _typed_twice()
    if len(password) < SHORTEST:
        raise HeadgateError(f"A password has at least {SHORTEST} characters.")
    return password


def show_once(password: str) -> None:
    """Print a generated password, once it is in force."""
    output.data(password)
    output.say("This password is not shown again.")


def piped() -> str:
    """The first line of standard input."""
    return sys.stdin.readline().rstrip("\r\n")


def typed(prompt: str) -> str:
    """A password typed at the terminal, not echoed."""
    if not sys.stdin.isatty():
        raise UsageError(
            "There is no terminal to ask for a password.",
            hint="Use --password-stdin or --generate.",
        )
    return getpass.getpass(prompt, stream=sys.stderr)


def write_private(path: Path, content: str) -> None:
    """Replace a file that only its owner can read, whole or not at all."""
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


def _typed_twice() -> str:
    password = typed("New password: ")
    if typed("Again: ") != password:
        raise HeadgateError("The two passwords differ.")
    return password
