"""MLflow's own client against Headgate, on each database, as each kind of person.

What people who are allowed to write do is one list of scenarios (`TestWhatPeopleDo`), run as
the admin, as somebody with a grant, and as that person's token. Who is refused comes after.
"""

from __future__ import annotations

import math
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import requests

from tests.harness import HeadgateServer, User, eventually
from tests.harness.client import mlflow_as

pytestmark = [
    # MLflow's client: its guesses at the types of a scikit-learn model's wrapper.
    pytest.mark.filterwarnings("ignore:.*Any type hint is inferred as AnyType:UserWarning"),
    # MLflow's client hands pandas an argument that pandas 4 will want by name.
    pytest.mark.filterwarnings("ignore:Starting with pandas version 4:DeprecationWarning"),
]


@dataclass(frozen=True, slots=True)
class Desk:
    """An experiment, and somebody who may write to it."""

    server: HeadgateServer
    user: User
    experiment_id: str


@pytest.fixture(scope="module", params=["admin", "granted", "token"])
def user(request: pytest.FixtureRequest, server: HeadgateServer) -> User:
    """Everybody who may write."""
    if request.param == "admin":
        return server.admin
    alice = server.user("alice")
    return alice if request.param == "granted" else server.create_token(alice, "client tests")


@pytest.fixture
def desk(server: HeadgateServer, user: User) -> Iterator[Desk]:
    """The admin's experiment, which Alice may edit; the client is pointed at it."""
    experiment_id = new_experiment(server)
    server.grant(server.user("alice"), experiment_id, "EDIT")
    with mlflow_as(server, user):
        import mlflow

        mlflow.set_experiment(experiment_id=experiment_id)
        yield Desk(server, user, experiment_id)


def new_experiment(server: HeadgateServer) -> str:
    """An experiment of the admin's."""
    name = f"experiment {uuid.uuid4().hex}"
    made = server.api("POST", "/api/2.0/mlflow/experiments/create", {"name": name})
    return str(made["experiment_id"])


def new_run(server: HeadgateServer, experiment_id: str) -> str:
    """A run of the admin's."""
    wishes = {"experiment_id": experiment_id, "start_time": 1}
    made = server.api("POST", "/api/2.0/mlflow/runs/create", wishes)
    return str(made["run"]["info"]["run_id"])


class TestWhatPeopleDo:
    def test_a_run_keeps_everything_that_was_logged(self, desk: Desk, tmp_path: Path) -> None:
        import mlflow

        with mlflow.start_run(run_name="whole", tags={"team": "blue"}) as run:
            mlflow.log_params({"depth": 3, "note": "ünïcödé"})
            for step in range(5):
                mlflow.log_metric("loss", 1 / (step + 1), step=step)
            mlflow.log_metrics({"nan": math.nan, "huge": math.inf})
            mlflow.set_tag("stage", "final")
            mlflow.log_text("hello", "notes/hello there.txt")

        found = mlflow.get_run(run.info.run_id)
        assert found.info.status == "FINISHED"
        assert found.data.params == {"depth": "3", "note": "ünïcödé"}
        assert found.data.metrics["loss"] == pytest.approx(0.2)
        assert math.isnan(found.data.metrics["nan"])
        assert found.data.metrics["huge"] > 1e308
        assert found.data.tags["team"] == "blue"
        assert found.data.tags["stage"] == "final"
        history = mlflow.MlflowClient().get_metric_history(run.info.run_id, "loss")
        assert [point.step for point in history] == [0, 1, 2, 3, 4]
        artifact = mlflow.artifacts.download_artifacts(
            run_id=run.info.run_id, artifact_path="notes/hello there.txt", dst_path=str(tmp_path)
        )
        assert Path(artifact).read_text() == "hello"

    def test_a_nested_run_names_its_parent(self, desk: Desk) -> None:
        import mlflow

        with mlflow.start_run() as parent, mlflow.start_run(nested=True) as child:
            mlflow.log_metric("m", 1)

        found = mlflow.search_runs(
            [desk.experiment_id],
            filter_string=f"tags.mlflow.parentRunId = '{parent.info.run_id}'",
            output_format="list",
        )
        assert [run.info.run_id for run in found] == [child.info.run_id]

    def test_a_run_can_be_deleted_and_restored(self, desk: Desk) -> None:
        import mlflow

        # Deleting takes more than the permission to edit.
        experiment_id = new_experiment(desk.server)
        desk.server.grant(desk.server.user("alice"), experiment_id, "MANAGE")
        client = mlflow.MlflowClient()
        run = client.create_run(experiment_id)
        client.delete_run(run.info.run_id)
        assert client.search_runs([experiment_id]) == []
        client.restore_run(run.info.run_id)
        assert len(client.search_runs([experiment_id])) == 1

    def test_sklearn_autolog_logs_params_and_metrics(self, desk: Desk) -> None:
        import mlflow
        import numpy
        from sklearn.linear_model import LinearRegression

        # Its model would be logged too, with a minute of guessing what it needs: tried below.
        mlflow.sklearn.autolog(log_models=False, silent=True)
        try:
            with mlflow.start_run() as run:
                LinearRegression().fit(numpy.array([[0.0], [1.0]]), numpy.array([0.0, 2.0]))
        finally:
            mlflow.sklearn.autolog(disable=True, silent=True)

        found = mlflow.get_run(run.info.run_id)
        assert found.data.params["fit_intercept"] == "True"
        assert found.data.metrics["training_r2_score"] == pytest.approx(1.0)
        assert [given.dataset.name for given in found.inputs.dataset_inputs] == ["dataset"]

    def test_a_model_is_logged_registered_aliased_and_loaded_back(self, desk: Desk) -> None:
        import mlflow
        from sklearn.linear_model import LinearRegression

        name = f"model {uuid.uuid4().hex}"
        model = LinearRegression().fit([[0.0], [1.0]], [0.0, 2.0])
        with mlflow.start_run():
            logged = mlflow.sklearn.log_model(
                model,
                name="model",
                pip_requirements=["scikit-learn"],
                input_example=[[1.0]],
                registered_model_name=name,
            )
        client = mlflow.MlflowClient()
        client.set_registered_model_alias(name, "champion", "1")
        client.set_model_version_tag(name, "1", "checked", "yes")

        assert client.get_model_version_by_alias(name, "champion").tags == {"checked": "yes"}
        assert [found.model_id for found in client.search_logged_models([desk.experiment_id])] == [
            logged.model_id
        ]
        loaded = mlflow.sklearn.load_model(f"models:/{name}@champion")
        assert loaded.predict([[3.0]])[0] == pytest.approx(6.0)
        again = mlflow.pyfunc.load_model(f"models:/{name}/1")
        assert again.predict([[3.0]])[0] == pytest.approx(6.0)

    def test_search_pages_through_everything_once(self, desk: Desk) -> None:
        import mlflow

        client = mlflow.MlflowClient()
        made = set()
        for number in range(12):
            run = client.create_run(desk.experiment_id)
            client.log_metric(run.info.run_id, "rank", number)
            made.add(run.info.run_id)

        found, token = [], None
        while True:
            page = client.search_runs(
                [desk.experiment_id],
                filter_string="metrics.rank >= 2",
                order_by=["metrics.rank DESC"],
                max_results=4,
                page_token=token,
            )
            found += page
            token = page.token
            if not token:
                break
        assert [run.data.metrics["rank"] for run in found] == list(range(11, 1, -1))
        assert {run.info.run_id for run in found} < made

    def test_traces_arrive_with_their_spans(self, desk: Desk) -> None:
        import mlflow

        @mlflow.trace(name="outer")
        def outer(question: str) -> str:
            with mlflow.start_span("inner") as span:
                span.set_attribute("model", "small")
            return question.upper()

        outer("why?")
        mlflow.flush_trace_async_logging()

        client = mlflow.MlflowClient()
        (trace,) = eventually(
            lambda: list(client.search_traces(locations=[desk.experiment_id])),
            seconds=20,
            why="The trace was not found.",
        )
        assert [span.name for span in trace.data.spans] == ["outer", "inner"]
        assert "WHY?" in str(trace.data.spans[0].outputs)

    def test_dataset_inputs_are_kept_with_the_run(self, desk: Desk) -> None:
        import mlflow
        import pandas

        data = mlflow.data.from_pandas(
            pandas.DataFrame({"x": [1.0, 2.0]}), source="s3://somewhere/x.csv", name="small"
        )
        with mlflow.start_run() as run:
            mlflow.log_input(data, context="training")

        (given,) = mlflow.get_run(run.info.run_id).inputs.dataset_inputs
        assert given.dataset.name == "small"
        assert [(tag.key, tag.value) for tag in given.tags] == [("mlflow.data.context", "training")]

    def test_async_logging_loses_nothing(self, desk: Desk) -> None:
        import mlflow

        with mlflow.start_run() as run:
            for step in range(60):
                mlflow.log_metric("async", step, step=step, synchronous=False)
            mlflow.log_params({"p": 1, "q": 2}, synchronous=False)
            mlflow.flush_async_logging()

        history = mlflow.MlflowClient().get_metric_history(run.info.run_id, "async")
        assert [point.value for point in history] == list(range(60))
        assert mlflow.get_run(run.info.run_id).data.params == {"p": "1", "q": "2"}


@pytest.mark.parametrize("name", ["admin", "alice"])
def test_a_run_says_who_logged_it(server: HeadgateServer, name: str) -> None:
    user = server.admin if name == "admin" else server.user(name)
    experiment_id = new_experiment(server)
    server.grant(server.user("alice"), experiment_id, "EDIT")
    with mlflow_as(server, user) as client:
        import mlflow

        with mlflow.start_run(experiment_id=experiment_id) as run:
            pass
        assert client.get_run(run.info.run_id).data.tags["mlflow.user"] == name


class TestWhoIsRefused:
    def test_somebody_without_a_grant_may_read_but_not_write(
        self, server: HeadgateServer, tmp_path: Path
    ) -> None:
        from mlflow.exceptions import MlflowException

        experiment_id = new_experiment(server)
        run_id = new_run(server, experiment_id)
        artifact = tmp_path / "artifact.txt"
        artifact.write_text("not mine")
        with mlflow_as(server, server.user("bob")) as client:
            assert client.get_run(run_id).info.run_id == run_id
            for write in (
                lambda: client.create_run(experiment_id),
                lambda: client.log_metric(run_id, "m", 1),
                lambda: client.log_param(run_id, "p", 1),
                lambda: client.set_tag(run_id, "t", "v"),
                lambda: client.set_experiment_tag(experiment_id, "t", "v"),
                lambda: client.rename_experiment(experiment_id, "mine now"),
                lambda: client.delete_run(run_id),
                lambda: client.delete_experiment(experiment_id),
            ):
                with pytest.raises(MlflowException) as refused:
                    write()
                assert refused.value.get_http_status_code() == 403
            with pytest.raises(requests.HTTPError, match="403"):
                client.log_artifact(run_id, str(artifact))
        run = server.api("GET", f"/api/2.0/mlflow/runs/get?run_id={run_id}")["run"]
        assert run["info"]["lifecycle_stage"] == "active"
        assert [tag["key"] for tag in run["data"].pop("tags")] == ["mlflow.runName"]
        assert run["data"] == {}

    def test_somebody_with_a_grant_to_one_experiment_cannot_write_to_another(
        self, server: HeadgateServer
    ) -> None:
        from mlflow.exceptions import MlflowException

        granted, other = new_experiment(server), new_experiment(server)
        server.grant(server.user("alice"), granted, "EDIT")
        with mlflow_as(server, server.user("alice")) as client:
            client.create_run(granted)
            with pytest.raises(MlflowException) as refused:
                client.create_run(other)
        assert refused.value.get_http_status_code() == 403

    @pytest.mark.parametrize(
        "stranger",
        [
            pytest.param(None, id="without a credential"),
            pytest.param(User("alice", "wrong-password"), id="with a wrong password"),
            pytest.param(User("nobody-at-all", "wrong-password"), id="with an unknown name"),
            pytest.param(User("alice", "", token="hg_made-up"), id="with a made-up token"),
        ],
    )
    def test_a_stranger_is_refused(self, server: HeadgateServer, stranger: User | None) -> None:
        from mlflow.exceptions import MlflowException

        server.user("alice")
        with mlflow_as(server, stranger) as client:
            with pytest.raises(MlflowException) as refused:
                client.search_experiments()
            assert refused.value.get_http_status_code() == 401
            with pytest.raises(MlflowException):
                client.create_experiment("a stranger's")

    def test_a_revoked_token_is_refused_within_five_seconds(self, server: HeadgateServer) -> None:
        alice = server.user("alice")
        name = f"to be revoked {uuid.uuid4().hex}"
        token = server.create_token(alice, name)
        search = "/api/2.0/mlflow/experiments/search?max_results=1"
        assert server.request("GET", search, user=token).status == 200
        server.revoke_tokens(alice, name)
        eventually(
            lambda: server.request("GET", search, user=token).status == 401,
            seconds=5,
            why="The revoked token still works.",
        )

    def test_a_read_only_token_reads_and_never_writes(self, server: HeadgateServer) -> None:
        from mlflow.exceptions import MlflowException

        experiment_id = new_experiment(server)
        run_id = new_run(server, experiment_id)
        reader = server.create_token(server.admin, "reader", read_only=True)
        with mlflow_as(server, reader) as client:
            assert [run.info.run_id for run in client.search_runs([experiment_id])] == [run_id]
            for write in (
                lambda: client.create_run(experiment_id),
                lambda: client.log_metric(run_id, "m", 1),
                lambda: client.create_experiment(uuid.uuid4().hex),
            ):
                with pytest.raises(MlflowException) as refused:
                    write()
                assert refused.value.get_http_status_code() == 403

    def test_an_old_password_is_refused_within_five_seconds_of_a_change(
        self, server: HeadgateServer
    ) -> None:
        carol = server.user(f"carol-{uuid.uuid4().hex[:8]}")
        search = "/api/2.0/mlflow/experiments/search?max_results=1"
        assert server.request("GET", search, user=carol).status == 200
        changed = User(carol.name, "an-entirely-new-password")
        server.api(
            "PATCH",
            "/api/2.0/mlflow/users/update-password",
            {"username": carol.name, "password": changed.password},
        )
        eventually(
            lambda: server.request("GET", search, user=carol).status == 401,
            seconds=5,
            why="The old password still works.",
        )
        assert server.request("GET", search, user=changed).status == 200

    def test_a_removed_user_is_refused_within_five_seconds(self, server: HeadgateServer) -> None:
        dave = server.user(f"dave-{uuid.uuid4().hex[:8]}")
        search = "/api/2.0/mlflow/experiments/search?max_results=1"
        assert server.request("GET", search, user=dave).status == 200
        server.api("DELETE", "/api/2.0/mlflow/users/delete", {"username": dave.name})
        eventually(
            lambda: server.request("GET", search, user=dave).status == 401,
            seconds=5,
            why="The removed user still gets in.",
        )
