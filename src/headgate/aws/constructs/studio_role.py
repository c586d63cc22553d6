"""What Studio's user, and the jobs and endpoints of the lab, may do. Start at `StudioRole`."""

from __future__ import annotations

from typing import Any

from aws_cdk import Aws, Stack
from aws_cdk import aws_iam as iam
from constructs import Construct

from headgate.aws.constructs.acknowledging import acknowledge, acknowledge_wildcards
from headgate.aws.constructs.edge import API_PATHS
from headgate.aws.names import GATEWAY_STACK, SERVING_REPOSITORY, STUDIO_USER

_JOBS = (
    "CreateTrainingJob",
    "DescribeTrainingJob",
    "StopTrainingJob",
    "CreateHyperParameterTuningJob",
    "DescribeHyperParameterTuningJob",
    "ListTrainingJobsForHyperParameterTuningJob",
    "StopHyperParameterTuningJob",
)
_ENDPOINTS = (
    "CreateModel",
    "DescribeModel",
    "DeleteModel",
    "CreateEndpointConfig",
    "DescribeEndpointConfig",
    "DeleteEndpointConfig",
    "CreateEndpoint",
    "DescribeEndpoint",
    "UpdateEndpoint",
    "DeleteEndpoint",
    "InvokeEndpoint",
)
_EXPERIMENTS = (
    *(f"{verb}Experiment" for verb in ("Create", "Describe", "Update", "Delete")),
    *(f"{verb}Trial" for verb in ("Create", "Describe", "Update", "Delete")),
    *(f"{verb}TrialComponent" for verb in ("Create", "Describe", "Update", "Delete")),
    "AssociateTrialComponent",
    "DisassociateTrialComponent",
    "BatchPutMetrics",
)
_STUDIO = (
    "DescribeDomain",
    "DescribeUserProfile",
    "CreatePresignedDomainUrl",
    *(f"{verb}Space" for verb in ("Create", "Describe", "Update", "Delete")),
    *(f"{verb}App" for verb in ("Create", "Describe", "Delete")),
)
_TAGS = ("AddTags", "ListTags")
# SageMaker's list and search calls know no resources.
_LISTS = (
    "ListApps",
    "ListDomains",
    "ListEndpointConfigs",
    "ListEndpoints",
    "ListExperiments",
    "ListHyperParameterTuningJobs",
    "ListModels",
    "ListSpaces",
    "ListTrainingJobs",
    "ListTrialComponents",
    "ListTrials",
    "ListUserProfiles",
    "Search",
)
# What each kind of resource is called in an ARN.
_KINDS = (
    "app",
    "domain",
    "endpoint",
    "endpoint-config",
    "experiment",
    "experiment-trial",
    "experiment-trial-component",
    "hyper-parameter-tuning-job",
    "model",
    "space",
    "training-job",
)


class StudioRole(Construct):
    """The role `sagemaker-execution-role`: find the server, sign in, run the lab's jobs.

    Only SageMaker assumes it, and it passes itself on to nobody but SageMaker. With
    `full_access` it also is what AWS calls AmazonSageMakerFullAccess. `api` lets it sign calls
    of an HTTP API that asks for IAM.
    """

    def __init__(
        self,
        scope: Construct,
        id_: str,
        *,
        credentials_arn: str,
        bucket: str,
        full_access: bool,
        api: bool,
    ) -> None:
        super().__init__(scope, id_)
        self._region, self._partition = Stack.of(self).region, Aws.PARTITION
        self.role = iam.Role(
            self,
            "sagemaker-execution-role",
            description="SageMaker Studio's mlflow-user, and the jobs and endpoints of the lab",
            assumed_by=iam.ServicePrincipal(
                "sagemaker.amazonaws.com",
                conditions={"StringEquals": {"aws:SourceAccount": Aws.ACCOUNT_ID}},
            ),
        )
        self._let_find_the_server(credentials_arn, api=api)
        self._let_use_buckets(bucket)
        self._let_use_sagemaker()
        self._let_fetch_images()
        self._let_write_logs()
        if full_access:
            self.role.add_managed_policy(
                iam.ManagedPolicy.from_aws_managed_policy_name("AmazonSageMakerFullAccess")
            )
            acknowledge(
                self.role,
                "IAM4[Policy::arn:<AWS::Partition>:iam::aws:policy/AmazonSageMakerFullAccess]",
                "The setting sagemaker_full_access asks for it.",
            )

    def _let_find_the_server(self, credentials_arn: str, *, api: bool) -> None:
        self._allow(
            "FindServer",
            ["cloudformation:DescribeStacks"],
            [self._arn("cloudformation", f"stack/{GATEWAY_STACK}/*")],
            "A stack's ARN ends with an id of its own.",
        )
        self._allow("ReadCredentials", ["secretsmanager:GetSecretValue"], [credentials_arn])
        if api:
            paths = (path.replace("{proxy+}", "*") for path in API_PATHS)
            self._allow(
                "CallApi",
                ["execute-api:Invoke"],
                [self._arn("execute-api", f"*/$default/*{path}") for path in paths],
                "Paths of MLflow alone, of any HTTP API that has them: the id of ours is no output "
                "of its stack, where every output is the address.",
            )

    def _let_use_buckets(self, bucket: str) -> None:
        account = Aws.ACCOUNT_ID
        working = [
            self._bucket(f"sagemaker-{self._region}-{account}"),
            self._bucket(f"mlflow-sagemaker-{self._region}-{account}"),
        ]
        # The SageMaker SDK's default bucket and MLflow's deployer's: both make theirs.
        self._allow("MakeWorkingBuckets", ["s3:CreateBucket"], working)
        buckets = [self._bucket(bucket), *working]
        self._allow("ListBuckets", ["s3:GetBucketLocation", "s3:ListBucket"], buckets)
        self._allow(
            "ReadAndWriteObjects",
            ["s3:AbortMultipartUpload", "s3:DeleteObject", "s3:GetObject", "s3:PutObject"],
            [f"{each}/*" for each in buckets],
            "Any object of three buckets: artifacts, and what the SDK and MLflow's deployer keep.",
        )

    def _let_use_sagemaker(self) -> None:
        actions = (*_JOBS, *_ENDPOINTS, *_EXPERIMENTS, *_STUDIO, *_TAGS)
        self._allow(
            "UseSageMaker",
            [f"sagemaker:{action}" for action in actions],
            [
                *(self._arn("sagemaker", f"{kind}/*") for kind in _KINDS),
                self._arn("sagemaker", f"user-profile/*/{STUDIO_USER}"),
            ],
            "People name their jobs, models, endpoints and apps as they like.",
        )
        self._allow(
            "ListSageMaker",
            [f"sagemaker:{action}" for action in _LISTS],
            ["*"],
            "SageMaker's lists and its search, ECR's sign-in and CloudWatch's metrics know no "
            "resources; metrics are held to one namespace.",
        )
        # The SDK asks for the ARN of the role that it runs with.
        self._allow("KnowItself", ["iam:GetRole"], [self.role.role_arn])
        self._allow(
            "PassItselfToSageMaker",
            ["iam:PassRole"],
            [self.role.role_arn],
            conditions={"StringEquals": {"iam:PassedToService": "sagemaker.amazonaws.com"}},
        )

    def _let_fetch_images(self) -> None:
        serving = self._arn("ecr", f"repository/{SERVING_REPOSITORY}")
        self._allow("SignInToRegistry", ["ecr:GetAuthorizationToken"], ["*"])
        self._allow("FindServingImage", ["ecr:DescribeImages"], [serving])
        self._allow(
            "FetchImages",
            [
                "ecr:BatchCheckLayerAvailability",
                "ecr:BatchGetImage",
                "ecr:GetDownloadUrlForLayer",
            ],
            [serving, f"arn:{self._partition}:ecr:{self._region}:*:repository/sagemaker-*"],
            "SageMaker's own images are in accounts of AWS, another in each region.",
        )

    def _let_write_logs(self) -> None:
        self._allow(
            "WriteAndReadJobLogs",
            [
                "logs:CreateLogGroup",
                "logs:CreateLogStream",
                "logs:DescribeLogStreams",
                "logs:GetLogEvents",
                "logs:PutLogEvents",
            ],
            [self._arn("logs", "log-group:/aws/sagemaker/*")],
            "SageMaker names log groups by kind of job, streams by job.",
        )
        self._allow(
            "CountJobMetrics",
            ["cloudwatch:PutMetricData"],
            ["*"],
            conditions={"StringLike": {"cloudwatch:namespace": "/aws/sagemaker/*"}},
        )

    def _allow(
        self,
        sid: str,
        actions: list[str],
        resources: list[str],
        wildcard_reason: str | None = None,
        conditions: dict[str, Any] | None = None,
    ) -> None:
        self.role.add_to_policy(
            iam.PolicyStatement(
                sid=sid, actions=actions, resources=resources, conditions=conditions
            )
        )
        if wildcard_reason is not None:
            acknowledge_wildcards(self.role, resources, wildcard_reason)

    def _arn(self, service: str, resource: str) -> str:
        return f"arn:{self._partition}:{service}:{self._region}:{Aws.ACCOUNT_ID}:{resource}"

    def _bucket(self, name: str) -> str:
        return f"arn:{self._partition}:s3:::{name}"
