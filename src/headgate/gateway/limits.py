"""How much of a body is taken, how fast it has to come, and what it may hold.

Here alone it is decided which bodies stream (artifacts) and which are gathered, checked and
only then passed on (everything else): start at `streams` and `gather`. A gathered body never
occupies MLflow while a slow client sends it.
"""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import AsyncIterator, Callable
from http import HTTPStatus
from typing import ParamSpec, TypeVar

from headgate.errors import ApiError, bad_request
from headgate.gateway.json_bounds import check_json
from headgate.gateway.request import (
    Request,
    body_broken_off,
    body_timed_out,
    body_too_large,
    check_declared_length,
    read_body,
)
from headgate.settings.limits import LimitSettings

P = ParamSpec("P")
R = TypeVar("R")

TRACES_PATH = b"/v1/traces"
# The one upload that MLflow streams. Compared with the raw path: a spelling that only MLflow
# would decode to this is gathered, under the smaller limit.
_ARTIFACTS = (
    b"/api/2.0/mlflow-artifacts/artifacts/",
    b"/ajax-api/2.0/mlflow-artifacts/artifacts/",
)
# The UI's upload, which MLflow holds in memory and bounds at 10 MB itself. No JSON, any bytes.
_UPLOAD_PATH = b"/ajax-api/2.0/mlflow/upload-artifact"

# How zlib is told about the wrapping: gzip's, zlib's, none.
_WINDOWS = {"gzip": (zlib.MAX_WBITS | 16,), "deflate": (zlib.MAX_WBITS, -zlib.MAX_WBITS)}
_IN_THREAD_BYTES = 1 << 18
EDGE_BYTES = 10 * 2**20
"""What an HTTP API of API Gateway takes; it cannot be raised."""


def has_body(request: Request) -> bool:
    """Whether a body follows the head."""
    if request.header(b"transfer-encoding") is not None:
        return True
    return (request.header(b"content-length") or b"0").strip(b"0") != b""


def streams(request: Request) -> bool:
    """Whether the body is an artifact, of any size and any content, passed on as it comes."""
    return request.method == "PUT" and request.raw_path.startswith(_ARTIFACTS)


async def gather(request: Request, limits: LimitSettings) -> bytes:
    """The whole body, decoded, small enough, in time, and harmless to a JSON parser.

    Raises `ApiError` 413, 408, 415 or 400.
    """
    coding = _coding(request)
    body = await read_body(request, limits.max_json_bytes, seconds=limits.request_seconds)
    if coding is not None:
        body = await _off_loop(len(body) << 4, _decompress, body, coding, limits.max_json_bytes)
    if not _is_binary(request):
        await _off_loop(len(body), check_json, body, limits.max_json_depth)
    return body


def check_stream(request: Request, limits: LimitSettings) -> None:
    """Raise `ApiError` for an artifact whose head already tells that it can't be taken."""
    if _coding(request) is not None:
        raise _unsupported_coding()
    if limits.edge == "http-api" and _declares_more_than(request, EDGE_BYTES):
        raise _too_large_for_the_edge()
    if limits.max_artifact_bytes:
        check_declared_length(request, limits.max_artifact_bytes)


async def stream(request: Request, limits: LimitSettings) -> AsyncIterator[bytes]:
    """The body as it comes. Raises `ApiError` 413 when it grows too large, 408 when it stalls."""
    received = 0
    more = True
    through_edge = limits.edge == "http-api"
    while more:
        try:
            async with asyncio.timeout(limits.request_seconds):
                message = await request.receive()
        except TimeoutError:
            raise body_timed_out() from None
        if message["type"] == "http.disconnect":
            raise body_broken_off()
        more = message.get("more_body", False)
        chunk = message.get("body", b"")
        received += len(chunk)
        if through_edge and received > EDGE_BYTES:
            raise _too_large_for_the_edge()
        if limits.max_artifact_bytes and received > limits.max_artifact_bytes:
            raise body_too_large(limits.max_artifact_bytes)
        if chunk:
            yield chunk


def _declares_more_than(request: Request, limit: int) -> bool:
    declared = request.header(b"content-length") or b"0"
    return declared.isdigit() and int(declared) > limit


def _too_large_for_the_edge() -> ApiError:
    return ApiError(
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        "INVALID_PARAMETER_VALUE",
        "The API Gateway of this server takes at most 10 MB at once. Upload larger files in parts, "
        "straight to S3: `pip install headgate` where you log them, or set "
        "MLFLOW_ENABLE_PROXY_MULTIPART_UPLOAD=true and "
        "MLFLOW_MULTIPART_UPLOAD_MINIMUM_FILE_SIZE=8000000 there.",
        close=True,
    )


def _is_binary(request: Request) -> bool:
    """Whether MLflow takes this body for something else than JSON, whatever it holds."""
    if request.method != "POST":
        return False
    if request.raw_path == TRACES_PATH:
        media_type = (request.header(b"content-type") or b"").partition(b";")[0].strip()
        return media_type == b"application/x-protobuf"
    return request.raw_path == _UPLOAD_PATH


def _coding(request: Request) -> str | None:
    """How the body is compressed; None if it is not. Raises `ApiError` 415 where it may not be."""
    coding = (request.header(b"content-encoding") or b"identity").strip().lower()
    if coding == b"identity":
        return None
    if request.raw_path != TRACES_PATH or coding not in (b"gzip", b"deflate"):
        raise _unsupported_coding()
    return coding.decode("ascii")


def _unsupported_coding() -> ApiError:
    return ApiError(
        HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
        "INVALID_PARAMETER_VALUE",
        "Compressed bodies are taken at /v1/traces alone, as gzip or deflate.",
        close=True,
    )


def _decompress(body: bytes, coding: str, limit: int) -> bytes:
    """What `body` was before compression, of at most `limit` bytes.

    As MLflow does, deflate is taken with or without its zlib wrapping.
    """
    for window in _WINDOWS[coding]:
        engine = zlib.decompressobj(window)
        try:
            plain = engine.decompress(body, limit + 1)
        except zlib.error:
            continue
        if len(plain) > limit:
            raise body_too_large(limit)
        # One stream and its end: of many small ones each would cost a copy of the rest.
        if engine.eof and not engine.unused_data:
            return plain
    raise bad_request(f"Failed to decompress {coding} payload")


async def _off_loop(size: int, function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """Call `function` here if `size` is small, else in a thread, so that others go on."""
    if size <= _IN_THREAD_BYTES:
        return function(*args, **kwargs)
    return await asyncio.to_thread(function, *args, **kwargs)
