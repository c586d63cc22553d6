"""Every route that MLflow registers under our factory, found in the apps themselves.

`python -m tests.attacks.routes` imports MLflow and prints them as JSON; `all_routes` runs that
in a child, as no test imports MLflow by itself. A rule's parameters are filled with samples, so
that `Route.path` can be requested.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

from tests.harness.server import clean_environment

METHODS = ("GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE")
_PARAMETER = re.compile(r"<[^>]+>|\{[^}]+\}")


@dataclass(frozen=True, order=True)
class Route:
    """One method of one rule. `served_by` is `fastapi` or `flask`, asked in that order."""

    rule: str
    method: str
    served_by: str

    @property
    def path(self) -> str:
        """A path that this rule matches."""
        return _PARAMETER.sub("sample", self.rule)


@cache
def all_routes() -> tuple[Route, ...]:
    """The routes of the installed MLflow, in order."""
    with tempfile.TemporaryDirectory(prefix="headgate-routes-") as folder:
        key_file = Path(folder) / "secret.key"
        key_file.write_text(secrets.token_hex(32))
        settings = {
            "HEADGATE_SECRET_KEY_FILE": str(key_file),
            "HEADGATE_AUTH_DATABASE_URI": f"sqlite:///{folder}/users.db",
            "_MLFLOW_SERVER_FILE_STORE": f"sqlite:///{folder}/mlflow.db",
        }
        done = subprocess.run(
            [sys.executable, "-m", "tests.attacks.routes"],
            env=clean_environment(settings),
            cwd=Path(__file__).resolve().parents[2],
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
    assert done.returncode == 0, done.stderr
    return tuple(sorted({Route(**route) for route in json.loads(done.stdout)}))


def _flask_routes(app: Any) -> Iterator[Route]:
    for rule in app.url_map.iter_rules():
        for method in rule.methods:
            yield Route(rule.rule, method, "flask")


def _fastapi_routes(routes: list[Any], prefix: str = "") -> Iterator[Route]:
    for route in routes:
        if hasattr(route, "original_router"):
            # FastAPI shows an included router as one route that hides its own.
            inner = prefix + route.include_context.prefix
            yield from _fastapi_routes(route.original_router.routes, inner)
        else:
            # The mounted Flask app is a route without methods.
            for method in getattr(route, "methods", None) or ():
                yield Route(prefix + route.path, method, "fastapi")


def _print_routes() -> None:
    from headgate.mlflow_app import create_app

    layer: Any = create_app()
    while not hasattr(layer, "routes"):
        layer = layer._app
    from mlflow.server import app as flask_app

    found = [*_fastapi_routes(layer.routes), *_flask_routes(flask_app)]
    print(json.dumps([asdict(route) for route in found]))


if __name__ == "__main__":
    os.environ["MLFLOW_LOGGING_LEVEL"] = "ERROR"
    warnings.simplefilter("ignore")
    _print_routes()
