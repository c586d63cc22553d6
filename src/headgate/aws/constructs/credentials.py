"""The secrets that Headgate makes; the database makes one more itself. Start at `Credentials`."""

from __future__ import annotations

import json

from aws_cdk import aws_iam as iam
from aws_cdk import aws_secretsmanager as secrets
from constructs import Construct

from headgate.aws.constructs.acknowledging import acknowledge
from headgate.aws.names import ADMIN_SECRET

DATABASE_USER = "headgate"
_DATABASE_USER_SECRET = "mlflow-database-user"  # noqa: S105 - a name
_KEY_SECRET = "mlflow-server-key"  # noqa: S105 - a name


class Credentials(Construct):
    """The admin's password, the database user's, and the key that signs sessions.

    Secrets Manager makes each value when the stack is made; no template holds one.
    """

    def __init__(self, scope: Construct, id_: str) -> None:
        super().__init__(scope, id_)
        self.admin = self._pair(
            "Admin", ADMIN_SECRET, "admin", "Who signs in to MLflow first: username and password"
        )
        self.database_user = self._pair(
            "DatabaseUser",
            _DATABASE_USER_SECRET,
            DATABASE_USER,
            "As whom MLflow's server uses the database; `headgate migrate` makes the user",
        )
        self.key = secrets.Secret(
            self,
            "Key",
            secret_name=_KEY_SECRET,
            description="Signs the sessions of MLflow's users; a new key signs everybody out",
            generate_secret_string=secrets.SecretStringGenerator(
                exclude_punctuation=True, password_length=64
            ),
        )
        self._acknowledge()

    def _pair(self, id_: str, name: str, username: str, description: str) -> secrets.Secret:
        return secrets.Secret(
            self,
            id_,
            secret_name=name,
            description=description,
            generate_secret_string=secrets.SecretStringGenerator(
                secret_string_template=json.dumps({"username": username}),
                generate_string_key="password",
                exclude_punctuation=True,
                password_length=32,
            ),
        )

    def _acknowledge(self) -> None:
        acknowledge(
            self.admin,
            "SMG4",
            "`headgate aws rotate` gives a new password when somebody wants one: people and "
            "notebooks hold it, so it must not change by itself.",
        )
        acknowledge(
            self.database_user,
            "SMG4",
            "It opens a database that only the service's group reaches. RDS rotates the master's "
            "secret, with which `headgate migrate` sets whatever password stands here.",
        )
        acknowledge(
            self.key,
            "SMG4",
            "A key, not a password: a new one would sign everybody out.",
        )


def grant_reading(role: iam.IRole, sid: str, *found: secrets.ISecret) -> None:
    """Let a role read the current value of these secrets, and nothing else of them."""
    role.add_to_principal_policy(
        iam.PolicyStatement(
            sid=sid,
            actions=["secretsmanager:GetSecretValue"],
            resources=[secret.secret_arn for secret in found],
        )
    )
