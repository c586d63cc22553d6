"""Every path that MLflow registers, with every method, without credentials: nobody gets past.

The routes come from MLflow's own apps (`routes.py`); the tricks are a table, tried on one path
of each kind.
"""

from __future__ import annotations

import re

import pytest

from tests.attacks.routes import all_routes
from tests.harness import HeadgateServer
from tests.harness.wire import WireAnswer, ask_all, head

METHODS = ("GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE", "TRACE", "PROPFIND", "get")

# What the issue lets anybody have, to the letter.
PUBLIC = {"/health", "/elb-status", "/ready", "/headgate/sign-in"}

# One of each kind: MLflow's API in its versions, its pages and files, what it answers to
# anybody itself, and what is the gateway's own.
PROTECTED = [
    "/",
    "/version",
    "/metrics",
    "/graphql",
    "/v1/traces",
    "/get-artifact?run_id=0&path=x",
    "/static-files/index.html",
    "/api/2.0/mlflow/experiments/get?experiment_id=0",
    "/ajax-api/2.0/mlflow/experiments/get?experiment_id=0",
    "/api/3.0/mlflow/server-info",
    "/api/2.0/mlflow-artifacts/artifacts?path=",
    "/api/2.0/mlflow/users/list",
    "/ajax-api/2.0/mlflow/users/current",
    "/headgate/api/tokens",
    "/headgate/api/status",
    "/docs",
    "/openapi.json",
]

# How a path may be written so that two readers read it differently. `{}` is the path without
# its first slash, `{coded}` the same with every letter percent-encoded.
TRICKS = [
    "//{}",
    "///{}",
    "/./{}",
    "/%2e/{}",
    "/x/../{}",
    "/x/%2e%2e/{}",
    "/x/..%2f{}",
    "/x%2f..%2f{}",
    "/%2f{}",
    "/\\{}",
    "/%5c{}",
    "/;{}",
    "/;x=y/{}",
    "/%00{}",
    "/%20{}",
    "/%09/{}",
    "/{coded}",
    "/health/../{}",
    "/health/..;/{}",
    "/health;/../{}",
    "/health%2f..%2f{}",
    "/health/%2e%2e/{}",
    "/health%00/../{}",
    "/health?/../{}",
    "/health#/../{}",
    "/elb-status/../{}",
    "/ready/..//{}",
    "/headgate/sign-in/../../{}",
    "/headgate/sign-in/%2e%2e/%2e%2e/{}",
    "/headgate/assets/../../{}",
    "/headgate/assets/%2e%2e%2f%2e%2e%2f{}",
    "/headgate/assets/headgate.css/../../../{}",
    "/static-files/../{}",
    "/favicon.ico/../{}",
    "/_headgate/{}",
    "http://localhost/{}",
    "http://localhost/health/../{}",
    "http://127.0.0.1:1/{}",
    "HTTP://LOCALHOST//{}",
    "https://user:secret@localhost/{}",
    "{}",
    "*",
]

# Spellings that are near a public path and must not pass for it.
NEARLY_PUBLIC = [
    "/Health",
    "/HEALTH",
    "/health/",
    "/health//",
    "//health",
    "/./health",
    "/healthx",
    "/health.json",
    "/health;",
    "/health;jsessionid=1",
    "/health%20",
    "/health%00",
    "/%68ealth",
    "/health/x",
    "/elb-status/",
    "/elb-statusx",
    "/ready/",
    "/headgate/sign-in/",
    "/headgate/sign-inx",
    "/headgate/sign-in%2f",
    "/headgate/Sign-In",
    "/headgate/",
    "/headgate",
    "/headgate/assets",
    "/headgate/assets/",
    "/headgate/assets/nothing.css",
    "/headgate/assets/../assets/headgate.css",
    "/headgate/assets/%68eadgate.css",
    "/headgate/assets/..%2f..%2fgateway%2fapp.py",
    "/headgate/assets//etc/passwd",
    "/_headgate",
    "/_headgate/",
    "/static-filesx",
    "/favicon.ico",
    "/robots.txt",
]


def refused(answer: WireAnswer) -> bool:
    """Whether nobody got anything: a refusal of ours, or a closed connection."""
    return answer.status in (0, 400, 401, 403, 404, 405, 414, 421, 431, 501)


def tell(requests: list[tuple[str, bytes]], answers: list[WireAnswer]) -> list[str]:
    """The requests that were not refused, for a person to read."""
    return [
        f"{sent.splitlines()[0]!r}: {answer.status} {answer.body[:80]!r}"
        for (_, sent), answer in zip(requests, answers, strict=True)
        if not refused(answer)
    ]


def still_well(server: HeadgateServer) -> bool:
    """Whether the gateway answers within the second that the issue allows."""
    return server.request("GET", "/health", seconds=1).status == 200


def bare(method: str, target: str) -> tuple[str, bytes]:
    """A request without credentials, complete for any method."""
    return method, head(method, target, "Content-Length: 0")


def test_mlflow_registers_as_many_routes_as_we_know_of() -> None:
    routes = all_routes()
    assert len({(route.rule, route.method) for route in routes}) > 500
    assert {route.served_by for route in routes} == {"fastapi", "flask"}


def test_no_route_answers_anybody_with_any_method(sqlite_server: HeadgateServer) -> None:
    paths = sorted({route.path for route in all_routes()} - PUBLIC)
    requests = [bare(method, path) for path in paths for method in METHODS]
    answers = ask_all(sqlite_server, requests)
    assert tell(requests, answers) == []
    ours = [answer for answer in answers if answer.status == 401]
    # A method that we do not know may be refused before anybody asks who it is.
    assert len(ours) >= len(paths) * (len(METHODS) - 3)
    assert still_well(sqlite_server)


def test_a_refusal_is_in_the_form_that_mlflows_client_reads(
    sqlite_server: HeadgateServer,
) -> None:
    answer = sqlite_server.request("GET", "/api/2.0/mlflow/experiments/get?experiment_id=0")
    assert answer.status == 401
    assert answer.headers["www-authenticate"].startswith("Basic")
    assert answer.json()["error_code"] == "UNAUTHENTICATED"


def test_a_page_without_a_name_leads_to_the_sign_in(sqlite_server: HeadgateServer) -> None:
    browser = {"Accept": "text/html", "Sec-Fetch-Mode": "navigate"}
    answer = sqlite_server.request("GET", "/", headers=browser)
    assert answer.status == 303
    assert answer.headers["location"] == "/headgate/sign-in"
    assert answer.body == b"" or b"mlflow" not in answer.body.lower()


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_no_spelling_of_a_path_gets_past(sqlite_server: HeadgateServer, method: str) -> None:
    requests = []
    for path in PROTECTED:
        plain = path.removeprefix("/")
        coded = re.sub("[a-z]", lambda letter: f"%{ord(letter[0]):02x}", plain)
        requests += [bare(method, trick.format(plain, coded=coded)) for trick in TRICKS]
        requests.append(bare(method, path.upper()))
    # This one is the public path with a query, and only that: see below.
    requests = [(name, sent) for name, sent in requests if b" /health?" not in sent]
    answers = ask_all(sqlite_server, requests)
    assert tell(requests, answers) == []
    assert still_well(sqlite_server)


def test_a_query_does_not_turn_health_into_something_else(sqlite_server: HeadgateServer) -> None:
    answer = sqlite_server.request("GET", "/health?/../api/2.0/mlflow/users/list")
    assert (answer.status, answer.body) == (200, b"OK")


@pytest.mark.parametrize("method", ["GET", "POST", "HEAD"])
def test_what_only_resembles_a_public_path_is_not_public(
    sqlite_server: HeadgateServer, method: str
) -> None:
    requests = [bare(method, target) for target in NEARLY_PUBLIC]
    answers = ask_all(sqlite_server, requests)
    assert tell(requests, answers) == []
    assert still_well(sqlite_server)


def test_spelling_tricks_do_not_widen_what_a_user_may_do(sqlite_server: HeadgateServer) -> None:
    bob = sqlite_server.user("bob")
    credentials = f"Authorization: {bob.authorization()}"
    plain = "api/2.0/mlflow/users/get?username=admin"
    coded = re.sub("[a-z]", lambda letter: f"%{ord(letter[0]):02x}", plain)
    targets = [trick.format(plain, coded=coded) for trick in TRICKS]
    requests = [
        ("GET", head("GET", target, credentials))
        for target in targets
        if not target.startswith("/health?")
    ]
    for answer in ask_all(sqlite_server, requests):
        assert b"is_admin" not in answer.body
    assert still_well(sqlite_server)
