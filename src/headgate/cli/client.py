"""A small HTTP client for the commands that talk to a running server.

It finds the server (`--url`, the data folder's `server.json`, `MLFLOW_TRACKING_URI`) and the
credentials (`MLFLOW_TRACKING_TOKEN`, `MLFLOW_TRACKING_USERNAME` and `_PASSWORD`, the data
folder's admin password). The folder's password is only ever sent to the folder's own server.
Start at `connect`.
"""

from __future__ import annotations

import base64
import http.client
import json
import os
import socket
import ssl
from dataclasses import dataclass, field
from functools import cached_property
from http import HTTPStatus
from typing import Any, NoReturn
from urllib.parse import urlencode, urlsplit

from headgate import __version__
from headgate.cli.server_file import RunningServer, read_server_file
from headgate.errors import HeadgateError
from headgate.settings import Settings

# A request that needs MLflow is held while MLflow starts.
TIMEOUT_SECONDS = 90

JSON = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Credentials:
    """A name and a password, or a token; `origin` says for messages where they were found."""

    origin: str
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    token: str | None = field(default=None, repr=False)

    def authorization(self) -> str:
        """The value of the `Authorization` header."""
        if self.token is not None:
            return f"Bearer {self.token}"
        pair = f"{self.username}:{self.password}".encode()
        return "Basic " + base64.b64encode(pair).decode()


class Refused(HeadgateError):
    """The server answered with an error; `code` is MLflow's error code."""

    def __init__(self, status: int, code: str, message: str, *, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.status = status
        self.code = code


class Client:
    """Calls the API of one server as one user.

    `local` is set where the server is that of our data folder. Credentials are looked for when
    they are first needed.
    """

    def __init__(self, url: str, settings: Settings, local: RunningServer | None) -> None:
        self.url = url
        self.local = local
        self._settings = settings

    @cached_property
    def credentials(self) -> Credentials:
        """Who calls; raises `HeadgateError` if nothing says so."""
        found = from_environment()
        if found is None and self.local is not None:
            found = admin_credentials(self._settings)
        return found or _no_credentials(self._settings if self.local else None)

    def is_trusted_everywhere(self) -> bool:
        """Whether a client that knows nothing of our certificate believes it all the same."""
        if self.local is None:
            return True
        here, name = urlsplit(self.local.url), urlsplit(self.local.public_url).hostname
        context = ssl.create_default_context()
        try:
            with (
                socket.create_connection((here.hostname, here.port), TIMEOUT_SECONDS) as raw,
                context.wrap_socket(raw, server_hostname=name),
            ):
                return True
        except OSError:
            return False

    def get(self, path: str, **query: str) -> JSON:
        """GET; the decoded answer."""
        return self._call("GET", f"{path}?{urlencode(query)}" if query else path, None)

    def send(self, method: str, path: str, body: JSON) -> JSON:
        """A call with a JSON body; the decoded answer."""
        return self._call(method, path, json.dumps(body).encode())

    def _call(self, method: str, target: str, body: bytes | None) -> JSON:
        headers = {
            "Authorization": self.credentials.authorization(),
            "User-Agent": f"headgate/{__version__}",
            "Accept": "application/json",
        }
        if body is not None:
            headers["Content-Type"] = "application/json"
        connection = self._connection()
        try:
            connection.request(method, self._prefix() + target, body=body, headers=headers)
            response = connection.getresponse()
            content = response.read()
        except ssl.SSLError as error:
            raise HeadgateError(f"{self.url} cannot be trusted: {error.reason or error}.") from None
        except TimeoutError:
            raise HeadgateError(f"{self.url} does not answer.") from None
        except (OSError, http.client.HTTPException) as error:
            raise HeadgateError(
                f"No Headgate answers at {self.url}: {_reason(error)}.",
                hint="Start one with `headgate up`, or name another with --url.",
            ) from None
        finally:
            connection.close()
        if response.status >= HTTPStatus.BAD_REQUEST:
            raise self._refusal(response, content)
        return _decode(content)

    def _connection(self) -> http.client.HTTPConnection:
        parts = urlsplit(self.url)
        host = str(parts.hostname)
        if parts.scheme == "http":
            return http.client.HTTPConnection(host, parts.port, timeout=TIMEOUT_SECONDS)
        context = ssl.create_default_context()
        if self.local is not None:
            # Our own server's certificate, pinned: its name is the clients', not 127.0.0.1.
            context = ssl.create_default_context(cafile=self.local.certificate)
            context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
            context.check_hostname = False
        return http.client.HTTPSConnection(
            host, parts.port, timeout=TIMEOUT_SECONDS, context=context
        )

    def _prefix(self) -> str:
        return urlsplit(self.url).path.rstrip("/")

    def _refusal(self, response: http.client.HTTPResponse, content: bytes) -> Refused:
        answer = _decode(content)
        code = str(answer.get("error_code", ""))
        message = str(answer.get("message") or f"{response.status} {response.reason}")
        if response.status == HTTPStatus.UNAUTHORIZED:
            who = self.credentials.username or "this token"
            return Refused(
                response.status,
                code,
                f"{self.url} does not let {who} in: {message}",
                hint=f"The credentials come from {self.credentials.origin}.",
            )
        return Refused(response.status, code, message)


def connect(settings: Settings, url: str | None = None) -> Client:
    """A client for the server that is meant; raises `HeadgateError` if there is none."""
    local = read_server_file(settings) if url is None else None
    if local is not None:
        return Client(local.url, settings, local)
    found = url or tracking_uri()
    if found is None:
        raise HeadgateError(
            f"No Headgate runs on the data folder {settings.folder()}.",
            hint="Start one with `headgate up`, or name another with --data-dir or --url.",
        )
    if urlsplit(found).scheme not in ("http", "https") or not urlsplit(found).hostname:
        raise HeadgateError(f"{found!r} is no address of a server, such as http://localhost:5000.")
    return Client(found, settings, None)


def tracking_uri() -> str | None:
    """The server that an MLflow client in this shell would use."""
    uri = os.environ.get("MLFLOW_TRACKING_URI", "")
    return uri if uri.startswith(("http://", "https://")) else None


def from_environment() -> Credentials | None:
    """The credentials that an MLflow client in this shell would use."""
    token = os.environ.get("MLFLOW_TRACKING_TOKEN")
    username = os.environ.get("MLFLOW_TRACKING_USERNAME")
    password = os.environ.get("MLFLOW_TRACKING_PASSWORD")
    if username and password:
        origin = "MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD"
        return Credentials(origin, username=username, password=password)
    if token:
        return Credentials("MLFLOW_TRACKING_TOKEN", token=token)
    return None


def admin_credentials(settings: Settings) -> Credentials | None:
    """The admin's, where this machine knows them."""
    password = admin_password(settings)
    if password is None:
        return None
    return Credentials(
        str(settings.admin_password_path()), username=settings.admin_username, password=password
    )


def admin_password(settings: Settings) -> str | None:
    """The admin's password as the data folder keeps it; None if it keeps none."""
    path = settings.admin_password_path()
    try:
        return path.read_text(encoding="utf-8").strip() or None
    except FileNotFoundError:
        return None
    except OSError as error:
        raise HeadgateError(f"{path} cannot be read: {error.strerror}.") from None


def _no_credentials(settings: Settings | None) -> NoReturn:
    kept = f" and no password is kept in {settings.admin_password_path()}" if settings else ""
    raise HeadgateError(
        f"There are no credentials: the environment has none{kept}.",
        hint="Set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN.",
    )


def _decode(content: bytes) -> JSON:
    try:
        answer = json.loads(content or b"{}")
    except ValueError:
        return {}
    return answer if isinstance(answer, dict) else {}


def _reason(error: Exception) -> str:
    if isinstance(error, ConnectionRefusedError):
        return "the connection was refused"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    return "the answer is not HTTP" if isinstance(error, http.client.HTTPException) else str(error)
