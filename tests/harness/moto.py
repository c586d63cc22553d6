"""AWS on this machine: moto's server as a process, for what our processes ask of AWS."""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.request
from types import TracebackType
from typing import Any, Self

import boto3
from botocore.config import Config

from tests.harness.waiting import eventually, free_port

REGION = "eu-central-1"


class Moto:
    """One moto server with a memory of its own; a context manager."""

    def __init__(self) -> None:
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Where every service of AWS is."""
        return f"http://127.0.0.1:{self.port}"

    def environment(self) -> dict[str, str]:
        """What a process needs so that this is its AWS."""
        return {
            "AWS_ENDPOINT_URL": self.url,
            "MLFLOW_S3_ENDPOINT_URL": self.url,
            "AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE",
            "AWS_SECRET_ACCESS_KEY": "an-example-of-a-key",
            "AWS_DEFAULT_REGION": REGION,
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(self.port)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            eventually(self._answers, seconds=60, why="moto does not answer")
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """End the process."""
        assert self._process is not None
        self._process.kill()
        self._process.wait(20)

    def client(self, service: str) -> Any:
        """A boto3 client."""
        environment = self.environment()
        return boto3.session.Session().client(
            service,
            endpoint_url=self.url,
            region_name=REGION,
            aws_access_key_id=environment["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=environment["AWS_SECRET_ACCESS_KEY"],
            config=Config(s3={"addressing_style": "path"}),
        )

    def make_secret(self, name: str, username: str, password: str) -> str:
        """A secret with a user's credentials; its ARN."""
        return self.make_text_secret(name, credentials(username, password))

    def make_text_secret(self, name: str, text: str) -> str:
        """A secret with any text; its ARN."""
        made = self.client("secretsmanager").create_secret(Name=name, SecretString=text)
        return str(made["ARN"])

    def change_secret(self, arn: str, username: str, password: str) -> None:
        """A new current value, as a rotation ends with."""
        self.client("secretsmanager").put_secret_value(
            SecretId=arn, SecretString=credentials(username, password)
        )

    def _answers(self) -> bool:
        with urllib.request.urlopen(f"{self.url}/moto-api/", timeout=2) as answer:
            return bool(answer.status == 200)


def credentials(username: str, password: str) -> str:
    """The JSON that such secrets hold."""
    return json.dumps({"username": username, "password": password})
