"""A user who knows the id of somebody else's trace or run, and may not write there."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import Any

import pytest

from tests.attacks.test_closed_doors import new_experiment, new_run, new_trace, spans, trace_body
from tests.harness.mlflow_alone import MlflowAlone
from tests.harness.server import Answer


@dataclass
class Two:
    """Ann and Bob, each with an experiment of their own."""

    mlflow: MlflowAlone
    ann: str
    bob: str
    anns: str
    bobs: str

    def deliver(
        self, user: str, experiment: str, trace: bytes, tags: dict[str, str], run: str | None = None
    ) -> Answer:
        """Send spans of a trace."""
        headers = {
            "content-type": "application/x-protobuf",
            "x-mlflow-experiment-id": experiment,
        }
        if run:
            headers["x-mlflow-run-id"] = run
        body = spans(trace, tags)
        return self.mlflow.request("POST", "/v1/traces", body, user=user, headers=headers)

    def trace(self, trace_id: str) -> Any:
        """A trace as the admin sees it."""
        target = f"/api/3.0/mlflow/traces/get?trace_id={trace_id}"
        return self.mlflow.call("GET", target)["trace"]


@pytest.fixture
def two(mlflow: MlflowAlone) -> Two:
    ann, bob = mlflow.new_user("ann"), mlflow.new_user("bob")
    return Two(mlflow, ann, bob, new_experiment(mlflow, ann), new_experiment(mlflow, bob))


def test_nobody_adds_spans_to_anothers_trace(two: Two) -> None:
    trace = secrets.token_bytes(16)
    assert two.deliver(two.ann, two.anns, trace, {}).status == 200
    before = two.trace(f"tr-{trace.hex()}")
    assert two.deliver(two.bob, two.bobs, trace, {"colour": "bob's"}).status == 403
    assert two.trace(f"tr-{trace.hex()}") == before


def test_nobody_takes_over_anothers_trace(two: Two) -> None:
    trace = secrets.token_bytes(16)
    assert two.deliver(two.ann, two.anns, trace, {}).status == 200
    before = two.trace(f"tr-{trace.hex()}")
    body = trace_body(two.bobs, f"tr-{trace.hex()}", {"colour": "bob's"})
    answer = two.mlflow.request("POST", "/api/3.0/mlflow/traces", body, user=two.bob)
    assert answer.status == 403
    assert two.trace(f"tr-{trace.hex()}") == before


def test_nobody_takes_over_anothers_assessment(two: Two) -> None:
    trace = secrets.token_bytes(16)
    two.deliver(two.ann, two.anns, trace, {})
    target = f"/api/3.0/mlflow/traces/tr-{trace.hex()}/assessments"
    assessment = {
        "assessment_name": "good",
        "trace_id": f"tr-{trace.hex()}",
        "source": {"source_type": "HUMAN", "source_id": "ann"},
        "feedback": {"value": True},
    }
    made = two.mlflow.call("POST", target, {"assessment": assessment}, user=two.ann)
    stolen = made["assessment"] | {"feedback": {"value": False}}
    mine = secrets.token_bytes(16)
    two.deliver(two.bob, two.bobs, mine, {})
    body = trace_body(two.bobs, f"tr-{mine.hex()}", {})
    body["trace"]["trace_info"]["assessments"] = [stolen]  # type: ignore[index]  # nested JSON
    answer = two.mlflow.request("POST", "/api/3.0/mlflow/traces", body, user=two.bob)
    assert answer.status == 403
    [kept] = two.trace(f"tr-{trace.hex()}")["trace_info"]["assessments"]
    assert kept["feedback"]["value"] is True


def test_nobody_links_a_trace_to_anothers_run(two: Two) -> None:
    run = new_run(two.mlflow, two.ann, two.anns)["run_id"]
    trace = secrets.token_bytes(16)
    # MLflow takes the spans and logs that the link failed.
    assert two.deliver(two.bob, two.bobs, trace, {}, run=run).status == 200
    assert linked_traces(two, two.anns, run) == []
    assert linked_traces(two, two.bobs, run) == []


def test_ones_own_traces_grow_and_link(two: Two) -> None:
    run = new_run(two.mlflow, two.ann, two.anns)["run_id"]
    trace = secrets.token_bytes(16)
    assert two.deliver(two.ann, two.anns, trace, {}, run=run).status == 200
    assert two.deliver(two.ann, two.anns, trace, {"colour": "ann's"}).status == 200
    body = trace_body(two.anns, f"tr-{trace.hex()}", {})
    two.mlflow.call("POST", "/api/3.0/mlflow/traces", body, user=two.ann)
    assert len(two.trace(f"tr-{trace.hex()}")["spans"]) == 2
    assert linked_traces(two, two.anns, run) == [f"tr-{trace.hex()}"]


def test_a_trace_spans_two_experiments_of_one_user(two: Two) -> None:
    other = new_experiment(two.mlflow, two.ann)
    trace = secrets.token_bytes(16)
    assert two.deliver(two.ann, two.anns, trace, {}).status == 200
    assert two.deliver(two.ann, other, trace, {}).status == 200
    assert len(two.trace(f"tr-{trace.hex()}")["spans"]) == 2


def test_an_admin_crosses_borders(two: Two) -> None:
    trace = new_trace(two.mlflow, two.ann, two.anns)["trace_id"]
    body = trace_body(two.bobs, str(trace), {})
    two.mlflow.call("POST", "/api/3.0/mlflow/traces", body)


def linked_traces(two: Two, experiment: str, run: str) -> list[str]:
    """The traces of a run, in an experiment."""
    location = {"type": "MLFLOW_EXPERIMENT", "mlflow_experiment": {"experiment_id": experiment}}
    body = {"locations": [location], "filter": f"run_id = '{run}'", "max_results": 10}
    found = two.mlflow.call("POST", "/api/3.0/mlflow/traces/search", body)
    return [trace["trace_id"] for trace in found.get("traces", [])]
