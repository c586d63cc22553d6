"""What AWS or the network answers badly becomes one sentence and the command that mends it."""

from __future__ import annotations

from pathlib import Path

import pytest
from botocore import exceptions
from botocore.exceptions import ClientError

from headgate.aws.session import Aws, AwsError, explained
from tests.aws.operations.conftest import Run
from tests.harness.aws_account import REGION


def answered(code: str, message: str = "some words") -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": message}}, "DescribeStacks")


@pytest.mark.parametrize(
    ("raised", "sentence", "mend"),
    [
        (exceptions.NoCredentialsError(), "No AWS credentials were found.", "aws configure"),
        (answered("ExpiredToken"), "The AWS credentials have expired.", "aws sso login"),
        (answered("InvalidClientTokenId"), "AWS does not know these credentials", "aws configure"),
        (answered("SignatureDoesNotMatch"), "the secret key is wrong", "aws configure"),
        (
            answered("AccessDenied", "User x is not authorized"),
            "AWS does not allow DescribeStacks: User x is not authorized.",
            "aws sts get-caller-identity",
        ),
        (
            exceptions.EndpointConnectionError(endpoint_url="https://x"),
            "AWS does not answer in us-west-2",
            "aws ec2 describe-regions",
        ),
        (exceptions.ProfileNotFound(profile="work"), "There is no AWS profile", "list-profiles"),
        (
            exceptions.UnauthorizedSSOTokenError(),
            "The sign-in to AWS has expired.",
            "aws sso login",
        ),
    ],
)
def test_each_fault_has_a_sentence_and_a_mend(
    nothing_of_this_machine: Path, raised: Exception, sentence: str, mend: str
) -> None:
    with pytest.raises(AwsError) as error, explained(Aws(REGION)):
        raise raised
    assert sentence in str(error.value)
    assert mend in str(error.value.hint)


def test_any_other_answer_is_told_with_its_code(nothing_of_this_machine: Path) -> None:
    sentence = r"AWS refused DescribeStacks: some words \(Throttling\)\."
    with pytest.raises(AwsError, match=sentence), explained(Aws(REGION)):
        raise answered("Throttling")


def test_the_profile_is_named_in_the_mend(nothing_of_this_machine: Path) -> None:
    with pytest.raises(AwsError) as error, explained(Aws(REGION, "work")):
        raise answered("ExpiredToken")
    assert "aws sso login --profile work" in str(error.value.hint)


def test_a_command_without_credentials_ends_with_that_sentence(
    nothing_of_this_machine: Path, run: Run
) -> None:
    result = run("aws", "status")
    assert result.code == 1
    assert result.err.startswith("error: No AWS credentials were found.\n\naws configure")


def test_a_profile_that_does_not_exist_is_named(nothing_of_this_machine: Path, run: Run) -> None:
    result = run("aws", "status", "--profile", "work")
    assert result.code == 1
    assert "There is no AWS profile 'work'." in result.err


def test_a_stack_of_another_name_is_refused(nothing_of_this_machine: Path, run: Run) -> None:
    result = run("aws", "diff", "--stack", "MlflowStack")
    assert result.code == 1
    assert "MlflowStack is none of our stacks." in result.err
    assert "MLflowVpcStack, HttpGatewayStack, SageMakerStudioUserStack" in result.err


def test_another_program_gets_the_same_region_and_profile() -> None:
    assert Aws("eu-west-1", "work").environment() == {
        "AWS_REGION": "eu-west-1",
        "AWS_DEFAULT_REGION": "eu-west-1",
        "AWS_PROFILE": "work",
    }
