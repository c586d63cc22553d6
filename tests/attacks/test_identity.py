"""Headers and cookies that claim to be somebody: forged, stale, foreign, stolen, repeated."""

from __future__ import annotations

import base64
import http.client
import json
import secrets
import time
from urllib.parse import urlencode

import pytest

from headgate import assertion, keys
from tests.conftest import StartHeadgate
from tests.harness import Answer, HeadgateServer, User
from tests.harness.wire import ATTACKER, ask_all, exchange, head

# What only an admin may ask.
ABOUT_ADMIN = "/api/2.0/mlflow/users/get?username=admin"
CURRENT_USER = "/api/2.0/mlflow/users/current"
SEARCH = "/api/2.0/mlflow/experiments/search?max_results=1"

# Spellings of the header in which the gateway tells MLflow who it is, and of others that
# servers behind other gateways believe.
INTERNAL_HEADERS = [
    "X-Headgate-Identity",
    "x-headgate-identity",
    "X_Headgate_Identity",
    "X-Headgate_Identity",
    "X_HEADGATE-IDENTITY",
    "X-Headgate-User",
    "X-Headgate-Admin",
]
OTHER_HEADERS = [
    "X-Forwarded-User",
    "X-Remote-User",
    "Remote-User",
    "X-Auth-Request-User",
    "X-WEBAUTH-USER",
    "Proxy-Authorization",
    "X-Original-URL",
    "X-Rewrite-URL",
]


def signed_as_admin(server: HeadgateServer, method: str, target: str, *, key: bytes) -> str:
    """What the gateway itself would tell MLflow, were the admin asking."""
    return assertion.sign(
        keys.derive(key, "identity"),
        username=server.admin.name,
        method=method,
        raw_target=target.encode(),
        now=time.time(),
    )


@pytest.fixture(scope="module")
def real_key(sqlite_server: HeadgateServer) -> bytes:
    """The server's own key: even whoever had it could not come through the door with it."""
    return keys.load_key(sqlite_server.data_dir / "secret.key")


def test_internal_headers_give_a_stranger_no_name(
    sqlite_server: HeadgateServer, real_key: bytes
) -> None:
    requests = []
    for key in (real_key, secrets.token_bytes(32)):
        value = signed_as_admin(sqlite_server, "GET", ABOUT_ADMIN, key=key)
        for name in [*INTERNAL_HEADERS, *OTHER_HEADERS]:
            requests.append(("GET", head("GET", ABOUT_ADMIN, f"{name}: {value}")))
            requests.append(("GET", head("GET", ABOUT_ADMIN, f"{name}: admin")))
    answers = ask_all(sqlite_server, requests)
    assert {answer.status for answer in answers} <= {400, 401}


def test_internal_headers_make_nobody_somebody_else(
    sqlite_server: HeadgateServer, real_key: bytes
) -> None:
    bob = sqlite_server.user("bob")
    credentials = f"Authorization: {bob.authorization()}"
    value = signed_as_admin(sqlite_server, "GET", ABOUT_ADMIN, key=real_key)
    requests = [
        ("GET", head("GET", ABOUT_ADMIN, credentials, f"{name}: {value}"))
        for name in [*INTERNAL_HEADERS, *OTHER_HEADERS]
    ]
    answers = ask_all(sqlite_server, requests)
    assert {answer.status for answer in answers} <= {400, 403}

    value = signed_as_admin(sqlite_server, "GET", CURRENT_USER, key=real_key)
    requests = [
        ("GET", head("GET", CURRENT_USER, credentials, f"{name}: {value}"))
        for name in INTERNAL_HEADERS
    ]
    for answer in ask_all(sqlite_server, requests):
        assert answer.status == 400 or json.loads(answer.body)["user"]["username"] == "bob"


def test_a_method_cannot_be_overridden(sqlite_server: HeadgateServer) -> None:
    reader = sqlite_server.create_token(sqlite_server.admin, "overrides", read_only=True)
    before = sqlite_server.api("GET", "/api/2.0/mlflow/experiments/search?max_results=1000")
    lines = [f"Authorization: {reader.authorization()}", "X-HTTP-Method-Override: POST"]
    exchange(sqlite_server, head("GET", "/api/2.0/mlflow/experiments/create?name=o", *lines))
    after = sqlite_server.api("GET", "/api/2.0/mlflow/experiments/search?max_results=1000")
    assert len(after["experiments"]) == len(before["experiments"])


@pytest.mark.parametrize(
    "value",
    [
        "Digest username=admin",
        "Negotiate abc",
        "AWS4-HMAC-SHA256 Credential=x",
        "Basic",
        "Basic ",
        "Basic !!!",
        "Basic " + base64.b64encode(b"admin").decode(),
        "Basic " + base64.b64encode(b":").decode(),
        "Basic " + base64.b64encode(b"\xff\xfe:\x00").decode(),
        "Bearer",
        "Bearer ",
        "Bearer null",
        "Bearer hg_" + "a" * 5000,
        "Bearer ' OR 1=1 --",
        "basic:admin",
        "",
    ],
)
def test_an_odd_authorization_is_unauthenticated_never_a_fault(
    sqlite_server: HeadgateServer, value: str
) -> None:
    answer = exchange(sqlite_server, head("GET", SEARCH, f"Authorization: {value}"))
    assert answer.status in (401, 429)


@pytest.mark.parametrize("workspace", ["..", "x" * 300, "a/b", "%00", "ünï", "default"])
def test_an_odd_workspace_is_no_way_in_and_no_fault(
    sqlite_server: HeadgateServer, workspace: str
) -> None:
    line = b"X-MLFLOW-WORKSPACE: " + workspace.encode()
    assert exchange(sqlite_server, head("GET", SEARCH, line)).status in (400, 401)


def test_an_authorization_alone_decides_whatever_cookie_comes_with_it(
    sqlite_server: HeadgateServer,
) -> None:
    cookie = signed_in(sqlite_server, sqlite_server.admin)
    wrong = User("admin", "not-the-password")
    lines = [f"Cookie: {cookie}", f"Authorization: {wrong.authorization()}"]
    assert exchange(sqlite_server, head("GET", SEARCH, *lines)).status in (401, 429)


class TestCookies:
    def test_a_session_lets_its_user_in_and_says_who(self, sqlite_server: HeadgateServer) -> None:
        cookie = signed_in(sqlite_server, sqlite_server.user("bob"))
        answer = with_cookie(sqlite_server, cookie + "; mlflow_user=bob", CURRENT_USER)
        assert answer.json()["user"]["username"] == "bob"

    def test_forged_cookies_open_nothing(self, sqlite_server: HeadgateServer) -> None:
        name, _, value = signed_in(sqlite_server, sqlite_server.user("bob")).partition("=")
        content, _, signature = value.partition(".")
        claims = json.loads(base64.urlsafe_b64decode(content))
        as_admin = ["admin" if claim == "bob" else claim for claim in claims]
        encoded = base64.urlsafe_b64encode(json.dumps(as_admin).encode()).decode()
        forged = [
            "",
            ".",
            "x",
            "admin",
            content,
            f"{content}.",
            f".{signature}",
            f"{encoded}.{signature}",
            f"{content}.{signature[:-1]}",
            f"{content}.{signature}x",
            f"{content}.{signature[::-1]}",
            f"{content}..{signature}",
            f"{content}%2E{signature}",
            "a" * 5000,
            "\\x00",
        ]
        requests = [
            ("GET", head("GET", SEARCH, f"Cookie: {name}={value}; mlflow_user=admin"))
            for value in forged
        ]
        for answer in ask_all(sqlite_server, requests):
            assert answer.status in (401, 429)

    def test_a_cookie_sent_twice_is_nobodys(self, sqlite_server: HeadgateServer) -> None:
        cookie = signed_in(sqlite_server, sqlite_server.user("bob"))
        for line in (f"Cookie: {cookie}; {cookie}", f"Cookie: {cookie}\r\nCookie: {cookie}"):
            assert exchange(sqlite_server, head("GET", SEARCH, line)).status in (400, 401, 429)

    def test_a_session_ended_is_over_wherever_its_cookie_was_copied(
        self, sqlite_server: HeadgateServer
    ) -> None:
        cookie = signed_in(sqlite_server, sqlite_server.user("bob"))
        assert with_cookie(sqlite_server, cookie, SEARCH).status == 200
        own_page = {"Cookie": cookie, "Sec-Fetch-Site": "same-origin"}
        gone = sqlite_server.request("POST", "/headgate/sign-out", headers=own_page)
        assert gone.status in (200, 204, 303)
        assert with_cookie(sqlite_server, cookie, SEARCH).status == 401

    def test_another_servers_cookie_opens_nothing(
        self, sqlite_server: HeadgateServer, start_headgate: StartHeadgate
    ) -> None:
        other = start_headgate().wait_ready()
        cookie = signed_in(other, other.admin)
        assert with_cookie(other, cookie, SEARCH).status == 200
        assert with_cookie(sqlite_server, cookie, SEARCH).status in (401, 429)

    @pytest.mark.parametrize(
        "origin",
        [
            {},
            {"Origin": "https://evil.example"},
            {"Origin": "null"},
            {"Origin": "http://localhost.evil.example"},
            {"Sec-Fetch-Site": "cross-site"},
            {"Sec-Fetch-Site": "same-site"},
            {"Referer": "http://localhost/"},
        ],
    )
    @pytest.mark.parametrize("method", ["POST", "DELETE", "PUT", "PATCH"])
    def test_a_foreign_page_cannot_write_with_somebodys_cookie(
        self, sqlite_server: HeadgateServer, method: str, origin: dict[str, str]
    ) -> None:
        cookie = signed_in(sqlite_server, sqlite_server.user("bob"))
        answer = sqlite_server.request(
            method,
            "/api/2.0/mlflow/experiments/create",
            json_body={"name": "a foreign page's"},
            headers={"Cookie": cookie} | origin,
        )
        assert answer.status == 403

    def test_own_pages_may_write(self, sqlite_server: HeadgateServer) -> None:
        cookie = signed_in(sqlite_server, sqlite_server.user("bob"))
        answer = sqlite_server.request(
            "POST",
            "/ajax-api/2.0/mlflow/experiments/create",
            json_body={"name": f"own page {secrets.token_hex(8)}"},
            headers={"Cookie": cookie, "Origin": sqlite_server.url},
        )
        assert answer.status == 200


def signed_in(server: HeadgateServer, user: User) -> str:
    """Sign in as a browser does; the session's cookie as `name=value`."""
    connection = http.client.HTTPConnection(
        server.host, server.port, timeout=30, source_address=(ATTACKER, 0)
    )
    try:
        connection.request(
            "POST",
            "/headgate/sign-in",
            body=urlencode({"username": user.name, "password": user.password}),
            headers={
                "Content-Type": "application/x-www-form-urlencoded",
                "Sec-Fetch-Site": "same-origin",
                "Accept": "text/html",
            },
        )
        answer = connection.getresponse()
        answer.read()
        cookies = answer.headers.get_all("set-cookie") or []
    finally:
        connection.close()
    assert answer.status == 303, answer.status
    (session,) = (line for line in cookies if line.startswith("headgate_session="))
    assert "HttpOnly" in session
    assert "SameSite" in session
    return session.partition(";")[0]


def with_cookie(server: HeadgateServer, cookie: str, path: str) -> Answer:
    """A GET as that browser."""
    return server.request("GET", path, headers={"Cookie": cookie})
