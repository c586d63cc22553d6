"""`headgate settings`: what applies after flags, variables, file and defaults."""

from __future__ import annotations

import sys

import typer

from headgate.cli.command import Command, takes_settings
from headgate.settings import Settings


def add_to(app: typer.Typer) -> None:
    """Add the command of this module."""
    app.command("settings", cls=Command)(settings_)


@takes_settings()
def settings_(settings: Settings) -> None:
    """Print the settings that apply, as headgate.toml takes them; secrets are left out.

    \b
    Example:
      headgate settings > headgate.toml
    """
    from headgate.settings.printing import as_toml

    sys.stdout.write(as_toml(settings))
