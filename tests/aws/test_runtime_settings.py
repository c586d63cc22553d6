"""Settings that a server in AWS has beside the others."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from headgate.errors import SettingsError
from headgate.settings import Settings, load_settings
from headgate.settings.aws_names import parse_iam_user, principal_of

ARN = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:mlflow-server-credentials-a1B2c3"
ROLE = "arn:aws:iam::123456789012:role/Team-Data"


def test_what_the_task_definition_sets_is_taken(tmp_path: Path) -> None:
    certificates = tmp_path / "rds.pem"
    certificates.touch()
    settings = load_settings(
        {
            "backend_store_uri": "mysql://db.example.com:3306/mlflowdb",
            "database_secret": ARN,
            "database_user_secret": "mlflow-database-user",
            "database_ca": str(certificates),
            "admin_secret": ARN,
            "secret_key_secret": ARN,
            "database_idle_seconds": "300",
            "presigned_bytes": "5000000",
            "iam_users": f"{ROLE}=carol,arn:aws:iam::123456789012:user/*=guest",
            "trusted_proxies": "127.0.0.1",
            "edge": "http-api",
        }
    )
    assert settings.iam_networks() == ["127.0.0.1"]
    assert settings.wake_seconds() == 60
    assert settings.cautions() == []


def test_without_secrets_connecting_takes_no_longer_than_on_a_laptop() -> None:
    assert Settings().wake_seconds() == 10


@pytest.mark.parametrize(
    ("key", "value", "complaint"),
    [
        ("admin_secret", "arn:aws:s3:::bucket", "not the ARN of a secret"),
        ("database_secret", "two words", "neither the ARN nor the name"),
        ("database_ca", "/not/there.pem", "no such file"),
        ("iam_users", "carol", "is no mapping"),
        ("iam_users", "arn:aws:iam::*:role/x=carol", "with the account in full"),
        ("iam_users", "arn:aws:iam::123456789012:role/x=", "names no user"),
        ("iam_users", "arn:aws:sts::123456789012:assumed-role/x/y=carol", "is no mapping"),
        ("iam_header", "X-Upper", "lower case"),
        ("iam_header", "x-headgate-identity", "a header of its own"),
        ("iam_header", "authorization", "a header of its own"),
        ("iam_peers", "the balancer", "no address or network"),
        ("edge", "cloudfront", "http-api"),
    ],
)
def test_what_cannot_be_meant_is_refused_by_its_name(key: str, value: Any, complaint: str) -> None:
    with pytest.raises(SettingsError, match=complaint) as refused:
        load_settings({key: value})
    assert key in str(refused.value)


def test_principals_that_nobody_may_name_are_worth_a_warning() -> None:
    assert "iam_peers" in Settings(iam_users=[f"{ROLE}=carol"]).cautions()[0]


def test_a_session_of_a_role_is_the_role_whatever_the_session_is_called() -> None:
    session = "arn:aws:sts::123456789012:assumed-role/Team-Data/carol@example.com"
    assert principal_of(session) == ROLE
    assert parse_iam_user(f"{ROLE}=carol").matches(ROLE)


def test_a_roles_path_does_not_count_as_aws_does_not_say_it() -> None:
    mapping = parse_iam_user("arn:aws:iam::123456789012:role/service-role/Team-*=carol")
    assert mapping.matches(ROLE)
    assert mapping.username == "carol"


def test_a_users_path_counts() -> None:
    mapping = parse_iam_user("arn:aws:iam::123456789012:user/people/*=guest")
    assert mapping.matches("arn:aws:iam::123456789012:user/people/eve")
    assert not mapping.matches("arn:aws:iam::123456789012:user/robots/eve")
    assert not mapping.matches("arn:aws:iam::123456789012:user/people/old/eve")


def test_an_equals_sign_in_a_roles_name_belongs_to_the_name() -> None:
    mapping = parse_iam_user("arn:aws:iam::123456789012:role/a=b=carol")
    assert mapping.matches("arn:aws:iam::123456789012:role/a=b")


@pytest.mark.parametrize(
    "caller",
    [
        "",
        "-",
        "arn:aws:iam::123456789012:root",
        "arn:aws:iam::123456789012:role/Team-Data",
        "arn:aws:sts::123456789012:assumed-role/Team-Data",
        "arn:aws:sts::123456789012:assumed-role/Team-Data/a/b",
        "arn:aws:sts::123456789012:assumed-role//session",
        "arn:aws:iam::123456789012:assumed-role/Team-Data/session",
        "arn:aws:sts::123456789012:user/eve",
        "arn:aws:sts::12345678901:assumed-role/Team-Data/session",
        "arn:aws:sts::123456789012:assumed-role/Team-Data/session ",
        "arn:aws:sts::123456789012:assumed-role/Team-Data/session\n",
    ],
)
def test_what_is_no_callers_arn_is_nobody(caller: str) -> None:
    assert principal_of(caller) is None


@pytest.mark.parametrize(
    "other",
    [
        "arn:aws:iam::210987654321:role/Team-Data",
        "arn:aws-cn:iam::123456789012:role/Team-Data",
        "arn:aws:iam::123456789012:role/Team-Dat",
        "arn:aws:iam::123456789012:role/Team-Data2",
        "arn:aws:iam::123456789012:role/team-data",
        "arn:aws:iam::123456789012:user/Team-Data",
    ],
)
def test_a_pattern_fits_its_own_account_kind_and_name_alone(other: str) -> None:
    assert not parse_iam_user(f"{ROLE}=carol").matches(other)
