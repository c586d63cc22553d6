"""How our commands take settings and show their help.

`Command` and `Group` print help without boxes or colour. `takes_settings` gives a command one
flag per setting, made from the fields of `headgate.settings`, and hands it the loaded
`Settings`.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Annotated, Any, get_args

import typer
from pydantic.fields import FieldInfo
from typer.core import TyperCommand, TyperGroup

from headgate.cli import output
from headgate.settings import GROUPS, Settings, load_settings
from headgate.settings.loading import flag_of, is_list, is_secret

# Other users of a machine see the arguments of every process; a password has no place there.
WITHOUT_FLAG = frozenset({"admin_password"})


class Command(TyperCommand):
    """A command whose help shows options under the heading of their group."""

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Arguments, the command's own options, then the settings by group."""
        sections: dict[str, list[tuple[str, str]]] = {"Arguments": [], "Options": []}
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx)
            if record is None:
                continue
            plain = "Arguments" if parameter.param_type_name == "argument" else "Options"
            heading = getattr(parameter, "rich_help_panel", None) or plain
            sections.setdefault(heading, []).append(record)
        for heading, rows in sections.items():
            if rows:
                with formatter.section(heading):
                    formatter.write_dl(rows)


class Group(TyperGroup):
    """A group that lists its commands in the order of the code."""


def application(help_text: str) -> typer.Typer:
    """A Typer application with our habits."""
    return typer.Typer(
        help=help_text,
        cls=Group,
        no_args_is_help=True,
        add_completion=False,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    )


def takes_settings(
    only: frozenset[str] | None = None,
) -> Callable[[Callable[..., Any]], Callable[..., None]]:
    """Give a command `--config` and the flags of all settings, or of those in `only`.

    The command gets a `settings` argument in place of the flags.
    """
    fields = _fields(only)

    def decorate(function: Callable[..., Any]) -> Callable[..., None]:
        def command(**arguments: Any) -> None:
            settings = _load(arguments, fields)
            function(settings=settings, **arguments)

        return _like(command, function, [*_own(function, {"settings"}), *_parameters(fields)])

    return decorate


def takes_server(function: Callable[..., Any]) -> Callable[..., None]:
    """Give a command a `client` of the running server and, if it wants them, the `settings`."""
    fields = _fields(frozenset({"data_dir"}))
    wants_settings = "settings" in inspect.signature(function).parameters

    def command(**arguments: Any) -> None:
        from headgate.cli.client import connect  # its imports are not free

        settings = _load(arguments, fields)
        client = connect(settings, arguments.pop("url"))
        if wants_settings:
            arguments["settings"] = settings
        function(client=client, **arguments)

    url = typer.Option(
        "--url",
        metavar="URL",
        help="Address of the server. Default: the one that runs on the data folder, else "
        "MLFLOW_TRACKING_URI.",
        rich_help_panel="Server",
    )
    own = _own(function, {"settings", "client"})
    return _like(
        command, function, [*own, _keyword("url", Annotated[str | None, url]), *_parameters(fields)]
    )


def _fields(only: frozenset[str] | None) -> dict[str, tuple[str, FieldInfo]]:
    return {
        key: (heading, field)
        for heading, group in GROUPS.items()
        for key, field in group.model_fields.items()
        if key not in WITHOUT_FLAG and (only is None or key in only)
    }


def _load(arguments: dict[str, Any], fields: Iterable[str]) -> Settings:
    """Take the settings' flags out of a command's arguments, and load."""
    config = arguments.pop("config")
    flags = {key: _given(arguments.pop(key)) for key in fields}
    return load_settings(flags, config=config, warn=output.warn)


def _own(function: Callable[..., Any], supplied: set[str]) -> list[inspect.Parameter]:
    """The parameters of a command that stay its own."""
    parameters = inspect.signature(function, eval_str=True).parameters
    return [parameter for name, parameter in parameters.items() if name not in supplied]


def _like(
    command: Callable[..., None], function: Callable[..., Any], parameters: list[inspect.Parameter]
) -> Callable[..., None]:
    """Dress `command` so that Typer sees `function` with these parameters."""
    command.__doc__ = function.__doc__
    command.__name__ = function.__name__
    command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]  # for inspect
    command.__annotations__ = {item.name: item.annotation for item in parameters}
    return command


def _given(value: Any) -> Any:
    """A repeatable flag as settings read it; one that was not used counts as not named."""
    return (",".join(value) or None) if isinstance(value, list) else value


def _parameters(fields: dict[str, tuple[str, FieldInfo]]) -> Iterator[inspect.Parameter]:
    config = typer.Option(
        "--config",
        metavar="FILE",
        help="Settings file. Default: headgate.toml, where there is one.",
    )
    yield _keyword("config", Annotated[Path | None, config])
    for key, (heading, field) in fields.items():
        yield _keyword(key, _option(key, heading, field))


def _keyword(name: str, annotation: Any) -> inspect.Parameter:
    return inspect.Parameter(
        name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=annotation
    )


def _option(key: str, heading: str, field: FieldInfo) -> Any:
    """The option of a setting: text, since `Settings` alone checks values and words faults."""
    names = [flag_of(key)]
    kind: Any = str | None
    if field.annotation is bool:
        names = [f"{flag_of(key)}/--no-{flag_of(key)[2:]}"]
        kind = bool | None
    elif is_list(key):
        kind = list[str] | None
    metavar = None if field.annotation is bool else metavar_of(key, field)
    option = typer.Option(
        *names, metavar=metavar, help=describe(key, field), rich_help_panel=heading
    )
    return Annotated[kind, option]


def describe(key: str, field: FieldInfo) -> str:
    """A setting in words: its description, values, default."""
    parts = [str(field.description)]
    choices = choices_of(field)
    if choices:
        parts.append(f"One of {', '.join(choices)}.")
    if is_list(key):
        parts.append("Repeatable, or separated by commas.")
    default = default_of(field)
    if default is not None:
        parts.append(f"[default: {default}]")
    return " ".join(parts)


def default_of(field: FieldInfo) -> str | None:
    """The default as one would write it; None where there is none or the text explains it."""
    if field.default in (None, []) or field.annotation is bool:
        return None
    return str(field.default)


def choices_of(field: FieldInfo) -> list[str]:
    """The values of a setting that has only a few."""
    arguments = get_args(field.annotation)
    return [str(value) for value in arguments if isinstance(value, str)]


def metavar_of(key: str, field: FieldInfo) -> str:
    """What stands for the value in help."""
    kind = repr(field.annotation)
    if is_secret(key):
        return "URI"
    if choices_of(field):
        return "NAME"
    if "int" in kind or "float" in kind:
        return "NUMBER"
    return "PATH" if "Path" in kind else "TEXT"
