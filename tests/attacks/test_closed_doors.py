"""An ordinary user, a real MLflow, and what must stay shut.

Each attack here works on MLflow's own basic-auth app of the same version, or worked on an
older one (then it names its CVE).
"""

from __future__ import annotations

import gzip
import json
import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.harness.mlflow_alone import MlflowAlone
from tests.harness.server import Answer
from tests.harness.waiting import eventually

OUTSIDE = [
    "file:///tmp/headgate-outside",
    "/tmp/headgate-outside",
    "file:/tmp/headgate-outside",
    "FILE:///tmp/headgate-outside",
    "file://localhost/tmp/headgate-outside",
    "./headgate-outside",
    "headgate-outside",
    "file:headgate-outside",
    "mlflow-artifacts:/../headgate-outside",
    "mlflow-artifacts:/%2e%2e/headgate-outside",
    "mlflow-artifacts:/%252e%252e/headgate-outside",
    "mlflow-artifacts:/x/..%2f..%2fheadgate-outside",
    "mlflow-artifacts:/x/..\\..\\headgate-outside",
    "mlflow-artifacts://evil.example.com/x",
    "mlflow-artifacts://evil.example.com:5000/x",
    "http://169.254.169.254/api/2.0/mlflow-artifacts/artifacts/x",
    "https://evil.example.com/x",
    "ftp://evil.example.com/x",
    "sftp://evil.example.com/x",
    "hdfs://evil.example.com/x",
    "dbfs:/x",
    "s3://somebody-elses-bucket/x",
    "gs://somebody-elses-bucket/x",
    "wasbs://x@y.blob.core.windows.net/x",
    "runs:/0/x",
    "models:/x/1",
]


@pytest.fixture(scope="module")
def ann(mlflow: MlflowAlone) -> str:
    """An ordinary user without any grant."""
    return mlflow.new_user("ann")


def new_name(prefix: str = "x") -> str:
    return f"{prefix}-{secrets.token_hex(4)}"


def new_experiment(mlflow: MlflowAlone, user: str, **fields: str) -> str:
    body = {"name": new_name("experiment"), **fields}
    made = mlflow.call("POST", "/api/2.0/mlflow/experiments/create", body, user=user)
    return str(made["experiment_id"])


def new_run(mlflow: MlflowAlone, user: str, experiment: str) -> dict[str, str]:
    body = {"experiment_id": experiment}
    made = mlflow.call("POST", "/api/2.0/mlflow/runs/create", body, user=user)
    info: dict[str, str] = made["run"]["info"]
    return info


def assert_refused(answer: Answer, setting: str) -> None:
    """403 in MLflow's error form, with the name of the setting that would allow it."""
    assert answer.status == 403, (answer.status, answer.body[:500])
    assert answer.json()["error_code"] == "PERMISSION_DENIED"
    assert setting in answer.json()["message"]


# Locations of experiments


@pytest.mark.parametrize("location", OUTSIDE)
def test_a_user_cannot_place_an_experiment_outside(
    mlflow: MlflowAlone, ann: str, location: str
) -> None:
    body = {"name": new_name(), "artifact_location": location}
    answer = mlflow.request("POST", "/api/2.0/mlflow/experiments/create", body, user=ann)
    if answer.status == 400:
        # MLflow itself finds some of them malformed.
        assert answer.json()["error_code"] == "INVALID_PARAMETER_VALUE"
    else:
        assert_refused(answer, "allow_outside_locations")
    found = mlflow.request(
        "GET", f"/api/2.0/mlflow/experiments/get-by-name?experiment_name={body['name']}"
    )
    assert found.status == 404


@pytest.mark.parametrize("prefix", ["/api", "/ajax-api"])
@pytest.mark.parametrize("spelling", ["artifact_location", "artifactLocation"])
@pytest.mark.parametrize("wrapped", [False, True])
def test_no_spelling_of_the_request_helps(
    mlflow: MlflowAlone, ann: str, prefix: str, spelling: str, wrapped: bool
) -> None:
    body: object = {"name": new_name(), spelling: "file:///tmp/headgate-outside"}
    if wrapped:
        body = json.dumps(body)
    target = f"{prefix}/2.0/mlflow/experiments/create"
    answer = mlflow.request("POST", target, body, user=ann)
    assert_refused(answer, "allow_outside_locations")


def test_the_upload_that_wrote_anywhere_has_nowhere_to_start(
    mlflow: MlflowAlone, ann: str, tmp_path: Path
) -> None:
    body = {"name": new_name(), "artifact_location": tmp_path.as_uri()}
    created = mlflow.request("POST", "/api/2.0/mlflow/experiments/create", body, user=ann)
    assert_refused(created, "allow_outside_locations")
    run = new_run(mlflow, ann, new_experiment(mlflow, ann))
    target = f"/ajax-api/2.0/mlflow/upload-artifact?run_uuid={run['run_id']}&path=a.txt"
    assert mlflow.request("POST", target, b"mine", user=ann).status == 200
    assert list(tmp_path.iterdir()) == []
    assert [found.read_bytes() for found in mlflow.artifacts.rglob("a.txt")] == [b"mine"]


@pytest.mark.parametrize(
    "path", ["../x", "..%2fx", "%2e%2e/x", "/tmp/x", "a/../../x", "%252e%252e/x"]
)
def test_an_upload_stays_in_its_run(mlflow: MlflowAlone, ann: str, path: str) -> None:
    run = new_run(mlflow, ann, new_experiment(mlflow, ann))
    for target in (
        f"/ajax-api/2.0/mlflow/upload-artifact?run_uuid={run['run_id']}&path={path}",
        f"/api/2.0/mlflow-artifacts/artifacts/{run['experiment_id']}/{path}",
    ):
        method = "POST" if "upload" in target else "PUT"
        before = sorted(mlflow.folder.iterdir())
        answer = mlflow.request(method, target, b"mine", user=ann)
        assert answer.status >= 400, (target, answer.status)
        assert sorted(mlflow.folder.iterdir()) == before


def test_a_user_places_experiments_in_the_artifact_store(mlflow: MlflowAlone, ann: str) -> None:
    mine = new_experiment(mlflow, ann, artifact_location=f"mlflow-artifacts:/{new_name('team')}")
    run = new_run(mlflow, ann, mine)
    assert run["artifact_uri"].startswith("mlflow-artifacts:/team-")
    assert new_experiment(mlflow, ann)


def test_an_admin_chooses_any_location(mlflow: MlflowAlone, tmp_path: Path) -> None:
    experiment = new_experiment(mlflow, "admin", artifact_location=tmp_path.as_uri())
    run = new_run(mlflow, "admin", experiment)
    target = f"/ajax-api/2.0/mlflow/upload-artifact?run_uuid={run['run_id']}&path=a.txt"
    assert mlflow.request("POST", target, b"theirs").status == 200
    assert [found.read_bytes() for found in tmp_path.rglob("a.txt")] == [b"theirs"]


def test_a_user_works_in_the_place_that_an_admin_chose(
    mlflow: MlflowAlone, ann: str, tmp_path: Path
) -> None:
    experiment = new_experiment(mlflow, "admin", artifact_location=tmp_path.as_uri())
    mlflow.call(
        "POST",
        "/api/3.0/mlflow/users/permissions/grant",
        {
            "username": ann,
            "resource_type": "experiment",
            "resource_id": experiment,
            "permission": "EDIT",
        },
    )
    run = new_run(mlflow, ann, experiment)
    target = f"/ajax-api/2.0/mlflow/upload-artifact?run_uuid={run['run_id']}&path=a.txt"
    assert mlflow.request("POST", target, b"ann's", user=ann).status == 200
    trace = new_trace(mlflow, ann, experiment)
    assert trace["tags"]["mlflow.artifactLocation"].startswith(tmp_path.as_uri())
    model = new_name("model")
    mlflow.call("POST", "/api/2.0/mlflow/registered-models/create", {"name": model}, user=ann)
    for source, status in (
        (f"{run['artifact_uri']}/model", 200),
        (f"{run['artifact_uri']}/../other", 403),
        (f"{tmp_path.as_uri()}/other", 403),
    ):
        body = {"name": model, "source": source, "run_id": run["run_id"]}
        answer = mlflow.request("POST", "/api/2.0/mlflow/model-versions/create", body, user=ann)
        assert answer.status == status or (status == 403 and answer.status == 400)


# Sources of models (CVE-2026-2614: file read)


@pytest.mark.parametrize("location", [*OUTSIDE, "file:///etc", "/etc", "s3://bucket/x"])
@pytest.mark.parametrize("as_prompt", [False, True])
def test_a_model_cannot_come_from_outside(
    mlflow: MlflowAlone, ann: str, location: str, as_prompt: bool
) -> None:
    name = new_name("model")
    prompt = [{"key": "mlflow.prompt.is_prompt", "value": "true"}] if as_prompt else []
    mlflow.call(
        "POST", "/api/2.0/mlflow/registered-models/create", {"name": name, "tags": prompt}, user=ann
    )
    run = new_run(mlflow, ann, new_experiment(mlflow, ann))
    body = {"name": name, "source": location, "run_id": run["run_id"], "tags": prompt}
    answer = mlflow.request("POST", "/api/2.0/mlflow/model-versions/create", body, user=ann)
    assert answer.status in (400, 403, 404), answer.body
    read = f"/model-versions/get-artifact?name={name}&version=1&path=passwd"
    assert mlflow.request("GET", read, user=ann).status in (403, 404)


def test_a_model_comes_from_a_run(mlflow: MlflowAlone, ann: str) -> None:
    name = new_name("model")
    mlflow.call("POST", "/api/2.0/mlflow/registered-models/create", {"name": name}, user=ann)
    run = new_run(mlflow, ann, new_experiment(mlflow, ann))
    for source in (f"runs:/{run['run_id']}/model", f"{run['artifact_uri']}/model"):
        body = {"name": name, "source": source, "run_id": run["run_id"]}
        mlflow.call("POST", "/api/2.0/mlflow/model-versions/create", body, user=ann)
    body = {"name": name, "source": f"models:/{name}/1"}
    mlflow.call("POST", "/api/2.0/mlflow/model-versions/create", body, user=ann)


def test_a_prompt_is_registered_as_ever(mlflow: MlflowAlone, ann: str) -> None:
    name = new_name("prompt")
    tags = [
        {"key": "mlflow.prompt.is_prompt", "value": "true"},
        {"key": "mlflow.prompt.text", "value": "Hello {{name}}"},
    ]
    mlflow.call(
        "POST", "/api/2.0/mlflow/registered-models/create", {"name": name, "tags": tags}, user=ann
    )
    body = {"name": name, "source": "prompt-template", "tags": tags}
    mlflow.call("POST", "/api/2.0/mlflow/model-versions/create", body, user=ann)


# Locations in traces


def trace_body(experiment: str, trace_id: str, tags: dict[str, str]) -> dict[str, object]:
    return {
        "trace": {
            "trace_info": {
                "trace_id": trace_id,
                "trace_location": {
                    "type": "MLFLOW_EXPERIMENT",
                    "mlflow_experiment": {"experiment_id": experiment},
                },
                "request_time": "2026-01-01T00:00:00Z",
                "state": "OK",
                "tags": tags,
            }
        }
    }


def new_trace(
    mlflow: MlflowAlone, user: str, experiment: str, tags: dict[str, str] | None = None
) -> dict[str, dict[str, str]]:
    body = trace_body(experiment, f"tr-{secrets.token_hex(16)}", tags or {})
    made = mlflow.call("POST", "/api/3.0/mlflow/traces", body, user=user)
    info: dict[str, dict[str, str]] = made["trace"]["trace_info"]
    return info


HARMFUL_TAGS = [
    {"mlflow.artifactLocation": "file:///etc"},
    {"mlflow.artifactLocation": "file:///tmp/x/traces/{trace}/artifacts"},
    {"mlflow.artifactLocation": "mlflow-artifacts:/0/traces/somebody-elses/artifacts"},
    {"mlflow.trace.archiveLocation": "file:///tmp/headgate-outside"},
    {"mlflow.trace.archiveLocation": "mlflow-artifacts:/0"},
    {"mlflow.trace.spansLocation": "ARCHIVE_REPO"},
]


@pytest.mark.parametrize("tags", HARMFUL_TAGS)
def test_a_new_trace_cannot_say_where_its_data_is(
    mlflow: MlflowAlone, ann: str, tags: dict[str, str]
) -> None:
    trace_id = f"tr-{secrets.token_hex(16)}"
    tags = {key: value.format(trace=trace_id) for key, value in tags.items()}
    body = trace_body(new_experiment(mlflow, ann), trace_id, tags)
    answer = mlflow.request("POST", "/api/3.0/mlflow/traces", body, user=ann)
    assert_refused(answer, "allow_outside_locations")


@pytest.mark.parametrize("tags", HARMFUL_TAGS)
@pytest.mark.parametrize("version", ["2.0", "3.0"])
def test_a_tag_cannot_move_a_traces_data(
    mlflow: MlflowAlone, ann: str, tags: dict[str, str], version: str
) -> None:
    trace = new_trace(mlflow, ann, new_experiment(mlflow, ann))
    [(key, value)] = tags.items()
    body = {"key": key, "value": value.format(trace=trace["trace_id"])}
    target = f"/api/{version}/mlflow/traces/{trace['trace_id']}/tags"
    answer = mlflow.request("PATCH", target, body, user=ann)
    assert answer.status in (400, 403), answer.body


@pytest.mark.parametrize("tags", HARMFUL_TAGS)
def test_the_old_trace_calls_cannot_either(
    mlflow: MlflowAlone, ann: str, tags: dict[str, str]
) -> None:
    [(key, value)] = tags.items()
    listed = [{"key": key, "value": value}]
    experiment = new_experiment(mlflow, ann)
    start = {"experiment_id": experiment, "timestamp_ms": 1, "tags": listed}
    refused = mlflow.request("POST", "/api/2.0/mlflow/traces", start, user=ann)
    assert_refused(refused, "allow_outside_locations")
    begun = mlflow.call("POST", "/api/2.0/mlflow/traces", start | {"tags": []}, user=ann)
    request_id = begun["trace_info"]["request_id"]
    end = {"request_id": request_id, "timestamp_ms": 2, "status": "OK", "tags": listed}
    target = f"/api/2.0/mlflow/traces/{request_id}"
    assert_refused(mlflow.request("PATCH", target, end, user=ann), "allow_outside_locations")


def spans(trace_id: bytes, tags: dict[str, str]) -> bytes:
    """An OTLP body with one root span, whose attributes MLflow takes for the trace's tags."""
    message = ExportTraceServiceRequest()
    span = message.resource_spans.add().scope_spans.add().spans.add()
    span.trace_id, span.span_id, span.name = trace_id, secrets.token_bytes(8), "root"
    span.start_time_unix_nano, span.end_time_unix_nano = 10**18, 10**18 + 1
    for key, value in tags.items():
        attribute = span.attributes.add()
        attribute.key = f"mlflow.traceTag.{key}"
        attribute.value.string_value = value
    return message.SerializeToString()


@pytest.mark.parametrize("tags", HARMFUL_TAGS)
@pytest.mark.parametrize("encoding", ["identity", "gzip"])
def test_spans_cannot_either(
    mlflow: MlflowAlone, ann: str, tags: dict[str, str], encoding: str
) -> None:
    trace_id = secrets.token_bytes(16)
    named = {key: value.format(trace=f"tr-{trace_id.hex()}") for key, value in tags.items()}
    body = spans(trace_id, named)
    headers = {
        "content-type": "application/x-protobuf",
        "x-mlflow-experiment-id": new_experiment(mlflow, ann),
    }
    if encoding == "gzip":
        body, headers["content-encoding"] = gzip.compress(body), "gzip"
    answer = mlflow.request("POST", "/v1/traces", body, user=ann, headers=headers)
    assert_refused(answer, "allow_outside_locations")


def test_spans_and_their_harmless_tags_are_taken(mlflow: MlflowAlone, ann: str) -> None:
    trace_id = secrets.token_bytes(16)
    headers = {
        "content-type": "application/x-protobuf",
        "x-mlflow-experiment-id": new_experiment(mlflow, ann),
    }
    body = spans(trace_id, {"colour": "green"})
    assert mlflow.request("POST", "/v1/traces", body, user=ann, headers=headers).status == 200
    target = f"/api/3.0/mlflow/traces/tr-{trace_id.hex()}"
    info = mlflow.call("GET", target, user=ann)["trace"]["trace_info"]
    assert info["tags"]["colour"] == "green"


@pytest.mark.parametrize("trace_id", ["../../x", "..%2fx", "a/b", "..", "a\\b", "%2e%2e"])
def test_a_trace_id_is_a_name_and_no_path(mlflow: MlflowAlone, ann: str, trace_id: str) -> None:
    body = trace_body(new_experiment(mlflow, ann), trace_id, {})
    answer = mlflow.request("POST", "/api/3.0/mlflow/traces", body, user=ann)
    assert_refused(answer, "allow_outside_locations")


# Doors that are shut for everybody


BEHIND_DOORS = [
    # CVE-2026-64849: a webhook that calls an address inside the network.
    ("POST", "/api/2.0/mlflow/webhooks", "allow_webhooks"),
    ("PATCH", "/api/2.0/mlflow/webhooks/1", "allow_webhooks"),
    ("POST", "/ajax-api/2.0/mlflow/webhooks/1/test", "allow_webhooks"),
    # CVE-2026-0545 and -2652: jobs, on routes of FastAPI that nobody checked.
    ("POST", "/ajax-api/3.0/jobs/", "allow_jobs"),
    ("PATCH", "/ajax-api/3.0/jobs/cancel/1", "allow_jobs"),
    ("PATCH", "/ajax-api/3.0/mlflow/jobs/cancel/1", "allow_jobs"),
    ("POST", "/ajax-api/3.0/mlflow/scorer/invoke", "allow_jobs"),
    ("POST", "/ajax-api/3.0/mlflow/issues/invoke", "allow_jobs"),
    ("POST", "/ajax-api/3.0/mlflow/genai/evaluate/invoke", "allow_jobs"),
    ("POST", "/api/3.0/mlflow/prompt-optimization/jobs", "allow_jobs"),
    ("POST", "/gateway/x/mlflow/invocations", "allow_ai_gateway"),
    ("POST", "/gateway/mlflow/v1/chat/completions", "allow_ai_gateway"),
    ("GET", "/gateway/mlflow/v1/models", "allow_ai_gateway"),
    ("POST", "/gateway/proxy/x/v1/any/thing", "allow_ai_gateway"),
    ("POST", "/ajax-api/2.0/mlflow/gateway-proxy", "allow_ai_gateway"),
    ("POST", "/api/3.0/mlflow/gateway/secrets/create", "allow_ai_gateway"),
    ("POST", "/api/3.0/mlflow/gateway/endpoints/create", "allow_ai_gateway"),
    ("POST", "/ajax-api/2.0/mlflow/runs/create-promptlab-run", "allow_ai_gateway"),
    ("POST", "/ajax-api/3.0/mlflow/assistant/message", "allow_assistant"),
    ("PUT", "/ajax-api/3.0/mlflow/assistant/config", "allow_assistant"),
    ("POST", "/ajax-api/3.0/mlflow/assistant/skills/install", "allow_assistant"),
    ("GET", "/ajax-api/3.0/mlflow/assistant/providers/ollama/models", "allow_assistant"),
]


@pytest.mark.parametrize(("method", "target", "setting"), BEHIND_DOORS)
@pytest.mark.parametrize("who", ["user", "admin"])
def test_a_shut_door_is_shut_for_everybody(
    mlflow: MlflowAlone, ann: str, method: str, target: str, setting: str, who: str
) -> None:
    name = ann if who == "user" else "admin"
    assert_refused(mlflow.request(method, target, {}, user=name), setting)


def spellings(target: str) -> list[str]:
    """Other ways to write a path."""
    last = target.rstrip("/")[-1]
    return [
        "/" + target,
        "///" + target,
        target.replace(last, f"%{ord(last):02x}"),
        target.replace("api", "%61pi").replace("gateway", "%67ateway"),
        target + "/",
        target + "?x=1",
        target + ";x",
        target + "%00",
        target + "%0a",
        target.upper(),
        "/x/.." + target,
        "/." + target,
    ]


@pytest.mark.parametrize(("method", "target", "_setting"), BEHIND_DOORS)
def test_no_spelling_opens_a_door(
    mlflow: MlflowAlone, method: str, target: str, _setting: str
) -> None:
    for spelling in spellings(target):
        answer = mlflow.request(method, spelling, {})
        # A redirect is refused where it leads to.
        assert answer.status in (307, 308, 403, 404, 405), (spelling, answer.status)


def test_the_pages_find_features_switched_off(mlflow: MlflowAlone, ann: str) -> None:
    info = mlflow.call("GET", "/ajax-api/3.0/mlflow/server-info", user=ann)
    assert info["features_enabled"] == {"gateway": False}
    gateway = "/ajax-api/2.0/mlflow/gateway-proxy?gateway_path=api/2.0/endpoints"
    assert mlflow.call("GET", gateway, user=ann) == {"endpoints": []}
    assistant = mlflow.call("GET", "/ajax-api/3.0/mlflow/assistant/config", user=ann)
    assert assistant["providers"] == {}
    providers = mlflow.call("GET", "/ajax-api/3.0/mlflow/assistant/providers", user=ann)
    assert providers["resolved"] is None
    jobs = mlflow.call("POST", "/ajax-api/3.0/jobs/search", {}, user=ann)
    assert jobs == {"jobs": []}
    webhooks = mlflow.call("GET", "/ajax-api/2.0/mlflow/webhooks")
    assert webhooks.get("webhooks", []) == []


def test_nothing_is_reported_to_mlflows_makers(mlflow: MlflowAlone, ann: str) -> None:
    target = "/ajax-api/3.0/mlflow/ui-telemetry"
    assert mlflow.call("GET", target, user=ann)["disable_ui_telemetry"] is True
    records = {"records": [{"event_name": "x"}]}
    assert mlflow.call("POST", target, records, user=ann) == {"status": "disabled"}


def test_the_models_of_llm_providers_are_not_fetched(mlflow: MlflowAlone, ann: str) -> None:
    target = "/ajax-api/3.0/mlflow/gateway/supported-models"
    answer = mlflow.request("GET", target, user=ann)
    assert answer.status == 501
    assert "allow_ai_gateway" in answer.json()["message"]


@pytest.fixture(scope="module")
def was_open(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MlflowAlone]:
    """MLflow with all doors open, on a folder of its own."""
    settings = {
        f"HEADGATE_{setting.upper()}": "true"
        for setting in (
            "allow_outside_locations",
            "allow_webhooks",
            "allow_jobs",
            "allow_ai_gateway",
            "allow_assistant",
        )
    }
    private = {"MLFLOW_WEBHOOK_ALLOW_PRIVATE_IPS": "true"}
    folder = tmp_path_factory.mktemp("open")
    with MlflowAlone(folder, environment=settings | private) as server:
        yield server


def test_doors_open_by_their_settings(was_open: MlflowAlone, tmp_path: Path) -> None:
    bob = was_open.new_user("bob")
    new_experiment(was_open, bob, artifact_location=tmp_path.as_uri())
    for method, target, setting in BEHIND_DOORS:
        answer = was_open.request(method, target, {})
        assert setting.encode() not in answer.body, (target, answer.body)
    info = was_open.call("GET", "/ajax-api/3.0/mlflow/server-info", user=bob)
    assert info["features_enabled"] == {"gateway": True}


def test_what_an_open_door_started_ends_when_it_is_shut(was_open: MlflowAlone) -> None:
    event = {"entity": "REGISTERED_MODEL", "action": "CREATED"}
    body = {"name": new_name(), "url": "https://localhost:1/hook", "events": [event]}
    was_open.call("POST", "/api/2.0/mlflow/webhooks", body)
    runner = eventually(was_open.children, seconds=20, why="The job runner did not start.")
    was_open.stop()
    eventually(lambda: not any(process.is_running() for process in runner), seconds=20)

    with MlflowAlone(was_open.folder) as shut:
        shut.call("POST", "/api/2.0/mlflow/registered-models/create", {"name": new_name()})
        # MLflow tries in a thread of its own, and says why it did not call.
        eventually(lambda: "closed-by-allow_webhooks" in shut.log.read_text(), seconds=20)
        assert shut.children() == []


def test_no_job_runner_is_started_while_its_door_is_shut(mlflow: MlflowAlone) -> None:
    assert mlflow.children() == []
