"""`headgate env`, `credentials` and `open`: point a shell, a person, a browser at the server."""

from __future__ import annotations

import shlex
import sys
from typing import Annotated, Literal

import typer

from headgate.cli import output
from headgate.cli.client import Client, admin_password
from headgate.cli.command import Command, takes_server, takes_settings
from headgate.errors import HeadgateError
from headgate.settings import Settings

Shell = Literal["bash", "fish", "powershell"]


def add_to(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command("env", cls=Command)(env)
    app.command("credentials", cls=Command)(credentials)
    app.command("open", cls=Command)(open_)


@takes_server
def env(
    client: Client,
    shell: Annotated[
        Shell,
        typer.Option("--shell", metavar="SHELL", help="bash (zsh and sh too), fish or powershell."),
    ] = "bash",
) -> None:
    """Print the lines that point MLflow's clients in a shell here, the password included.

    \b
    Examples:
      eval "$(headgate env)"
      headgate env --shell fish | source
      headgate env --shell powershell | Out-String | Invoke-Expression
    """
    for name, value in variables(client).items():
        output.data(export(name, value, shell))
    if sys.stdout.isatty():
        use = {"bash": 'eval "$(headgate env)"', "fish": "headgate env --shell fish | source"}
        output.say(f"These lines hold a password. To use them: {use.get(shell, 'see --help')}")


def variables(client: Client) -> dict[str, str]:
    """The environment of an MLflow client of this server and user."""
    found = {"MLFLOW_TRACKING_URI": client.local.public_url if client.local else client.url}
    credentials = client.credentials
    if credentials.token is not None:
        found["MLFLOW_TRACKING_TOKEN"] = credentials.token
    else:
        found["MLFLOW_TRACKING_USERNAME"] = str(credentials.username)
        found["MLFLOW_TRACKING_PASSWORD"] = str(credentials.password)
    certificate = client.local.certificate if client.local else None
    if certificate is not None and not client.is_trusted_everywhere():
        found["MLFLOW_TRACKING_SERVER_CERT_PATH"] = certificate
    return found


def export(name: str, value: str, shell: Shell) -> str:
    """A line that sets a variable, whatever characters its value has."""
    if shell == "fish":
        quoted = value.replace("\\", "\\\\").replace("'", "\\'")
        return f"set -gx {name} '{quoted}'"
    if shell == "powershell":
        quoted = value.replace("'", "''")
        return f"$Env:{name} = '{quoted}'"
    return f"export {name}={shlex.quote(value)}"


@takes_settings(only=frozenset({"data_dir"}))
def credentials(settings: Settings) -> None:
    """Show the user name and password that the first start made.

    \b
    Example:
      headgate credentials
    """
    password = admin_password(settings)
    if password is None:
        raise HeadgateError(
            f"No password is kept in {settings.admin_password_path()}.",
            hint="It is made by the first `headgate up`, unless HEADGATE_ADMIN_PASSWORD sets one.",
        )
    output.data(f"username: {settings.admin_username}")
    output.data(f"password: {password}")


@takes_server
def open_(client: Client) -> None:
    """Open the sign-in page in a browser.

    \b
    Example:
      headgate open
    """
    import webbrowser

    address = f"{client.local.public_url if client.local else client.url}/headgate/sign-in"
    if not webbrowser.open(address):
        raise HeadgateError(f"No browser could be started. The address is {address}")
    output.say(f"Opened {address}")
