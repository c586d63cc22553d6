"""Where a user's location may lie."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headgate.mlflow_app.locations import ARTIFACT_STORE, is_inside, is_plain_name, is_reference


@pytest.mark.parametrize(
    ("location", "root"),
    [
        ("mlflow-artifacts:/", ARTIFACT_STORE),
        ("mlflow-artifacts:/1/ab cd/e%20f", ARTIFACT_STORE),
        ("mlflow-artifacts:///1", ARTIFACT_STORE),
        ("mlflow-artifacts:/1/run/artifacts/", "mlflow-artifacts:/1/run/artifacts"),
        ("s3://bucket/a/b", "s3://bucket/a"),
        ("s3://bucket/a", "s3://bucket"),
        ("file:///data/a", "/data"),
        ("/data/a", "file:///data"),
        ("s3://bucket/a/b?versionId=1", "s3://bucket/a?versionId=1"),
    ],
)
def test_inside(location: str, root: str) -> None:
    assert is_inside(location, root)


@pytest.mark.parametrize(
    ("location", "root"),
    [
        ("", ARTIFACT_STORE),
        ("/1", ARTIFACT_STORE),
        ("mlflow-artifacts:1", ARTIFACT_STORE),
        ("mlflow-artifacts://host/1", ARTIFACT_STORE),
        ("mlflow-artifacts:/1?x=/../..", ARTIFACT_STORE),
        ("mlflow-artifacts:/1#x", ARTIFACT_STORE),
        ("mlflow-artifacts:/1;x", ARTIFACT_STORE),
        ("mlflow-artifacts:/..", ARTIFACT_STORE),
        ("mlflow-artifacts:/a/../b", ARTIFACT_STORE),
        ("mlflow-artifacts:/%2e%2E/b", ARTIFACT_STORE),
        ("mlflow-artifacts:/%25252e./b", ARTIFACT_STORE),
        ("mlflow-artifacts:/a%2f..%2f..%2fb", ARTIFACT_STORE),
        ("mlflow-artifacts:/a/..\\b", ARTIFACT_STORE),
        ("mlflow-artifacts:/a/%5c..%5cb", ARTIFACT_STORE),
        ("mlflow-artifacts:/a%00", ARTIFACT_STORE),
        ("mlflow-artifacts:/a\t/../b", ARTIFACT_STORE),
        ("mlflow-artifacts:/a\n", ARTIFACT_STORE),
        (" mlflow-artifacts:/a", ARTIFACT_STORE),
        ("mlflow-artifacts:/a//b", ARTIFACT_STORE),
        ("mlflow-artifacts:/1/runs/artifacts", "mlflow-artifacts:/1/run"),
        ("mlflow-artifacts://[x/1", ARTIFACT_STORE),
        ("s3://bucket-2/a", "s3://bucket"),
        ("s3://other@bucket/a", "s3://bucket"),
        ("file://host/data/a", "/data"),
        ("data/a", "data"),
    ],
)
def test_outside(location: str, root: str) -> None:
    assert not is_inside(location, root)


@settings(deadline=None)
@given(st.lists(st.sampled_from(["..", ".", "a", "%2e", "%2E%2e", "%2f", "/", "\\", "%25"])))
def test_no_mixture_climbs_out(parts: list[str]) -> None:
    location = "mlflow-artifacts:/in/" + "/".join(parts)
    if is_inside(location, "mlflow-artifacts:/in"):
        assert ".." not in location
        assert "%2e" not in location.lower()


def test_references_are_this_servers_own() -> None:
    assert is_reference("runs:/0123/model")
    assert is_reference("models:/name/1")
    assert is_reference("models:/m-0123")
    assert not is_reference("models://profile@databricks/name/1")
    assert not is_reference("runs://host/0123/model")
    assert not is_reference("runsfile:/x")


def test_plain_names() -> None:
    assert is_plain_name("tr-0123abc")
    assert is_plain_name("my trace: 1")
    for name in ("", ".", "..", "a/b", "a%2fb", "%2e%2e", "a\\b", "a%5Cb", "a\nb", "a;b"):
        assert not is_plain_name(name)
