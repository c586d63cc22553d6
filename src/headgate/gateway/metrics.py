"""What an event becomes in the metrics, and the route that stands for a path in them.

A path is whatever a client sends; a route is one of a fixed few, so that no client can fill
memory with labels. Start at `Metrics` for the counters, at `route_of` for the names.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter as Tally
from collections import deque
from collections.abc import Iterator

import psutil
from prometheus_client import CollectorRegistry, Counter, Histogram, disable_created_metrics
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from headgate import __version__
from headgate.gateway.upstream import Phase, Upstream
from headgate.observation import (
    Event,
    GatewayFault,
    RequestFinished,
    SignedIn,
    SignInRefused,
    UpstreamStopped,
)

CONTENT_TYPE = CONTENT_TYPE_PLAIN_0_0_4
_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
_SERVER_FAULT = 500
_REMEMBERED_ERRORS = 10_000
_PHASES: tuple[Phase, ...] = ("migrating", "starting", "ready", "restarting", "stopped")

# --- routes -------------------------------------------------------------------------------

_API_PREFIXES = tuple(
    f"/{api}/{version}/mlflow/".encode()
    for api in ("api", "ajax-api")
    for version in ("2.0", "3.0")
)
_ARTIFACT_PREFIXES = tuple(f"/{api}/2.0/mlflow-artifacts/".encode() for api in ("api", "ajax-api"))
# Calls that are worth a line of their own in a dashboard: the many, and the slow.
_CALLS = frozenset(
    f"{family}/{call}".encode()
    for family, calls in {
        "experiments": "create get get-by-name search update delete",
        "runs": "create get search update delete log-metric log-parameter log-batch set-tag "
        "delete-tag log-inputs outputs log-model",
        "metrics": "get-history get-history-bulk get-history-bulk-interval",
        "artifacts": "list",
        "registered-models": "create get search",
        "model-versions": "create get search",
        "traces": "search",
        "logged-models": "search",
    }.items()
    for call in calls.split()
)
_FAMILIES = frozenset(
    b"artifacts datasets demo experiments gateway gateway-proxy genai issues jobs label-schemas "
    b"logged-models metrics model-versions prompt-optimization registered-models review-queues "
    b"runs scorer scorers server-info traces ui-telemetry unified-traces users webhooks "
    b"workspaces".split()
)
_EXACT = {
    b"/": "ui",
    b"/elb-status": "health",
    b"/get-artifact": "artifacts",
    b"/graphql": "graphql",
    b"/health": "health",
    b"/metrics": "headgate",
    b"/model-versions/get-artifact": "artifacts",
    b"/ready": "health",
    b"/v1/traces": "traces/otlp",
    b"/version": "version",
}
_PREFIXES = (
    (b"/static-files/", "ui"),
    (b"/headgate/", "headgate"),
    (b"/ajax-api/3.0/jobs", "jobs"),
    (b"/gateway/", "gateway"),
)
_UPLOAD_CALLS = frozenset({b"upload-artifact", b"get-trace-artifact"})


def route_of(method: str, raw_path: bytes) -> str:
    """The route of a path: a call of MLflow's API, its family, or `other`.

    `method` tells reading an artifact from writing it.
    """
    exact = _EXACT.get(raw_path)
    if exact is not None:
        return exact
    if raw_path.startswith(_API_PREFIXES):
        return _api_route(raw_path[raw_path.index(b"/mlflow/") + len(b"/mlflow/") :])
    if raw_path.startswith(_ARTIFACT_PREFIXES):
        return "artifacts/upload" if method == "PUT" else "artifacts"
    return next((route for prefix, route in _PREFIXES if raw_path.startswith(prefix)), "other")


def _api_route(call: bytes) -> str:
    if call in _CALLS:
        return call.decode()
    family = call.partition(b"/")[0]
    if family in _FAMILIES:
        return f"{family.decode()}/other"
    if family in _UPLOAD_CALLS:
        return "artifacts"
    return "other"


# --- counters -----------------------------------------------------------------------------


class Metrics:
    """An `Observe` that counts, with a registry of its own."""

    def __init__(self) -> None:
        # A second series for each, with the time of its first event, is of use to nobody here.
        disable_created_metrics()  # type: ignore[no-untyped-call]  # has no annotations
        self._registry = CollectorRegistry(auto_describe=False)
        self._requests = self._counter(
            "headgate_requests", "Requests answered or given up (status 0).", "route", "status"
        )
        self._seconds = Histogram(
            "headgate_request_seconds",
            "Time from the head of a request to the end of its answer.",
            ["route"],
            buckets=_BUCKETS,
            registry=self._registry,
        )
        self._sent = self._counter("headgate_sent_bytes", "Bytes of answers.", "route")
        self._signed_in = self._counter("headgate_sign_ins", "Browsers that signed in.")
        self._refused = self._counter(
            "headgate_sign_ins_refused", "Credentials refused.", "way_in", "reason"
        )
        self._restarts = self._counter(
            "headgate_upstream_restarts", "Times that MLflow ended and was started again."
        )
        self._faults = self._counter("headgate_faults", "Requests that Headgate failed at.")
        self._by_status: dict[tuple[str, int], Counter] = {}
        self._by_route: dict[str, tuple[Histogram, Counter]] = {}
        self._tally: Tally[tuple[str, int]] = Tally()
        self._error_times: deque[float] = deque(maxlen=_REMEMBERED_ERRORS)

    def watch(self, upstream: Upstream) -> None:
        """Tell the state of `upstream`, and the memory of our processes, at each look."""
        self._registry.register(_Gauges(upstream))

    def __call__(self, event: Event) -> None:
        if isinstance(event, RequestFinished):
            self._count_request(event)
        elif isinstance(event, SignInRefused):
            self._refused.labels(event.way_in, event.reason).inc()
        elif isinstance(event, SignedIn):
            self._signed_in.inc()
        elif isinstance(event, UpstreamStopped):
            self._restarts.inc()
        elif isinstance(event, GatewayFault):
            self._faults.inc()

    async def exposition(self) -> bytes:
        """Everything in Prometheus' text form (`CONTENT_TYPE`)."""
        # Reading the memory of processes asks the kernel: not on the event loop.
        return await asyncio.to_thread(generate_latest, self._registry)

    def request_counts(self) -> dict[str, dict[str, int]]:
        """Requests by route and status class (`2xx`), for `headgate status`."""
        counts: dict[str, dict[str, int]] = {}
        for (route, status), count in sorted(self._tally.items()):
            by_class = counts.setdefault(route, {})
            status_class = f"{status // 100}xx"
            by_class[status_class] = by_class.get(status_class, 0) + count
        return counts

    def errors_within(self, seconds: float) -> int:
        """Requests of the last `seconds` that ended with a server error, 10,000 at most."""
        since = time.monotonic() - seconds
        return sum(1 for moment in self._error_times if moment >= since)

    def _count_request(self, event: RequestFinished) -> None:
        """Children are looked up once: finding one by its labels costs more than counting."""
        key = (event.route, event.status)
        self._tally[key] += 1
        # A /ready that says "not yet" did its work.
        if event.status >= _SERVER_FAULT and event.route != "health":
            self._error_times.append(time.monotonic())
        by_status = self._by_status.get(key)
        if by_status is None:
            by_status = self._requests.labels(event.route, str(event.status))
            self._by_status[key] = by_status
        by_status.inc()
        by_route = self._by_route.get(event.route)
        if by_route is None:
            by_route = (self._seconds.labels(event.route), self._sent.labels(event.route))
            self._by_route[event.route] = by_route
        seconds, sent = by_route
        seconds.observe(event.seconds)
        sent.inc(event.sent_bytes)

    def _counter(self, name: str, description: str, *labels: str) -> Counter:
        return Counter(name, description, labels, registry=self._registry)


class _Gauges(Collector):
    """What is looked up when somebody asks, rather than counted as it happens."""

    def __init__(self, upstream: Upstream) -> None:
        self._upstream = upstream

    def collect(self) -> Iterator[Metric]:
        state = self._upstream.state
        info = GaugeMetricFamily("headgate_info", "This Headgate.", labels=["version"])
        info.add_metric([__version__], 1)
        yield info
        phases = GaugeMetricFamily(
            "headgate_upstream_phase", "1 for the phase that MLflow is in.", labels=["phase"]
        )
        for phase in _PHASES:
            phases.add_metric([phase], float(phase == state.phase))
        yield phases
        yield GaugeMetricFamily(
            "headgate_upstream_uptime_seconds", "Time since MLflow started.", state.uptime
        )
        memory = GaugeMetricFamily(
            "headgate_resident_bytes", "Memory by process.", labels=["process"]
        )
        for role, resident in resident_bytes(state.pid).items():
            memory.add_metric([role], resident)
        yield memory


def resident_bytes(upstream_pid: int | None) -> dict[str, int]:
    """Resident memory of the gateway, and of MLflow with its children where it is local."""
    found = {"gateway": psutil.Process().memory_info().rss}
    if upstream_pid is not None:
        try:
            root = psutil.Process(upstream_pid)
            tree = [root, *root.children(recursive=True)]
            found["mlflow"] = sum(process.memory_info().rss for process in tree)
        except psutil.Error:
            pass  # It ended while we looked; the phase tells.
    return found
