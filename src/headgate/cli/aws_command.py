"""How the commands of `headgate aws` get their settings, show progress and ask.

`takes_aws` gives a command `--region`, `--profile` and `--config`, and hands it an `Here`;
whatever AWS answers badly becomes one sentence. `Telling` shows what happens meanwhile.
"""

from __future__ import annotations

import inspect
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Annotated, Any, Self

import typer

from headgate.cli import output
from headgate.cli.asking import confirmed
from headgate.errors import HeadgateError
from headgate.settings.loading import CONFIG_VARIABLE, DEFAULT_FILE

if TYPE_CHECKING:
    from rich.status import Status

    from headgate.aws.session import Aws
    from headgate.settings.aws import AwsSettings

# Longer lines of other programs are cut in the spinner, which has one line.
_WIDEST = 100


@dataclass(frozen=True, slots=True)
class Here:
    """Which account and region a command is about, and the settings it was told."""

    aws: Aws
    settings: AwsSettings
    config: Path | None


def takes_aws(function: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options that say which deployment is meant, as a `here` argument."""

    def command(region: str | None, profile: str | None, config: Path | None, **own: Any) -> None:
        from headgate.aws.session import Aws, explained
        from headgate.settings.aws_loading import load_aws_settings

        settings = load_aws_settings({"region": region, "profile": profile}, config)
        aws = Aws(settings.region, settings.profile)
        with explained(aws):
            function(here=Here(aws, settings, _file(config)), **own)

    parameters = inspect.signature(function, eval_str=True).parameters
    own = [parameter for name, parameter in parameters.items() if name != "here"]
    every = [*own, *_PARAMETERS]
    command.__doc__ = function.__doc__
    command.__name__ = function.__name__
    command.__signature__ = inspect.Signature(every)  # type: ignore[attr-defined]  # for inspect
    command.__annotations__ = {item.name: item.annotation for item in every}
    return command


def _option(name: str, kind: Any, metavar: str, text: str) -> inspect.Parameter:
    option = typer.Option(f"--{name}", metavar=metavar, help=text, rich_help_panel="Place")
    return inspect.Parameter(
        name,
        inspect.Parameter.KEYWORD_ONLY,
        default=None,
        annotation=Annotated[kind | None, option],
    )


_PARAMETERS = (
    _option(
        "region",
        str,
        "REGION",
        "Default: region under [aws], the profile's, AWS_REGION, else us-west-2.",
    ),
    _option("profile", str, "NAME", "Profile of ~/.aws. Default: profile under [aws]."),
    _option("config", Path, "FILE", "Settings file. Default: headgate.toml, where there is one."),
)


def _file(config: Path | None) -> Path | None:
    """The settings file that was read."""
    if config is not None:
        return config
    if os.environ.get(CONFIG_VARIABLE):
        return Path(os.environ[CONFIG_VARIABLE])
    return DEFAULT_FILE if DEFAULT_FILE.exists() else None


class Telling:
    """What happens, line by line; in a terminal with a spinner that shows the newest line."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._status: Status | None = None

    def __enter__(self) -> Self:
        if sys.stderr.isatty():
            from rich.console import Console  # not needed without a terminal

            self._status = Console(stderr=True).status(f"{self._what} …")
            self._status.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._status is not None:
            self._status.stop()

    def tell(self, text: str) -> None:
        """Something worth keeping on the screen."""
        if self._status is None:
            output.say(text)
        else:
            from rich.text import Text

            self._status.console.print(Text(text))

    def on_line(self, line: str) -> None:
        """A line of another program: kept where no terminal is, else shown for a moment."""
        if self._status is None:
            output.say(f"  {line}")
            return
        from rich.text import Text

        self._status.update(Text(_short(line)))


def _short(line: str) -> str:
    from headgate.aws.cdk import parse_step

    step = parse_step(line)
    if step is not None:
        line = f"{step.stack} {step.count} {step.status} {step.resource}"
    return line if len(line) <= _WIDEST else f"{line[: _WIDEST - 1]}…"


def agreed(question: str, *, yes: bool) -> bool:
    """Whether the answer is yes. Raises `HeadgateError` without a terminal to ask at."""
    if yes:
        return True
    if not sys.stdin.isatty():
        raise HeadgateError(
            "There is no terminal to answer at, so nothing was changed.",
            hint="Say yes with --yes.",
        )
    return confirmed(question)


def typed_exactly(question: str, answer: str) -> bool:
    """Whether this very text is typed, or piped."""
    sys.stderr.write(f"{question} ")
    sys.stderr.flush()
    return sys.stdin.readline().strip() == answer


def one_of(question: str, choices: list[str]) -> int | None:
    """The index of what is chosen at the terminal; None where nobody is there to choose."""
    if not sys.stdin.isatty():
        return None
    for number, choice in enumerate(choices, start=1):
        output.say(f"  {number}  {choice}")
    sys.stderr.write(f"{question} [1-{len(choices)}] ")
    sys.stderr.flush()
    typed = sys.stdin.readline().strip()
    return int(typed) - 1 if typed.isdigit() and 1 <= int(typed) <= len(choices) else None
