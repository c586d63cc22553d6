"""Doors: what would let a user make the server act elsewhere, shut unless a setting opens it.

`DOORS` is the whole table. `DoorMiddleware` stands between our identity check and MLflow and
judges the path that MLflow routes on, which is decoded once: another spelling either reaches
the same decision or no route at all. A shut door also switches its feature off in MLflow, so
that the pages hide it and nothing that is already stored acts by itself. Reading lists stays
possible, and what the pages ask for at every start gets the answer of an empty feature.

Which of MLflow's routes each door shuts is written down in `tests/attacks/writing_routes.txt`;
a test compares that with the routes of the installed MLflow. Locations are `guard`'s matter.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus

from starlette.types import ASGIApp, Receive, Scope, Send

from headgate.mlflow_app.identity import answer_json, error_body
from headgate.settings.limits import DoorSettings

_API = r"/(?:ajax-)?api/\d+\.\d+"
_ASSISTANT = "/ajax-api/3.0/mlflow/assistant"
_READING = frozenset({"GET", "HEAD", "OPTIONS"})
_NEVER = re.compile(r"(?!)")
_SEARCHES = re.compile(rf"{_API}(?:/mlflow/prompt-optimization)?/jobs/search")


@dataclass(frozen=True, slots=True)
class Door:
    """One thing that MLflow can do, and the setting without which it does not.

    `writes`, `everything` and `absent` are patterns of whole paths: of the first only what
    changes or starts something is refused, of the last the reading is answered as by an MLflow
    without the feature. `empty` holds answers of a feature that nobody has set up. `closed` and
    `opened` are MLflow's own switches.
    """

    setting: str
    what: str
    writes: re.Pattern[str] = _NEVER
    everything: re.Pattern[str] = _NEVER
    absent: re.Pattern[str] = _NEVER
    empty: Mapping[str, object] = field(default_factory=dict)
    closed: Mapping[str, str | None] = field(default_factory=dict)
    opened: Mapping[str, str | None] = field(default_factory=dict)

    def answer(self, method: str, path: str) -> tuple[HTTPStatus, bytes] | None:
        """What a request gets that waits behind this door; None if it does not."""
        if method == "GET" and path in self.empty:
            return HTTPStatus.OK, json.dumps(self.empty[path]).encode()
        if self._refuses(method, path):
            return HTTPStatus.FORBIDDEN, error_body("PERMISSION_DENIED", self.sentence)
        if self.absent.fullmatch(path):
            return HTTPStatus.NOT_IMPLEMENTED, error_body("NOT_IMPLEMENTED", self.sentence)
        return None

    def _refuses(self, method: str, path: str) -> bool:
        if self.everything.fullmatch(path):
            return True
        reads = method in _READING or _SEARCHES.fullmatch(path)
        return not reads and self.writes.fullmatch(path) is not None

    @property
    def sentence(self) -> str:
        """What a person who stands before the door reads."""
        return (
            f"{self.what} closed on this server. Whoever runs it can open this door "
            f"with the setting {self.setting} (HEADGATE_{self.setting.upper()}=true)."
        )


DOORS = (
    Door(
        setting="allow_webhooks",
        what="Webhooks, by which the server calls other addresses, are",
        writes=re.compile(rf"{_API}/mlflow/webhooks(?:/.*)?", re.DOTALL),
        # No address has this scheme, so webhooks of an older time are not called either.
        closed={"MLFLOW_WEBHOOK_ALLOWED_SCHEMES": "closed-by-allow_webhooks"},
    ),
    Door(
        setting="allow_jobs",
        what="Jobs, which the server runs on a user's behalf, are",
        writes=re.compile(
            rf"{_API}(?:/jobs(?:/.*)?"
            r"|/mlflow/jobs(?:/.*)?"
            r"|/mlflow/prompt-optimization/jobs(?:/.*)?"
            r"|/mlflow/(?:scorer|issues|genai/evaluate)/invoke"
            r"|/mlflow/scorers/online-config)",
            re.DOTALL,
        ),
        closed={"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"},
        opened={"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "true"},
    ),
    Door(
        setting="allow_ai_gateway",
        what="MLflow's AI gateway, by which the server calls LLM providers, is",
        writes=re.compile(
            rf"{_API}/mlflow/(?:gateway/.*|gateway-proxy|runs/create-promptlab-run)", re.DOTALL
        ),
        everything=re.compile(r"/gateway/.*", re.DOTALL),
        absent=re.compile(rf"{_API}/mlflow/gateway/.*", re.DOTALL),
        closed={
            "MLFLOW_ENABLE_AI_GATEWAY": "false",
            "MLFLOW_MODEL_CATALOG_URI": "",
            "MLFLOW_DEPLOYMENTS_TARGET": None,
        },
    ),
    Door(
        setting="allow_assistant",
        what="MLflow's assistant, which runs commands for its users, is",
        everything=re.compile(rf"{_API}/mlflow/assistant(?:/.*)?", re.DOTALL),
        # Every page asks for these two at its start.
        empty={
            f"{_ASSISTANT}/config": {
                "providers": {},
                "projects": {},
                "remote_access_allowed": False,
            },
            f"{_ASSISTANT}/providers": {
                "providers": [],
                "resolved": None,
                "gateway_vendor_options": {},
            },
        },
        closed={"MLFLOW_ENABLE_REMOTE_ASSISTANT": "false"},
        # MLflow takes everybody who comes through a gateway for remote.
        opened={"MLFLOW_ENABLE_REMOTE_ASSISTANT": "true"},
    ),
)


def shut_doors(settings: DoorSettings) -> tuple[Door, ...]:
    """The doors that no setting opens."""
    return tuple(door for door in DOORS if not getattr(settings, door.setting))


def mlflow_switches(settings: DoorSettings) -> dict[str, str | None]:
    """MLflow's environment variables that go with the doors; None: unset."""
    shut = shut_doors(settings)
    switches: dict[str, str | None] = {}
    for door in DOORS:
        switches |= door.closed if door in shut else door.opened
    return switches


class DoorMiddleware:
    """Answers in MLflow's place what lies behind a shut door."""

    def __init__(self, app: ASGIApp, *, shut: tuple[Door, ...]) -> None:
        self._app = app
        self._shut = shut

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        # Flask takes any number of slashes at the start for one.
        method, path = scope["method"], "/" + scope["path"].lstrip("/")
        for door in self._shut:
            answer = door.answer(method, path)
            if answer is not None:
                await answer_json(send, *answer)
                return
        await self._app(scope, receive, send)
