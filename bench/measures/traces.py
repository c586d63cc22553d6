"""OTLP: traces of ten spans, one trace per request, as an instrumented application sends them.

A body is made once; each request puts a trace id of its own into it.
"""

from __future__ import annotations

import json
from typing import ClassVar

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from bench.load.plan import TRACE_HOLE, Plan
from bench.measures.base import Scene
from bench.measures.requests import RequestMeasure
from bench.seed import count

SPANS = 10
BEGAN_NANOSECONDS = 1_760_000_000_000_000_000


class Traces(RequestMeasure):
    """Sixteen exporters at once."""

    name: ClassVar[str] = "traces"
    connections: ClassVar[tuple[int, ...]] = (16,)
    unit: ClassVar[str] = "spans/s"
    per_request: ClassVar[int] = SPANS

    def title(self, scene: Scene) -> str:
        """What is sent."""
        return f"OTLP traces of {SPANS} spans"

    def plan(self, scene: Scene) -> Plan:
        """A trace that nobody has sent before."""
        return Plan(
            "POST",
            "/v1/traces",
            body=trace_body(),
            headers={
                "Content-Type": "application/x-protobuf",
                "X-MLflow-Experiment-Id": scene.seeded.written_experiment,
            },
        )

    def wrong(self, scene: Scene, body: bytes) -> str:
        """OTLP answers with an empty message: nothing rejected."""
        return "" if not body else f"/v1/traces answered {body[:200]!r}"

    def stored(self, scene: Scene) -> int:
        """All spans: none is seeded."""
        return count(scene.system.database_uri, "SELECT COUNT(*) FROM spans")


def trace_body() -> bytes:
    """One trace in OTLP's protobuf, with the hole where its id goes."""
    placeholder = b"\xffTHE TRACE'S ID\xff"
    request = ExportTraceServiceRequest()
    scope = request.resource_spans.add().scope_spans.add()
    for number in range(SPANS):
        scope.spans.append(_span(number, placeholder))
    whole: bytes = request.SerializeToString()
    if whole.count(placeholder) != SPANS:
        raise RuntimeError("the placeholder of the trace id is not found once per span")
    return whole.replace(placeholder, TRACE_HOLE)


def _span(number: int, trace_id: bytes) -> Span:
    """A root and its children, each with the inputs and outputs of a small call."""
    span = Span(
        trace_id=trace_id,
        span_id=(number + 1).to_bytes(8, "big"),
        parent_span_id=b"" if number == 0 else (1).to_bytes(8, "big"),
        name=f"step_{number}",
        start_time_unix_nano=BEGAN_NANOSECONDS + number * 1_000_000,
        end_time_unix_nano=BEGAN_NANOSECONDS + (number + 1) * 1_000_000,
        status=Status(code=Status.STATUS_CODE_OK),
    )
    values = {
        "mlflow.spanType": json.dumps("CHAIN" if number == 0 else "TOOL"),
        "mlflow.spanInputs": json.dumps({"question": "What is a headgate? " * 4}),
        "mlflow.spanOutputs": json.dumps({"answer": "The gate at the head of a canal. " * 4}),
    }
    for key, value in values.items():
        span.attributes.add(key=key).value.string_value = value
    return span
