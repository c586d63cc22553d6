"""The `headgate` command: parse, call, print. A module per group of commands.

`main` runs it and is the one place that turns a `HeadgateError` into a sentence and an exit
code: 0 it worked, 1 it did not, 2 it was called or configured wrongly.
"""

from __future__ import annotations

import errno
import sys
from typing import NoReturn

from headgate.cli import (
    aws,
    containers,
    doctor,
    output,
    settings,
    shell,
    status,
    tokens,
    up,
    users,
)
from headgate.cli.command import application
from headgate.errors import HeadgateError

app = application("Run MLflow locked, signed-in and fast, on this machine.")
for module in (up, shell, status, doctor, settings, containers):
    module.add_to(app)
app.add_typer(users.app, name="users")
app.add_typer(tokens.app, name="token")
app.add_typer(aws.app, name="aws")


def main() -> NoReturn:
    """Run the command that the arguments name, and exit."""
    try:
        app(prog_name="headgate")
    except HeadgateError as error:
        output.show_error(error)
        sys.exit(error.exit_code)
    except OSError as error:
        if error.errno not in _FORESEEABLE:
            raise
        output.show_error(_about_the_machine(error))
        sys.exit(1)
    sys.exit(0)


_FORESEEABLE = {
    errno.ENOSPC: "The disk is full",
    errno.EDQUOT: "The disk quota is used up",
    errno.EROFS: "The disk is read-only",
    errno.EACCES: "Permission denied",
    errno.EPERM: "Permission denied",
    errno.ENOTDIR: "A file is where a folder should be",
    errno.EMFILE: "Too many files are open",
}


def _about_the_machine(error: OSError) -> HeadgateError:
    """What a person can do something about, in words."""
    where = f": {error.filename}" if error.filename else ""
    return HeadgateError(f"{_FORESEEABLE[error.errno or 0]}{where}.")
