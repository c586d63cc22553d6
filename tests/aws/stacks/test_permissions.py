"""docs/aws-permissions.md says what the templates do: no more, no less, each with a reason."""

from __future__ import annotations

import pytest

from tests.aws.stacks.permissions import rules, statements, wildcards, written
from tests.aws.stacks.templates import Templates


@pytest.fixture(scope="module")
def every(default: Templates, everything: Templates, public: Templates) -> list[Templates]:
    return [default, everything, public]


def test_every_iam_statement_is_written_down_with_a_reason(every: list[Templates]) -> None:
    page = written("IAM statements", 4)
    assert set(page) == {row for templates in every for row in statements(templates)}
    assert all(page.values())


def test_every_wildcard_is_written_down_with_a_reason(every: list[Templates]) -> None:
    page = written("Every wildcard", 1)
    assert set(page) == {(word,) for templates in every for word in wildcards(templates)}
    assert all(page.values())


def test_every_security_group_rule_is_written_down_with_a_reason(every: list[Templates]) -> None:
    page = written("Security groups", 4)
    assert set(page) == {row for templates in every for row in rules(templates)}
    assert all(page.values())


def test_no_action_is_a_wildcard(every: list[Templates]) -> None:
    for templates in every:
        for who, may, *_ in statements(templates):
            assert "*" not in may or may.startswith("never"), (who, may)


def test_only_the_load_balancer_reaches_a_task_and_only_its_nginx(every: list[Templates]) -> None:
    for templates in every:
        into = [row for row in rules(templates) if row[:2] == (SERVICE, "in")]
        assert into == [(SERVICE, "in", "tcp 8443", "LoadBalancer/SecurityGroup")]


def test_only_tasks_reach_the_database(every: list[Templates]) -> None:
    for templates in every:
        into = [row for row in rules(templates) if row[:2] == ("BackendStore/SecurityGroup", "in")]
        assert [row[3] for row in into] == [SERVICE]


def test_only_the_http_api_reaches_the_internal_load_balancer(
    default: Templates, everything: Templates
) -> None:
    for templates in (default, everything):
        into = [row for row in rules(templates) if row[:2] == ("LoadBalancer/SecurityGroup", "in")]
        assert [row[3] for row in into] == ["Edge/VpcLinkSecurityGroup"]


def test_the_task_reads_its_four_secrets_and_writes_none(default: Templates) -> None:
    about = [row for row in statements(default) if "secretsmanager" in row[1]]
    assert [(who, may) for who, may, _, _ in about] == [
        ("TaskRole", "secretsmanager:GetSecretValue"),
        ("Role/sagemaker-execution-role", "secretsmanager:GetSecretValue"),
    ]
    assert about[0][2].split(", ") == [
        "BackendStore/master",
        "Credentials/Admin",
        "Credentials/DatabaseUser",
        "Credentials/Key",
    ]
    assert about[1][2] == "Credentials/Admin"


SERVICE = "Service/mlflowServiceSecurityGroup"
