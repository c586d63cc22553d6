"""The `[aws]` table: where it is read, which source wins, what is refused and how that is said."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from headgate.errors import SettingsError
from headgate.settings import Settings, load_settings
from headgate.settings.aws import AWS_GROUPS, AwsSettings
from headgate.settings.aws_loading import load_aws_settings
from headgate.settings.aws_server import PASSED_ON, environment_of

SAMPLE = Path(__file__).parents[2] / "docs" / "headgate.toml"


@pytest.fixture(autouse=True)
def _nothing_of_this_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_REGION", "AWS_ACCOUNT", "DOMAIN_ID", "AWS_PROFILE", "HEADGATE_CONFIG"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "aws-config"))
    monkeypatch.chdir(tmp_path)


def faults(toml: str) -> str:
    Path("headgate.toml").write_text(f"[aws]\n{toml}\n")
    with pytest.raises(SettingsError) as caught:
        load_aws_settings()
    assert caught.value.exit_code == 2
    return str(caught.value)


def test_without_a_file_the_region_is_the_one_of_the_sample() -> None:
    settings = load_aws_settings()
    assert settings.region == "us-west-2"
    assert settings == AwsSettings()


def test_a_flag_wins_over_the_table_over_the_profile_over_the_variable(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    assert load_aws_settings().region == "eu-west-1"
    Path("aws-config").write_text(
        "[default]\nregion = eu-west-2\n[profile team]\nregion = eu-west-3\n"
    )
    assert load_aws_settings().region == "eu-west-2"
    assert load_aws_settings({"profile": "team"}).region == "eu-west-3"
    monkeypatch.setenv("AWS_PROFILE", "team")
    assert load_aws_settings().region == "eu-west-3"
    Path("headgate.toml").write_text('[aws]\nregion = "eu-north-1"\n')
    assert load_aws_settings().region == "eu-north-1"
    assert load_aws_settings({"region": "eu-south-1"}).region == "eu-south-1"
    assert load_aws_settings({"region": None}).region == "eu-north-1"


def test_account_and_domain_come_from_the_variables_of_the_sample(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AWS_ACCOUNT", "123456789012")
    monkeypatch.setenv("DOMAIN_ID", "d-abc")
    settings = load_aws_settings()
    assert (settings.account, settings.studio_domain_id) == ("123456789012", "d-abc")


def test_the_file_can_be_named(tmp_path: Path) -> None:
    (tmp_path / "other.toml").write_text("[aws]\nmin_tasks = 3\n")
    assert load_aws_settings(config=tmp_path / "other.toml").min_tasks == 3


def test_the_table_does_not_concern_a_server_of_this_machine() -> None:
    Path("headgate.toml").write_text('port = 5001\n[aws]\nengine = "postgresql"\n')
    assert load_settings().port == 5001
    assert load_aws_settings().engine == "postgresql"


def test_unknown_keys_are_refused_by_name_and_with_a_guess() -> None:
    assert faults("memry = 4096") == (
        "aws.memry: no such setting (read from headgate.toml). Did you mean memory?"
    )


def test_all_faults_are_told_together() -> None:
    text = faults('engine = "oracle"\nmemry = 1\ncpu = 3')
    assert text.startswith("3 settings cannot be used:\n")
    for key in ("aws.engine", "aws.memry", "aws.cpu"):
        assert key in text


def test_a_table_written_as_a_value_is_refused() -> None:
    Path("headgate.toml").write_text("aws = 3\n")
    with pytest.raises(SettingsError, match=r"aws is a table: write \[aws\]"):
        load_aws_settings()


@pytest.mark.parametrize(
    ("toml", "said"),
    [
        ('region = "Oregon"', "this is no region, such as us-west-2"),
        ("account = 12", "aws.account: 12 cannot be used"),
        ('vpc_cidr = "10.0.0.0/24"', "use a /16 to a /22"),
        ('vpc_cidr = "10.0.0.1/16"', "this is no network"),
        ("cpu = 1000", "use one of 512, 1024, 2048"),
        ("memory = 9000", "with cpu = 1024 use 2048 to 8192 in steps of 1024"),
        ("cpu = 2048\nmemory = 2048", "with cpu = 2048 use 4096 to 16384"),
        ("min_tasks = 7", "min_tasks is 7, which is more"),
        ("min_capacity = 8", "min_capacity is 8, which is more"),
        ("min_capacity = 0.3", "multiple of 0.5"),
        ("pause_seconds = 60", "greater than or equal to 300"),
        ('edge = "alb"', "set domain_name"),
        ('domain_name = "mlflow.example.com"', "needs a certificate_arn, or the zone"),
        ('hosted_zone_id = "Z123"', "name in domain_name what this zone"),
        ('authorizer = "iam"', "say here who is which user of MLflow"),
        (
            'edge = "alb"\ndomain_name = "a.example.com"\nhosted_zone_id = "Z1"\n'
            'authorizer = "iam"\niam_users = ["arn:aws:iam::123456789012:role/A=b"]',
            "use edge = http-api",
        ),
        ('iam_users = ["carol"]', "is no mapping"),
        ('allowed_networks = ["everybody"]', "no address or network"),
        ("log_days = 31", "use one of 1, 3, 5"),
        ('alarm_email = "team"', "no e-mail address"),
        ('server = { default_permision = "READ" }', "Did you mean default_permission?"),
        ('server = { default_permission = "ALL" }', "default_permission: input should be"),
        ("server = { port = 80 }", "port is not for choice here: the stacks decide it"),
        ('server = { admin_password = "a-good-password" }', "admin_password is not for choice"),
    ],
)
def test_what_cannot_work_is_refused_with_what_may_be_written(toml: str, said: str) -> None:
    assert said in faults(toml)


def test_settings_of_the_server_become_variables_of_its_tasks() -> None:
    settings = AwsSettings(
        server={"allow_jobs": True, "allowed_origins": ["https://a.example", "https://b.example"]}
    )
    assert environment_of(settings.server) == {
        "HEADGATE_ALLOW_JOBS": "true",
        "HEADGATE_ALLOWED_ORIGINS": "https://a.example,https://b.example",
    }


def test_what_is_passed_on_to_the_server_is_known_there_and_no_secret() -> None:
    assert set(Settings.model_fields) >= PASSED_ON
    assert not [key for key in PASSED_ON if "secret" in key or "password" in key or "uri" in key]


def test_no_two_groups_share_a_key() -> None:
    keys = [key for group in AWS_GROUPS.values() for key in group.model_fields]
    assert len(keys) == len(set(keys))
    assert set(keys) == set(AwsSettings.model_fields)


def test_the_sample_file_is_taken_with_every_default_uncommented() -> None:
    text = SAMPLE.read_text(encoding="utf-8").partition("#[aws]")[2]
    table = tomllib.loads(re.sub(r"^#(?=[a-z_]+ = )", "", text, flags=re.MULTILINE))
    defaults = AwsSettings.model_validate({}).model_dump()
    assert set(table) == set(defaults)
    chosen = {key: value for key, value in table.items() if defaults[key] not in (None, [], {})}
    assert AwsSettings(**chosen) == AwsSettings()
