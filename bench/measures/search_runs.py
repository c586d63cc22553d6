"""`runs/search`: the 100 newest of all seeded runs, as the UI's table of runs asks first."""

from __future__ import annotations

import json
from typing import ClassVar

from bench.load.plan import Plan
from bench.measures.base import Scene
from bench.measures.requests import RequestMeasure


class SearchRuns(RequestMeasure):
    """The same search again and again; nobody writes meanwhile."""

    name: ClassVar[str] = "search-runs"
    connections: ClassVar[tuple[int, ...]] = (1, 16)

    def title(self, scene: Scene) -> str:
        """The call's name and what it finds."""
        return f"runs/search, 100 newest of {scene.seeded.runs:,}"

    def plan(self, scene: Scene) -> Plan:
        """One page, the newest first."""
        wanted = {
            "experiment_ids": [scene.seeded.searched_experiment],
            "max_results": 100,
            "order_by": ["attributes.start_time DESC"],
        }
        return Plan(
            "POST",
            "/api/2.0/mlflow/runs/search",
            body=json.dumps(wanted).encode(),
            headers={"Content-Type": "application/json"},
        )

    def wrong(self, scene: Scene, body: bytes) -> str:
        """The right runs in the right order, each with its data."""
        runs = json.loads(body).get("runs", [])
        found = tuple(run["info"]["run_id"] for run in runs)
        if found != scene.seeded.newest:
            return f"runs/search found {len(found)} runs, not the 100 newest in their order"
        short = [run for run in runs if len(run["data"].get("metrics", [])) != 10]
        return f"runs/search left metrics out of {len(short)} runs" if short else ""
