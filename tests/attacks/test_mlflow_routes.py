"""Every route of MLflow under our factory: nothing answers without a signed identity, and
nothing that changes something is there that nobody judged.
"""

from __future__ import annotations

import re
import time
from pathlib import Path

import pytest

from headgate import assertion
from headgate.mlflow_app.doors import DOORS
from tests.attacks.routes import METHODS, all_routes
from tests.harness.mlflow_alone import ADMIN_NAME, MlflowAlone

JUDGED = Path(__file__).with_name("writing_routes.txt")


def paths() -> list[str]:
    """One path for each rule of MLflow."""
    return sorted({route.path for route in all_routes()})


def test_fastapis_hidden_routes_are_among_them() -> None:
    found = {(route.method, route.rule) for route in all_routes()}
    assert ("POST", "/v1/traces") in found
    assert ("POST", "/ajax-api/3.0/jobs/") in found
    assert ("PUT", "/api/2.0/mlflow-artifacts/artifacts/{artifact_path:path}") in found
    assert ("GET", "/version") in found
    assert len(paths()) > 300


def test_no_route_answers_without_an_identity(mlflow: MlflowAlone) -> None:
    answered = [
        (method, path, answer.status)
        for path in paths()
        for method in METHODS
        if (answer := mlflow.request(method, path, user=None)).status != 401
    ]
    assert answered == [("GET", "/health", 200)]


@pytest.mark.parametrize(
    "path",
    [
        "/healthXYZ",
        "/health/../version",
        "/static",
        "/favicon.ico",
        "//health",
        "/nothing",
        "/%68ealth",
    ],
)
def test_mlflows_public_prefixes_are_not_public(mlflow: MlflowAlone, path: str) -> None:
    answer = mlflow.request("GET", path, user=None)
    assert answer.status == 401
    assert answer.json()["error_code"] == "UNAUTHENTICATED"


@pytest.mark.parametrize(
    "headers",
    [
        {"authorization": "Basic YWRtaW46cGFzc3dvcmQxMjM0"},
        {"x-headgate-identity": "admin"},
        {"x-headgate-caller": "admin", "x_headgate_identity": "admin", "remote-user": "admin"},
    ],
)
def test_no_other_header_makes_somebody_of_nobody(
    mlflow: MlflowAlone, headers: dict[str, str]
) -> None:
    target = "/api/2.0/mlflow/users/current"
    assert mlflow.request("GET", target, user=None, headers=headers).status == 401


def test_an_identity_serves_for_its_own_request_only(mlflow: MlflowAlone) -> None:
    signed = mlflow.signed("GET", "/api/2.0/mlflow/users/current", ADMIN_NAME)
    headers = {assertion.HEADER: signed}
    other = mlflow.request("GET", "/api/2.0/mlflow/users/list", user=None, headers=headers)
    assert other.status == 401


def test_a_stale_identity_is_refused(mlflow: MlflowAlone) -> None:
    target = "/api/2.0/mlflow/users/current"
    stale = assertion.sign(
        mlflow.identity_key,
        username=ADMIN_NAME,
        method="GET",
        raw_target=target.encode(),
        now=time.time() - assertion.LIFETIME - 1,
    )
    headers = {assertion.HEADER: stale}
    assert mlflow.request("GET", target, user=None, headers=headers).status == 401


def test_flask_and_fastapi_routes_both_know_the_caller(mlflow: MlflowAlone) -> None:
    ann = mlflow.new_user("ann")
    flask = mlflow.call("GET", "/api/2.0/mlflow/users/current", user=ann)
    assert flask["user"]["username"] == ann
    fastapi = "/api/2.0/mlflow-artifacts/artifacts/0/nothing"
    assert mlflow.request("GET", fastapi, user=ann).status == 404
    assert mlflow.request("GET", fastapi, user="nobody").status == 401


def test_every_writing_route_was_judged() -> None:
    """After an update of MLflow: judge what is new (does it make the server act or read
    elsewhere?), put it behind a door of `doors` if it does, and write the line.
    """
    lines = [line for line in JUDGED.read_text().splitlines() if line and not line.startswith("#")]
    assert writing_routes() == lines


def writing_routes() -> list[str]:
    """A line for each route that writes or waits behind a door, with that door."""
    found = set()
    for route in all_routes():
        if route.method in ("HEAD", "OPTIONS"):
            continue
        doors = [door.setting for door in DOORS if door.answer(route.method, route.path)]
        if doors or route.method != "GET":
            rule = re.sub(r"^/(ajax-)?api/(\d)", r"/*api/\2", route.rule)
            rule = re.sub(r"<(?:path:)?(\w+)>|\{(\w+)(?::path)?\}", r"{\1\2}", rule)
            found.add(f"{(doors or ['-'])[0]:<18}{route.method:<8}{rule}")
    return sorted(found, key=lambda line: line.split()[::-1])
