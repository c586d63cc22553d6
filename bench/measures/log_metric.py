"""`log-metric`: one point of one metric per request, the commonest write of all."""

from __future__ import annotations

from typing import ClassVar

from bench.load.plan import Plan
from bench.measures.base import Scene
from bench.measures.requests import RequestMeasure
from bench.seed import count

KEY = "loss"


class LogMetric(RequestMeasure):
    """Points of growing step and time, on 64 open runs in turn."""

    name: ClassVar[str] = "log-metric"
    connections: ClassVar[tuple[int, ...]] = (1, 16)

    def title(self, scene: Scene) -> str:
        """The call's name."""
        return "log-metric"

    def plan(self, scene: Scene) -> Plan:
        """A point that nobody has sent before."""
        return Plan(
            "POST",
            "/api/2.0/mlflow/runs/log-metric",
            body=b'{"run_id": "{{run}}", "key": "%b", "value": 0.25, "timestamp": {{time}}, '
            b'"step": {{step}}}' % KEY.encode(),
            headers={"Content-Type": "application/json"},
            runs=scene.seeded.open_runs,
        )

    def wrong(self, scene: Scene, body: bytes) -> str:
        """MLflow answers with an empty object."""
        return "" if body == b"{}" else f"log-metric answered {body[:200]!r}"

    def stored(self, scene: Scene) -> int:
        """The points of our metric; no seeded one has its key."""
        statement = f"SELECT COUNT(*) FROM metrics WHERE metrics.key = '{KEY}'"
        return count(scene.system.database_uri, statement)
