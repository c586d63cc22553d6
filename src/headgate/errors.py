"""Errors for the person who reads them.

`HeadgateError` and its children end a command with one sentence and exit code 1 (2 for
settings, as for any wrong usage). `ApiError` ends a request with MLflow's JSON error form.
Neither ever holds a secret: pass URLs through `headgate.database.redact` first.
"""

from __future__ import annotations

from http import HTTPStatus

import msgspec


class HeadgateError(Exception):
    """Something foreseeable went wrong; `str()` is what happened, `hint` what to do next."""

    exit_code = 1

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.hint = hint


class SettingsError(HeadgateError):
    """A setting has a value that cannot be used; names the key, the value and its source."""

    exit_code = 2


class DatabaseError(HeadgateError):
    """The backend store cannot be reached, read, locked or migrated."""


class UpstreamError(HeadgateError):
    """MLflow could not be started or does not answer."""


class ApiError(Exception):
    """An answer in MLflow's JSON error form (`mlflow.exceptions.MlflowException`, 3.17).

    `error_code` is a name of MLflow's `ErrorCode` enum, as its client looks it up there.
    `close` asks for the connection to be closed after the answer, where what follows on it
    cannot be trusted or was not read.
    """

    def __init__(
        self,
        status: HTTPStatus,
        error_code: str,
        message: str,
        *,
        headers: tuple[tuple[bytes, bytes], ...] = (),
        close: bool = False,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.error_code = error_code
        self.message = message
        self.headers = headers
        self.close = close

    def body(self, request_id: str) -> bytes:
        """The JSON body; the request id lets a person find the line in the log."""
        return msgspec.json.encode(
            {"error_code": self.error_code, "message": self.message, "request_id": request_id}
        )


def unauthenticated(message: str, *, challenge: bool = True) -> ApiError:
    """401; `challenge` adds `WWW-Authenticate`, which makes a browser ask by itself."""
    headers = ((b"www-authenticate", b'Basic realm="mlflow", charset="UTF-8"'),)
    return ApiError(
        HTTPStatus.UNAUTHORIZED, "UNAUTHENTICATED", message, headers=headers if challenge else ()
    )


def forbidden(message: str) -> ApiError:
    """403: we know who it is, and they may not."""
    return ApiError(HTTPStatus.FORBIDDEN, "PERMISSION_DENIED", message)


def bad_request(message: str, *, close: bool = False) -> ApiError:
    """400: a request that nobody should answer."""
    return ApiError(HTTPStatus.BAD_REQUEST, "BAD_REQUEST", message, close=close)


def too_many_requests(message: str, *, retry_after: int) -> ApiError:
    """429 with `Retry-After` in seconds."""
    return ApiError(
        HTTPStatus.TOO_MANY_REQUESTS,
        "REQUEST_LIMIT_EXCEEDED",
        message,
        headers=((b"retry-after", str(retry_after).encode()),),
    )


def unavailable(message: str, *, retry_after: int) -> ApiError:
    """503 with `Retry-After` in seconds; MLflow's client retries it."""
    return ApiError(
        HTTPStatus.SERVICE_UNAVAILABLE,
        "TEMPORARILY_UNAVAILABLE",
        message,
        headers=((b"retry-after", str(retry_after).encode()),),
    )
