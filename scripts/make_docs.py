"""Write the reference pages from the code: `make docs`; `--check` fails if one is not current.

`docs/settings.md` and `docs/headgate.toml` come from the fields of `headgate.settings`, those of
`[aws]` included, `docs/cli.md` from the commands of `headgate.cli`, `docs/aws-costs.md` from the
price list, `docs/images/aws.svg` from `aws_picture`. Start at `PAGES`.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

# Help is laid out for the terminal it is shown in; the page must not depend on one.
os.environ |= {"COLUMNS": "100", "TERMINAL_WIDTH": "100", "NO_COLOR": "1"}

from aws_costs_page import costs_page
from aws_picture import picture
from pydantic.fields import FieldInfo
from typer.main import get_command

from headgate.cli import app
from headgate.cli.command import WITHOUT_FLAG, choices_of, default_of
from headgate.settings import GROUPS
from headgate.settings.aws import AWS_GROUPS
from headgate.settings.loading import flag_of, variable_of
from headgate.settings.printing import toml_value

DOCS = Path(__file__).resolve().parents[1] / "docs"
NOTICE = "Written by `make docs` from the code; change it there."


def main() -> int:
    """Write the pages or, with --check, name those that are not current."""
    stale = []
    for name, render in PAGES.items():
        path, content = DOCS / name, render()
        if path.exists() and path.read_text(encoding="utf-8") == content:
            continue
        stale.append(f"docs/{name}")
        if "--check" not in sys.argv:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content, encoding="utf-8")
            print(f"wrote docs/{name}")
    if stale and "--check" in sys.argv:
        print(f"Not current: {', '.join(stale)}. Run `make docs`.", file=sys.stderr)
        return 1
    return 0


def settings_page() -> str:
    """A table per group of settings."""
    return "\n".join(_settings_lines()) + "\n"


def _settings_lines() -> Iterator[str]:
    yield from ("# Settings", "", f"<!-- {NOTICE} -->", "")
    yield "A flag wins over its variable, that over `headgate.toml`, that over the default. The"
    yield "file is `headgate.toml` in the working folder, or what `--config` or `HEADGATE_CONFIG`"
    yield "names; [headgate.toml](headgate.toml) is a sample with every key. `headgate settings`"
    yield "prints what applies. Lists are repeated flags, comma-separated in a variable, arrays in"
    yield "the file. Keys that do not exist are refused."
    for heading, group in GROUPS.items():
        yield from ("", f"## {heading}", "", str(group.__doc__).strip(), "")
        yield "| key | flag | variable | default | |"
        yield "|---|---|---|---|---|"
        for key, field in group.model_fields.items():
            cells = (
                f"`{key}`",
                _flag(key),
                f"`{variable_of(key)}`",
                _default(field),
                _words(field),
            )
            yield f"| {' | '.join(cells)} |"
    yield ""
    yield "`admin_password` has no flag, as other users of a machine see every argument."
    yield from _aws_lines()


def _aws_lines() -> Iterator[str]:
    yield from ("", "## The table `[aws]`", "")
    yield "What `headgate aws` deploys, and where. The table stands at the end of `headgate.toml`;"
    yield "nothing in it concerns a server on this machine. See [aws.md](aws.md)."
    for heading, group in AWS_GROUPS.items():
        yield from ("", f"### {heading}", "", str(group.__doc__).strip(), "")
        yield from ("| key | default | |", "|---|---|---|")
        for key, field in group.model_fields.items():
            yield f"| `{key}` | {_aws_default(field)} | {_words(field)} |"


def _aws_default(field: FieldInfo) -> str:
    return "" if field.default in (None, [], {}) else f"`{toml_value(field.default)}`"


def _flag(key: str) -> str:
    return "" if key in WITHOUT_FLAG else f"`{flag_of(key)}`"


def _default(field: FieldInfo) -> str:
    if field.annotation is bool:
        return "`false`"
    default = default_of(field)
    return f"`{default}`" if default is not None else ""


def _words(field: FieldInfo) -> str:
    choices = choices_of(field)
    one_of = f" One of {', '.join(f'`{choice}`' for choice in choices)}." if choices else ""
    return f"{field.description}{one_of}".replace("|", "\\|")


def sample_file() -> str:
    """Every key with its description and default, commented out."""
    return "\n".join(_sample_lines()) + "\n"


def _sample_lines() -> Iterator[str]:
    yield "# Settings of Headgate. Copy it to headgate.toml in the working folder and uncomment"
    yield f"# what you change. {NOTICE}"
    for heading, group in GROUPS.items():
        yield from ("", f"### {heading}")
        for key, field in group.model_fields.items():
            yield ""
            yield from _wrapped(str(field.description))
            yield f"#{key} = {_toml(key, field)}"
    yield from ("", "### A deployment on AWS: `headgate aws`", "", "#[aws]")
    for heading, group in AWS_GROUPS.items():
        yield from ("", f"## {heading}")
        for key, field in group.model_fields.items():
            yield ""
            yield from _wrapped(str(field.description))
            yield f"#{key} = {_aws_toml(key, field)}"


def _wrapped(text: str, width: int = 96) -> Iterator[str]:
    line = "#"
    for word in text.split():
        if len(line) + 1 + len(word) > width:
            yield line
            line = "#"
        line += f" {word}"
    yield line


def _toml(key: str, field: FieldInfo) -> str:
    """The default as TOML, or an example where there is no default."""
    return EXAMPLES[key] if field.default is None else toml_value(field.default)


def _aws_toml(key: str, field: FieldInfo) -> str:
    return AWS_EXAMPLES[key] if field.default in (None, [], {}) else toml_value(field.default)


# What to write where nothing is the default.
EXAMPLES = {
    "ssl_certfile": '"/etc/headgate/certificate.pem"',
    "ssl_keyfile": '"/etc/headgate/key.pem"',
    "metrics_port": "9090",
    "backend_store_uri": '"postgresql://headgate@localhost/mlflow"',
    "auth_database_uri": '"sqlite:///basic_auth.db"',
    "artifacts_destination": '"s3://bucket/prefix"',
    "admin_password": '"…"',
    "secret_key_file": '"/etc/headgate/secret.key"',
    "secret_key_secret": '"headgate-secret-key"',
    "admin_secret": '"mlflow-server-credentials"',
    "database_secret": '"mlflow-database-credentials"',
    "database_user_secret": '"mlflow-database-user"',
    "database_wake_seconds": "60",
    "database_ca": '"/etc/ssl/certs/rds.pem"',
}
AWS_EXAMPLES = {
    "profile": '"team"',
    "account": '"123456789012"',
    "snapshot": '"mlflow-before-upgrade"',
    "bucket": '"mlflow-123456789012-us-west-2"',
    "server": '{ default_permission = "NO_PERMISSIONS" }',
    "domain_name": '"mlflow.example.com"',
    "certificate_arn": '"arn:aws:acm:us-west-2:123456789012:certificate/…"',
    "hosted_zone_id": '"Z0123456789ABC"',
    "iam_users": '["arn:aws:iam::123456789012:role/Team-*=carol"]',
    "studio_domain_id": '"d-abc123"',
    "alarm_email": '"team@example.com"',
}


def cli_page() -> str:
    """The help of every command."""
    lines = ["# Commands", "", f"<!-- {NOTICE} -->", ""]
    lines += [
        "Exit codes: 0 it worked, 1 it did not, 2 it was called or configured wrongly. Data goes",
        "to standard output, everything else to standard error.",
    ]
    for path, command, context in _commands(get_command(app), "headgate", None):
        lines += ["", f"## {path}", "", "```text", command.get_help(context).rstrip(), "```"]
    return "\n".join(lines) + "\n"


def _commands(command: Any, path: str, parent: Any) -> Iterator[tuple[str, Any, Any]]:
    context = command.make_context(path.split()[-1], [], parent=parent, resilient_parsing=True)
    yield path, command, context
    for name, child in getattr(command, "commands", {}).items():
        yield from _commands(child, f"{path} {name}", context)


PAGES: dict[str, Callable[[], str]] = {
    "settings.md": settings_page,
    "headgate.toml": sample_file,
    "cli.md": cli_page,
    "aws-costs.md": lambda: costs_page(NOTICE),
    "images/aws.svg": picture,
}

if __name__ == "__main__":
    sys.exit(main())
