"""`headgate users`: MLflow's own users and permissions, over its API."""

from __future__ import annotations

from typing import Annotated

import typer

from headgate.cli import output, passwords
from headgate.cli.asking import UsageError, confirmed
from headgate.cli.client import JSON, Client, Refused, admin_password
from headgate.cli.command import Command, application, takes_server
from headgate.errors import HeadgateError
from headgate.settings import Settings

app = application("Users of this MLflow and what they may do (MLflow's own permissions).")

USERS = "/api/2.0/mlflow/users"
PERMISSIONS = "/api/3.0/mlflow/users/permissions"

Name = Annotated[str, typer.Argument(metavar="NAME", help="The user's name.", show_default=False)]
FromStdin = Annotated[
    bool, typer.Option("--password-stdin", help="Read the password from standard input.")
]
Generate = Annotated[
    bool, typer.Option("--generate", help="Make a strong password and show it once.")
]
Experiment = Annotated[
    str | None, typer.Option("--experiment", metavar="NAME", help="An experiment, by name.")
]
ExperimentId = Annotated[
    str | None, typer.Option("--experiment-id", metavar="ID", help="An experiment, by its id.")
]
Model = Annotated[str | None, typer.Option("--model", metavar="NAME", help="A registered model.")]
Other = Annotated[
    str | None,
    typer.Option(
        "--resource",
        metavar="TYPE:ID",
        help="Anything else that MLflow can share, such as prompt:greeting; * is every one.",
    ),
]
Admin = Annotated[bool, typer.Option("--admin", help="May do everything, and manage users.")]


@app.command("add", cls=Command)
@takes_server
def add(
    client: Client,
    name: Name,
    from_stdin: FromStdin = False,
    generated: Generate = False,
    admin: Admin = False,
) -> None:
    """Make a user. Asks for the password unless a flag says where it comes from.

    \b
    Examples:
      headgate users add alice
      headgate users add ci --generate
      pass show mlflow/bob | headgate users add bob --password-stdin
    """
    password = passwords.new_password(from_stdin=from_stdin, generated=generated)
    client.send("POST", f"{USERS}/create", {"username": name, "password": password})
    if admin:
        client.send("PATCH", f"{USERS}/update-admin", {"username": name, "is_admin": True})
    output.say(f"Made the {'admin' if admin else 'user'} {name}.")
    if generated:
        passwords.show_once(password)


@app.command("list", cls=Command)
@takes_server
def list_(
    client: Client,
    name: Annotated[
        str | None,
        typer.Argument(metavar="[NAME]", help="Show this user's grants.", show_default=False),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List the users, or what one of them was granted.

    \b
    Examples:
      headgate users list
      headgate users list alice --json
    """
    if name is None:
        users = client.get(f"{USERS}/list")["users"]
        if as_json:
            output.data_json(users)
        else:
            output.table(
                ("NAME", "ADMIN"), [(user["username"], user["is_admin"]) for user in users]
            )
        return
    grants = client.get(f"{PERMISSIONS}/list", username=name)["permissions"]
    if as_json:
        output.data_json(grants)
    else:
        columns = ("permission", "resource_type", "resource_pattern")
        output.table(
            ("PERMISSION", "TYPE", "ID"),
            [[grant[column] for column in columns] for grant in grants],
        )


@app.command("passwd", cls=Command)
@takes_server
def passwd(
    settings: Settings,
    client: Client,
    name: Name,
    from_stdin: FromStdin = False,
    generated: Generate = False,
) -> None:
    """Change a user's password. Whoever uses the old one is refused within 5 seconds.

    \b
    Examples:
      headgate users passwd alice
      headgate users passwd admin --generate
    """
    body: JSON = {"username": name}
    kept = admin_password(settings) if name == settings.admin_username else None
    if name == client.credentials.username:
        # MLflow asks for the old password of whoever changes their own.
        body["current_password"] = client.credentials.password or passwords.typed(
            "Current password: "
        )
    body["password"] = passwords.new_password(from_stdin=from_stdin, generated=generated)
    client.send("PATCH", f"{USERS}/update-password", body)
    if kept is not None and client.local:
        passwords.write_private(settings.admin_password_path(), body["password"] + "\n")
    output.say(f"Changed the password of {name}.")
    if generated:
        passwords.show_once(body["password"])


@app.command("remove", cls=Command)
@takes_server
def remove(
    client: Client,
    name: Name,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Remove a user. What they made stays.

    \b
    Example:
      headgate users remove alice --yes
    """
    if not yes and not confirmed(f"Remove the user {name}?"):
        raise HeadgateError("Nothing was removed.")
    client.send("DELETE", f"{USERS}/delete", {"username": name})
    output.say(f"Removed the user {name}.")


@app.command("grant", cls=Command)
@takes_server
def grant(
    client: Client,
    name: Name,
    permission: Annotated[
        str | None,
        typer.Argument(
            metavar="[PERMISSION]",
            help="READ, USE, EDIT, MANAGE, NO_PERMISSIONS or DENY.",
            show_default=False,
        ),
    ] = None,
    experiment: Experiment = None,
    experiment_id: ExperimentId = None,
    model: Model = None,
    other: Other = None,
    admin: Admin = False,
) -> None:
    """Let a user do something to an experiment or a model, or make them an admin.

    A grant on the same thing replaces the one before.

    \b
    Examples:
      headgate users grant alice EDIT --experiment churn
      headgate users grant alice READ --model churn-classifier
      headgate users grant alice --admin
    """
    if admin:
        client.send("PATCH", f"{USERS}/update-admin", {"username": name, "is_admin": True})
        output.say(f"{name} is an admin now.")
        return
    if permission is None:
        raise UsageError("Name a permission, such as EDIT, or --admin.")
    what = _resource(client, experiment, experiment_id, model, other)
    body = {"username": name, "permission": permission.upper(), **what}
    try:
        client.send("POST", f"{PERMISSIONS}/grant", body)
    except Refused as error:
        if error.code != "RESOURCE_ALREADY_EXISTS":
            raise
        client.send("POST", f"{PERMISSIONS}/revoke", {"username": name, **what})
        client.send("POST", f"{PERMISSIONS}/grant", body)
    output.say(f"{name} has {permission.upper()} on {what['resource_type']} {what['resource_id']}.")


@app.command("revoke", cls=Command)
@takes_server
def revoke(
    client: Client,
    name: Name,
    experiment: Experiment = None,
    experiment_id: ExperimentId = None,
    model: Model = None,
    other: Other = None,
    admin: Admin = False,
) -> None:
    """Take a grant back; the default permission applies again.

    \b
    Examples:
      headgate users revoke alice --experiment churn
      headgate users revoke alice --admin
    """
    if admin:
        client.send("PATCH", f"{USERS}/update-admin", {"username": name, "is_admin": False})
        output.say(f"{name} is no admin any more.")
        return
    what = _resource(client, experiment, experiment_id, model, other)
    client.send("POST", f"{PERMISSIONS}/revoke", {"username": name, **what})
    output.say(f"{name} has no grant on {what['resource_type']} {what['resource_id']} any more.")


def _resource(
    client: Client,
    experiment: str | None,
    experiment_id: str | None,
    model: str | None,
    other: str | None,
) -> JSON:
    """What the one flag that was used means to MLflow."""
    named = [value for value in (experiment, experiment_id, model, other) if value is not None]
    if len(named) != 1:
        raise UsageError("Name one thing: --experiment, --experiment-id, --model or --resource.")
    if experiment is not None:
        found = client.get("/api/2.0/mlflow/experiments/get-by-name", experiment_name=experiment)
        experiment_id = str(found["experiment"]["experiment_id"])
    if experiment_id is not None:
        return {"resource_type": "experiment", "resource_id": experiment_id}
    if model is not None:
        return {"resource_type": "registered_model", "resource_id": model}
    kind, separator, identifier = named[0].partition(":")
    if not separator:
        raise UsageError(f"--resource {named[0]!r}: write it like prompt:greeting.")
    return {"resource_type": kind, "resource_id": identifier}
