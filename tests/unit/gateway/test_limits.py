"""How much of a body is taken, how fast it has to come, and what it may hold."""

from __future__ import annotations

import asyncio
import gzip
import zlib
from collections.abc import Iterable
from http import HTTPStatus
from typing import Any

import pytest

from headgate.errors import ApiError
from headgate.gateway import limits as bounds
from headgate.gateway.request import Request, read_body
from headgate.settings.limits import LimitSettings
from tests.unit.gateway.asgi import make_request

LIMITS = LimitSettings(max_json_bytes=2000, max_artifact_bytes=5000, request_seconds=1)
RUNS = "/api/2.0/mlflow/runs/create"
ARTIFACT = "/api/2.0/mlflow-artifacts/artifacts/1/model.bin"
UPLOAD = "/ajax-api/2.0/mlflow/upload-artifact"
TRACES = "/v1/traces"


class Sender:
    """A client that sends these parts and then ends, stalls or leaves."""

    def __init__(self, parts: Iterable[bytes], *, then: str = "end") -> None:
        self._parts = list(parts)
        self._then = then
        self.taken = 0

    async def receive(self) -> Any:
        if self._parts:
            part = self._parts.pop(0)
            self.taken += 1
            more = bool(self._parts) or self._then != "end"
            return {"type": "http.request", "body": part, "more_body": more}
        if self._then == "stall":
            await asyncio.Event().wait()
        return {"type": "http.disconnect"}


def sending(
    method: str,
    path: str,
    parts: Iterable[bytes],
    headers: dict[str, str] | None = None,
    *,
    then: str = "end",
) -> tuple[Request, Sender]:
    request, _ = make_request(method, path, headers)
    sender = Sender(parts, then=then)
    request.receive = sender.receive
    return request, sender


async def take(request: Request, limits: LimitSettings) -> int:
    """Read the body as the proxy would; its size."""
    if not bounds.streams(request):
        return len(await bounds.gather(request, limits))
    bounds.check_stream(request, limits)
    return sum([len(chunk) async for chunk in bounds.stream(request, limits)])


async def refusal_of(request: Request, limits: LimitSettings = LIMITS) -> ApiError:
    with pytest.raises(ApiError) as caught:
        await take(request, limits)
    return caught.value


# Which bodies stream


@pytest.mark.parametrize(
    ("method", "path", "streams"),
    [
        ("PUT", ARTIFACT, True),
        ("PUT", "/ajax-api/2.0/mlflow-artifacts/artifacts/a/b", True),
        ("POST", ARTIFACT, False),
        ("PUT", "/api/2.0/mlflow-artifacts/artifacts", False),
        ("PUT", "//api/2.0/mlflow-artifacts/artifacts/a", False),
        ("PUT", "/api/2.0/mlflow%2dartifacts/artifacts/a", False),
        ("PUT", "/API/2.0/mlflow-artifacts/artifacts/a", False),
        ("POST", UPLOAD, False),
        ("POST", "/api/2.0/mlflow-artifacts/mpu/create/a", False),
        ("POST", RUNS, False),
    ],
)
def test_artifacts_alone_stream(method: str, path: str, streams: bool) -> None:
    request, _ = make_request(method, path)
    assert bounds.streams(request) is streams


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, False),
        ({"content-length": "0"}, False),
        ({"content-length": "00"}, False),
        ({"content-length": "1"}, True),
        ({"transfer-encoding": "chunked"}, True),
    ],
)
def test_a_body_is_there_when_the_head_says_so(headers: dict[str, str], expected: bool) -> None:
    request, _ = make_request("POST", RUNS, headers)
    assert bounds.has_body(request) is expected


# Size


@pytest.mark.parametrize(
    ("method", "path", "limit"), [("POST", RUNS, 2000), ("PUT", ARTIFACT, 5000)]
)
async def test_a_declared_body_over_the_limit_is_refused_unread(
    method: str, path: str, limit: int
) -> None:
    request, sender = sending(method, path, [b"{}"], {"content-length": str(limit + 1)})
    error = await refusal_of(request)
    assert (error.status, error.close) == (HTTPStatus.REQUEST_ENTITY_TOO_LARGE, True)
    assert sender.taken == 0


@pytest.mark.parametrize(
    ("method", "path", "limit"), [("POST", RUNS, 2000), ("PUT", ARTIFACT, 5000)]
)
async def test_a_chunked_body_is_refused_once_it_is_over_the_limit(
    method: str, path: str, limit: int
) -> None:
    request, sender = sending(method, path, [b" " * 500] * 100)
    error = await refusal_of(request)
    assert (error.status, error.close) == (HTTPStatus.REQUEST_ENTITY_TOO_LARGE, True)
    assert sender.taken == limit // 500 + 1


async def test_a_body_of_just_the_limit_is_taken() -> None:
    request, _ = sending("POST", RUNS, [b" " * 1000] * 2, {"content-length": "2000"})
    assert len(await bounds.gather(request, LIMITS)) == 2000


async def test_artifacts_may_have_any_size_where_no_limit_is_set() -> None:
    limits = LimitSettings(max_artifact_bytes=0)
    request, _ = sending("PUT", ARTIFACT, [b"x" * 10_000] * 10, {"content-length": "100000"})
    assert await take(request, limits) == 100_000


# Time


async def test_a_json_body_has_to_be_complete_in_time() -> None:
    request, _ = sending("POST", RUNS, [b"{"], then="stall")
    error = await refusal_of(request)
    assert (error.status, error.close) == (HTTPStatus.REQUEST_TIMEOUT, True)


async def test_an_artifact_may_take_long_but_not_stall() -> None:
    request, sender = sending("PUT", ARTIFACT, [b"x"] * 3, then="stall")
    error = await refusal_of(request)
    assert (error.status, error.close) == (HTTPStatus.REQUEST_TIMEOUT, True)
    assert sender.taken == 3


async def test_a_form_of_ours_has_to_be_complete_in_time() -> None:
    request, _ = sending("POST", "/headgate/sign-in", [b"username="], then="stall")
    with pytest.raises(ApiError) as caught:
        await read_body(request, 8192, seconds=0.05)
    assert caught.value.status == HTTPStatus.REQUEST_TIMEOUT


@pytest.mark.parametrize(("method", "path"), [("POST", RUNS), ("PUT", ARTIFACT)])
async def test_a_body_that_breaks_off_is_never_taken_as_whole(method: str, path: str) -> None:
    request, _ = sending(method, path, [b"{}"], then="leave")
    error = await refusal_of(request)
    assert (error.status, error.close) == (HTTPStatus.BAD_REQUEST, True)


# Content


@pytest.mark.parametrize("method", ["GET", "POST", "PATCH", "DELETE", "PUT"])
@pytest.mark.parametrize("media_type", ["application/json", "text/plain", "multipart/form-data"])
async def test_deep_json_is_refused_whatever_it_is_called(method: str, media_type: str) -> None:
    request, _ = sending(method, RUNS, [b"[" * 101], {"content-type": media_type})
    assert (await refusal_of(request)).status == HTTPStatus.BAD_REQUEST


@pytest.mark.parametrize("media_type", ["application/x-protobuf", "application/x-protobuf; a=b"])
async def test_protobuf_traces_are_not_read_as_json(media_type: str) -> None:
    spans = b"\0" + b"[" * 500
    request, _ = sending("POST", TRACES, [spans], {"content-type": media_type})
    assert await bounds.gather(request, LIMITS) == spans


@pytest.mark.parametrize(
    ("method", "path", "media_type"),
    [
        ("POST", TRACES, "application/json"),
        ("POST", TRACES, "application/x-protobufx"),
        ("POST", "/v1/traces/", "application/x-protobuf"),
        ("POST", RUNS, "application/x-protobuf"),
    ],
)
async def test_nothing_else_is_spared_by_calling_itself_protobuf(
    method: str, path: str, media_type: str
) -> None:
    request, _ = sending(method, path, [b"[" * 101], {"content-type": media_type})
    assert (await refusal_of(request)).status == HTTPStatus.BAD_REQUEST


async def test_an_upload_of_the_interface_may_hold_any_bytes() -> None:
    request, _ = sending("POST", UPLOAD, [b"\0" + b"[" * 500])
    assert len(await bounds.gather(request, LIMITS)) == 501


# Compression

SPANS = b'{"resourceSpans": []}'
BOMB = b" " * 1_000_000
RAW = zlib.compressobj(wbits=-15)
RAW_DEFLATE = RAW.compress(SPANS) + RAW.flush()


@pytest.mark.parametrize(
    ("coding", "body"),
    [
        ("gzip", gzip.compress(SPANS)),
        ("GZIP", gzip.compress(SPANS)),
        ("deflate", zlib.compress(SPANS)),
        ("deflate", RAW_DEFLATE),
        ("identity", SPANS),
    ],
)
async def test_compressed_traces_are_decompressed(coding: str, body: bytes) -> None:
    request, _ = sending("POST", TRACES, [body[:7], body[7:]], {"content-encoding": coding})
    assert await bounds.gather(request, LIMITS) == SPANS


@pytest.mark.parametrize(("coding", "press"), [("gzip", gzip.compress), ("deflate", zlib.compress)])
async def test_a_compression_bomb_is_refused_within_its_bound(coding: str, press: Any) -> None:
    request, _ = sending("POST", TRACES, [press(BOMB)], {"content-encoding": coding})
    error = await refusal_of(request)
    assert error.status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE


async def test_deep_json_is_found_under_compression() -> None:
    request, _ = sending("POST", TRACES, [gzip.compress(b"[" * 500)], {"content-encoding": "gzip"})
    assert (await refusal_of(request)).status == HTTPStatus.BAD_REQUEST


@pytest.mark.parametrize(
    "body",
    [b"", b"nonsense", gzip.compress(SPANS)[:-4], gzip.compress(SPANS) + b"more"],
    ids=["empty", "nonsense", "cut short", "something behind"],
)
@pytest.mark.parametrize("coding", ["gzip", "deflate"])
async def test_what_is_not_one_compressed_stream_is_refused(coding: str, body: bytes) -> None:
    request, _ = sending("POST", TRACES, [body], {"content-encoding": coding})
    assert (await refusal_of(request)).status == HTTPStatus.BAD_REQUEST


@pytest.mark.parametrize(
    ("method", "path", "coding"),
    [
        ("POST", RUNS, "gzip"),
        ("POST", UPLOAD, "gzip"),
        ("PUT", ARTIFACT, "gzip"),
        ("POST", TRACES, "br"),
        ("POST", TRACES, "zstd"),
        ("POST", TRACES, "gzip, gzip"),
        ("POST", "/v1/traces/", "gzip"),
    ],
)
async def test_other_compression_is_refused_unread(method: str, path: str, coding: str) -> None:
    request, sender = sending(method, path, [b"{}"], {"content-encoding": coding})
    error = await refusal_of(request)
    assert (error.status, error.close) == (HTTPStatus.UNSUPPORTED_MEDIA_TYPE, True)
    assert sender.taken == 0


@pytest.mark.parametrize("size", [10_000, 1_000_000])
async def test_large_bodies_are_checked_like_small_ones(size: int) -> None:
    limits = LimitSettings(max_json_bytes=2_000_000)
    request, _ = sending("POST", RUNS, [b" " * size, b"[" * 101])
    assert (await refusal_of(request, limits)).status == HTTPStatus.BAD_REQUEST


# What an API Gateway in front takes

EDGE = LimitSettings(edge="http-api")


async def test_an_upload_beyond_the_edge_is_refused_unread_with_what_to_do() -> None:
    declared = {"content-length": str(bounds.EDGE_BYTES + 1)}
    request, sender = sending("PUT", ARTIFACT, [b"x"], declared)
    error = await refusal_of(request, EDGE)
    assert error.status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE
    assert "MLFLOW_ENABLE_PROXY_MULTIPART_UPLOAD" in error.message
    assert sender.taken == 0


async def test_one_of_unknown_length_is_refused_once_it_is_beyond_the_edge() -> None:
    parts = [bytes(bounds.EDGE_BYTES // 2)] * 4
    request, sender = sending("PUT", ARTIFACT, parts, {"transfer-encoding": "chunked"})
    assert (await refusal_of(request, EDGE)).status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE
    assert sender.taken == 3


async def test_what_the_edge_takes_is_taken_and_other_edges_have_no_such_limit() -> None:
    size = bounds.EDGE_BYTES
    request, _ = sending("PUT", ARTIFACT, [bytes(size)], {"content-length": str(size)})
    assert await take(request, EDGE) == size
    large = [bytes(size), b"more"]
    request, _ = sending("PUT", ARTIFACT, large, {"content-length": str(size + 4)})
    assert await take(request, LimitSettings(edge="alb")) == size + 4
