"""`headgate.gateway.metrics`: what is counted, and under how few names."""

from __future__ import annotations

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from headgate.gateway import metrics
from headgate.gateway.metrics import Metrics, route_of
from headgate.gateway.upstream import UpstreamAddress, UpstreamState
from headgate.observation import (
    GatewayFault,
    RequestFinished,
    SignedIn,
    SignInRefused,
    UpstreamStopped,
)


class RunningUpstream:
    """An MLflow that is this very process."""

    address = UpstreamAddress(socket=None, base_url="http://127.0.0.1:1")
    state = UpstreamState("ready", os.getpid(), restarts=2, uptime=12.5, last_stop="signal 9")

    async def wait_ready(self, seconds: float) -> bool:
        return True


def finished(route: str, status: int, seconds: float = 0.002) -> RequestFinished:
    return RequestFinished("4f3a", "GET", "/", route, status, seconds, 10, "127.0.0.1", None)


async def samples_of(counted: Metrics) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    text = (await counted.exposition()).decode()
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


async def test_requests_are_counted_by_route_and_status() -> None:
    counted = Metrics()
    for event in (finished("runs/get", 200), finished("runs/get", 200), finished("other", 404)):
        counted(event)
    samples = await samples_of(counted)
    name = "headgate_requests_total"
    assert samples[name, (("route", "runs/get"), ("status", "200"))] == 2
    assert samples[name, (("route", "other"), ("status", "404"))] == 1
    assert samples["headgate_sent_bytes_total", (("route", "runs/get"),)] == 20
    assert samples["headgate_request_seconds_count", (("route", "runs/get"),)] == 2
    within = (("le", "0.0025"), ("route", "runs/get"))
    assert samples["headgate_request_seconds_bucket", within] == 2
    assert counted.request_counts() == {"other": {"4xx": 1}, "runs/get": {"2xx": 2}}


async def test_sign_ins_restarts_and_faults_are_counted() -> None:
    counted = Metrics()
    counted(SignedIn("ada", "127.0.0.1"))
    counted(SignInRefused("token", "revoked", "127.0.0.1", "4f3a"))
    counted(UpstreamStopped(1, "signal 9", 3.0, 1, 1.0))
    counted(GatewayFault("4f3a", "Traceback"))
    samples = await samples_of(counted)
    assert samples["headgate_sign_ins_total", ()] == 1
    refused = (("reason", "revoked"), ("way_in", "token"))
    assert samples["headgate_sign_ins_refused_total", refused] == 1
    assert samples["headgate_upstream_restarts_total", ()] == 1
    assert samples["headgate_faults_total", ()] == 1


async def test_mlflows_phase_and_the_memory_of_both_are_told() -> None:
    counted = Metrics()
    counted.watch(RunningUpstream())
    samples = await samples_of(counted)
    assert samples["headgate_upstream_phase", (("phase", "ready"),)] == 1
    assert samples["headgate_upstream_phase", (("phase", "restarting"),)] == 0
    assert samples["headgate_upstream_uptime_seconds", ()] == 12.5
    assert samples["headgate_resident_bytes", (("process", "gateway"),)] > 2**20
    assert samples["headgate_resident_bytes", (("process", "mlflow"),)] > 2**20


async def test_a_process_that_has_ended_is_left_out() -> None:
    class Ended(RunningUpstream):
        state = UpstreamState("restarting", 2**22 + 1, 0, 0.0, None)

    counted = Metrics()
    counted.watch(Ended())
    samples = await samples_of(counted)
    assert ("headgate_resident_bytes", (("process", "mlflow"),)) not in samples


@pytest.mark.parametrize(
    ("method", "path", "route"),
    [
        ("POST", b"/api/2.0/mlflow/runs/log-metric", "runs/log-metric"),
        ("GET", b"/ajax-api/2.0/mlflow/metrics/get-history-bulk", "metrics/get-history-bulk"),
        ("POST", b"/api/2.0/mlflow/runs/update-something", "runs/other"),
        ("GET", b"/api/3.0/mlflow/traces/tr-123/info", "traces/other"),
        ("POST", b"/v1/traces", "traces/otlp"),
        ("GET", b"/api/2.0/mlflow-artifacts/artifacts/1/a.txt", "artifacts"),
        ("PUT", b"/api/2.0/mlflow-artifacts/artifacts/1/a.txt", "artifacts/upload"),
        ("POST", b"/ajax-api/2.0/mlflow/upload-artifact", "artifacts"),
        ("GET", b"/get-artifact", "artifacts"),
        ("GET", b"/", "ui"),
        ("GET", b"/static-files/static/js/main.js", "ui"),
        ("GET", b"/headgate/api/status", "headgate"),
        ("GET", b"/.env", "other"),
        ("GET", b"/api/2.0/mlflow/wp-login/../runs", "other"),
    ],
)
def test_a_path_has_a_route(method: str, path: bytes, route: str) -> None:
    assert route_of(method, path) == route


ROUTES = frozenset(
    [call.decode() for call in metrics._CALLS]
    + [f"{family.decode()}/other" for family in metrics._FAMILIES]
    + list(metrics._EXACT.values())
    + [route for _, route in metrics._PREFIXES]
    + ["artifacts", "artifacts/upload", "other"]
)


@given(
    st.text(max_size=8),
    st.sampled_from([b"", *metrics._API_PREFIXES, *metrics._ARTIFACT_PREFIXES]),
    st.binary(max_size=30),
)
def test_no_path_makes_a_new_route(method: str, prefix: bytes, rest: bytes) -> None:
    assert route_of(method, prefix + rest) in ROUTES
    assert len(ROUTES) < 80
