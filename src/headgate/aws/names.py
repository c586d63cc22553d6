"""What things on AWS are called: the stacks make them, the commands find them.

Names of the sample "MLflow on Fargate" are kept, since its users' notebooks and roles look
them up. Everything else is found by a stack's output, never by a guess.
"""

from __future__ import annotations

VPC_STACK = "MLflowVpcStack"
GATEWAY_STACK = "HttpGatewayStack"
STUDIO_STACK = "SageMakerStudioUserStack"
# In the order in which they are made; they are deleted in reverse.
STACKS = (VPC_STACK, GATEWAY_STACK, STUDIO_STACK)

ADMIN_SECRET = "mlflow-server-credentials"  # noqa: S105 - a name
STUDIO_USER = "mlflow-user"

# Headers in which the HTTP API tells the server, and nobody else can, who signed a request
# (the setting iam_header) and from which address it came (read by nginx).
IAM_HEADER = "x-iam-principal-arn"
CLIENT_ADDRESS_HEADER = "x-client-address"

# The images of a task, by the folder under `images/` that builds them.
TASK_IMAGES = ("nginx", "gateway", "mlflow")
SERVING_REPOSITORY = "mlflow-pyfunc"

# Outputs of MLflowVpcStack.
ALB_DNS_NAME = "AlbDnsName"
BUCKET = "ArtifactBucketName"
CREDENTIALS_SECRET_ARN = "CredentialsSecretArn"  # noqa: S105 - a name
DATABASE_CLUSTER = "DatabaseClusterIdentifier"
DATABASE_SECRET_ARN = "DatabaseSecretArn"  # noqa: S105 - a name
CLUSTER_NAME = "ClusterName"
SERVICE_NAME = "ServiceName"
LOG_GROUP = "LogGroupName"
DASHBOARD = "DashboardName"

# Output of HttpGatewayStack, whose every output is this address.
API_ENDPOINT = "MlflowApiEndpoint"

# Outputs of SageMakerStudioUserStack; the domain only where the stack made it or was given it.
STUDIO_DOMAIN = "StudioDomainId"
STUDIO_USER_PROFILE = "StudioUserProfileName"
EXECUTION_ROLE_ARN = "ExecutionRoleArn"


def bucket(account: str, region: str) -> str:
    """The artifact bucket, under the name that the sample gave it."""
    return f"mlflow-{account}-{region}"


def repository(image: str) -> str:
    """The ECR repository of one of the task's images."""
    return f"headgate/{image}"
