"""The task: its four containers, their order, users, volumes, commands and environments."""

from __future__ import annotations

from typing import Any

import pytest

from headgate.aws.handover import Handover
from headgate.settings import Settings
from tests.aws.stacks.templates import DIGEST, IMAGES, Templates, synthesize

SERVERS = ("gatewayContainer", "mlflowContainer", "migrateContainer")
STAYING = ("nginxContainer", "gatewayContainer", "mlflowContainer")


def containers(templates: Templates) -> dict[str, dict[str, Any]]:
    return {
        each["Name"]: each
        for each in templates.only("AWS::ECS::TaskDefinition")["ContainerDefinitions"]
    }


def environment(container: dict[str, Any]) -> dict[str, str]:
    return {each["Name"]: each["Value"] for each in container.get("Environment", [])}


@pytest.fixture
def found(default: Templates) -> dict[str, dict[str, Any]]:
    return containers(default)


def test_a_task_is_one_processor_and_four_gibibytes_of_arm(default: Templates) -> None:
    task = default.only("AWS::ECS::TaskDefinition")
    assert (task["Family"], task["Cpu"], task["Memory"]) == ("mlFlowStack", "1024", "4096")
    assert task["RuntimePlatform"]["CpuArchitecture"] == "ARM64"
    assert task["NetworkMode"] == "awsvpc"
    assert "EphemeralStorage" not in task


def test_size_disk_and_architecture_are_settings() -> None:
    task = synthesize(cpu=2048, memory=8192, disk_gib=50, architecture="x86_64").only(
        "AWS::ECS::TaskDefinition"
    )
    assert (task["Cpu"], task["Memory"]) == ("2048", "8192")
    assert task["EphemeralStorage"] == {"SizeInGiB": 50}
    assert task["RuntimePlatform"]["CpuArchitecture"] == "X86_64"


def test_containers_share_what_the_task_has_and_no_more(default: Templates) -> None:
    task = default.only("AWS::ECS::TaskDefinition")
    each = task["ContainerDefinitions"]
    assert sum(one["MemoryReservation"] for one in each) <= int(task["Memory"])
    assert sum(one["Cpu"] for one in each) <= int(task["Cpu"])


def test_every_container_has_its_image_by_digest(found: dict[str, dict[str, Any]]) -> None:
    registry = "<AWS::AccountId>.dkr.ecr.<AWS::Region>.<AWS::URLSuffix>"
    assert {name: each["Image"] for name, each in found.items()} == {
        "nginxContainer": f"{registry}/headgate/nginx@{DIGEST}",
        "gatewayContainer": f"{registry}/headgate/gateway@{DIGEST}",
        "mlflowContainer": f"{registry}/headgate/mlflow@{DIGEST}",
        "migrateContainer": f"{registry}/headgate/mlflow@{DIGEST}",
    }


def test_migrate_comes_first_and_the_others_only_after_its_success(
    found: dict[str, dict[str, Any]],
) -> None:
    assert "DependsOn" not in found["migrateContainer"]
    assert found["migrateContainer"]["Essential"] is False
    for name in STAYING:
        needed = {each["ContainerName"]: each["Condition"] for each in found[name]["DependsOn"]}
        assert needed["migrateContainer"] == "SUCCESS"
        assert found[name]["Essential"] is True


def test_nginx_starts_last_and_so_stops_first(found: dict[str, dict[str, Any]]) -> None:
    def needs(name: str) -> set[str]:
        return {each["ContainerName"] for each in found[name].get("DependsOn", [])}

    assert needs("nginxContainer") == {"migrateContainer", "mlflowContainer", "gatewayContainer"}
    assert needs("gatewayContainer") == {"migrateContainer", "mlflowContainer"}
    assert needs("mlflowContainer") == {"migrateContainer"}


def test_nothing_kills_a_migration_that_takes_long(found: dict[str, dict[str, Any]]) -> None:
    assert "StartTimeout" not in found["migrateContainer"]
    assert found["migrateContainer"]["StopTimeout"] == 120


def test_each_has_the_time_to_drain_before_it_is_killed(found: dict[str, dict[str, Any]]) -> None:
    drain = float(environment(found["gatewayContainer"])["HEADGATE_DRAIN_SECONDS"])
    assert found["gatewayContainer"]["StopTimeout"] > drain
    # What an HTTP API waits for may still come in while nginx is asked to stop.
    assert found["nginxContainer"]["StopTimeout"] > 30
    stopping = [found[name]["StopTimeout"] for name in STAYING]
    assert all(seconds <= 120 for seconds in stopping)


def test_every_container_that_stays_has_a_health_check(found: dict[str, dict[str, Any]]) -> None:
    for name in STAYING:
        check = found[name]["HealthCheck"]
        assert check["Command"][0] == "CMD"  # never a shell
        assert check["Timeout"] <= check["Interval"]
        assert check["StartPeriod"] <= 300
    assert "HealthCheck" not in found["migrateContainer"]


def test_no_health_check_touches_the_database(found: dict[str, dict[str, Any]]) -> None:
    assert found["mlflowContainer"]["HealthCheck"]["Command"][-2:] == [
        "unix:/run/headgate/mlflow.sock",
        "/health",
    ]
    assert found["gatewayContainer"]["HealthCheck"]["Command"][-2:] == [
        "http://127.0.0.1:5000",
        "/health",
    ]


def test_no_container_is_root_or_can_write_its_root_file_system(
    found: dict[str, dict[str, Any]],
) -> None:
    for each in found.values():
        assert each["User"].split(":")[0] not in ("0", "root")
        assert each["ReadonlyRootFilesystem"] is True
        assert each["Privileged"] is False
        assert each["LinuxParameters"]["Capabilities"] == {"Drop": ["ALL"]}


def test_the_server_is_one_user_and_nginx_another(found: dict[str, dict[str, Any]]) -> None:
    users = {found[name]["User"] for name in SERVERS}
    assert len(users) == 1
    assert found["nginxContainer"]["User"] not in users


def test_what_can_be_written_is_a_volume(default: Templates) -> None:
    task = default.only("AWS::ECS::TaskDefinition")
    mounts = {
        name: {point["ContainerPath"]: point["SourceVolume"] for point in each["MountPoints"]}
        for name, each in containers(default).items()
    }
    assert mounts["gatewayContainer"]["/run/headgate"] == "run"
    assert mounts["mlflowContainer"]["/run/headgate"] == "run"
    assert "/run/headgate" not in mounts["nginxContainer"]
    temporary = [points["/tmp"] for points in mounts.values()]
    assert len(set(temporary)) == len(temporary)  # nobody sees another's
    used = {volume for points in mounts.values() for volume in points.values()}
    # Task-scoped: no host path, no file system.
    assert task["Volumes"] == [{"Name": each["Name"]} for each in task["Volumes"]]
    assert {each["Name"] for each in task["Volumes"]} == used


def test_only_nginx_has_a_port(found: dict[str, dict[str, Any]]) -> None:
    ports = {name: each.get("PortMappings", []) for name, each in found.items()}
    assert ports.pop("nginxContainer") == [{"ContainerPort": 8443, "Protocol": "tcp"}]
    assert not any(ports.values())


def test_commands_meet_at_the_socket(found: dict[str, dict[str, Any]]) -> None:
    socket = "unix:/run/headgate/mlflow.sock"
    assert {name: each.get("Command") for name, each in found.items()} == {
        "nginxContainer": None,
        "gatewayContainer": ["headgate", "serve", "--upstream", socket],
        "mlflowContainer": ["headgate", "mlflow", "--listen", socket],
        "migrateContainer": ["headgate", "migrate", "--yes"],
    }


def test_in_maintenance_any_migration_may_run(default: Templates) -> None:
    handover = Handover(images=IMAGES, maintenance=True)
    found = containers(synthesize(handover))
    assert found["migrateContainer"]["Command"] == ["headgate", "migrate", "--yes", "--maintenance"]
    for name in STAYING:
        assert found[name] == containers(default)[name]


def test_logs_have_a_prefix_per_container(default: Templates) -> None:
    prefixes = {}
    for name, each in containers(default).items():
        options = each["LogConfiguration"]["Options"]
        assert options["awslogs-group"] == "<Logs>"
        assert options["mode"] == "non-blocking"
        prefixes[name] = options["awslogs-stream-prefix"]
    assert prefixes == {
        f"{name}Container": f"mlflowService-{name}"
        for name in ("nginx", "gateway", "mlflow", "migrate")
    }
    groups = default.of_type("AWS::Logs::LogGroup")
    assert groups["Logs"]["LogGroupName"] == "/ecs/mlflowService"
    assert {group["RetentionInDays"] for group in groups.values()} == {30}


def test_variables_are_settings_that_the_server_knows(everything: Templates) -> None:
    known = {f"HEADGATE_{key.upper()}" for key in Settings.model_fields}
    for name in SERVERS:
        ours = {key for key in environment(containers(everything)[name]) if "HEADGATE_" in key}
        assert ours <= known


def test_what_the_server_is_told(found: dict[str, dict[str, Any]]) -> None:
    told = environment(found["gatewayContainer"])
    assert told == environment(found["mlflowContainer"])
    assert told["HEADGATE_BACKEND_STORE_URI"] == (
        "mysql://<BackendStore/mlflowService-cluster.Endpoint.Address>:3306/mlflowdb"
    )
    assert told["HEADGATE_ARTIFACTS_DESTINATION"] == "s3://<ArtifactStore/Bucket>/artifacts"
    assert told["HEADGATE_ADMIN_SECRET"] == "<Credentials/Admin>"
    assert told["HEADGATE_SECRET_KEY_SECRET"] == "<Credentials/Key>"
    assert told["HEADGATE_DATABASE_USER_SECRET"] == "<Credentials/DatabaseUser>"
    assert told["HEADGATE_EDGE"] == "http-api"
    assert told["HEADGATE_TRUSTED_PROXIES"] == "127.0.0.1"
    assert told["HEADGATE_ALLOWED_HOSTS"] == "*.execute-api.us-west-2.<AWS::URLSuffix>"
    assert told["AWS_DEFAULT_REGION"] == "us-west-2"
    assert told["MLFLOW_BOTO_CLIENT_ADDRESSING_STYLE"] == "virtual"
    assert told["MLFLOW_SQLALCHEMYSTORE_POOLCLASS"] == "NullPool"
    # API Gateway passes no more than 10 MB, and waits no longer than 30 s.
    assert 0 < int(told["HEADGATE_PRESIGNED_BYTES"]) < 10_000_000
    assert float(told["HEADGATE_UPSTREAM_WAIT_SECONDS"]) < 30


def test_only_migrate_hears_of_the_masters_secret(found: dict[str, dict[str, Any]]) -> None:
    holders = [name for name in found if "HEADGATE_DATABASE_SECRET" in environment(found[name])]
    assert holders == ["migrateContainer"]
    assert set(environment(found["nginxContainer"])) == {"HEADGATE_EDGE"}


def test_settings_of_the_server_are_passed_on(everything: Templates) -> None:
    told = environment(containers(everything)["mlflowContainer"])
    assert told["HEADGATE_ALLOW_JOBS"] == "true"
    assert told["HEADGATE_ALLOWED_HOSTS"] == "mlflow.example.com"
    assert told["HEADGATE_IAM_USERS"] == "arn:aws:iam::123456789012:role/Team-*=carol"


def test_iam_users_let_nobody_in_where_no_signature_is_checked() -> None:
    users = ["arn:aws:iam::123456789012:role/Team-*=carol"]
    told = environment(containers(synthesize(iam_users=users))["gatewayContainer"])
    assert "HEADGATE_IAM_USERS" not in told
