"""Secrets are fetched by name, once for all who ask, and never shown."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
import traceback
from concurrent.futures import ThreadPoolExecutor

import pytest

from headgate.errors import HeadgateError
from headgate.keys import installation_key, key_from_text
from headgate.secret_store import Secret, SecretError, SecretValue
from tests.harness.moto import Moto, credentials
from tests.harness.server import clean_environment

HUSH = "a-password-nobody-may-see"


class Vault:
    """Secrets that a test sets; counts how often they are fetched."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.fetches = 0

    def __call__(self, name: str) -> SecretValue:
        self.fetches += 1
        return SecretValue(version=str(self.fetches), text=self.text)


def test_a_secret_is_fetched_from_aws_by_its_arn(aws: Moto) -> None:
    arn = aws.make_secret("fetched", "admin", HUSH)
    found = Secret(arn).credentials()
    assert (found.username, found.password) == ("admin", HUSH)


def test_a_new_value_is_seen_when_it_is_asked_for(aws: Moto) -> None:
    arn = aws.make_secret("changed", "admin", "old")
    secret = Secret(arn)
    old = secret.value()
    aws.change_secret(arn, "admin", "new")
    assert secret.credentials().password == "old"
    new = secret.fetched_since(time.monotonic())
    assert new.version != old.version
    assert secret.credentials().password == "new"


def test_many_who_ask_at_once_share_one_fetch() -> None:
    vault = Vault(credentials("admin", HUSH))
    secret = Secret("shared", fetch=vault)
    together = threading.Barrier(16)

    def ask() -> None:
        moment = time.monotonic()
        together.wait(10)
        secret.fetched_since(moment)

    with ThreadPoolExecutor(16) as threads:
        for asked in [threads.submit(ask) for _ in range(16)]:
            asked.result(10)
    assert vault.fetches == 1


@pytest.mark.parametrize(
    "name", ["not-there", "arn:aws:secretsmanager:eu-central-1:123456789012:secret:no"]
)
def test_a_secret_that_is_not_there_is_named_in_a_sentence(aws: Moto, name: str) -> None:
    with pytest.raises(SecretError, match="ResourceNotFoundException") as missing:
        Secret(name).value()
    assert name in str(missing.value)


@pytest.mark.parametrize(
    "text", [HUSH, "[]", '{"username": "admin"}', '{"username": 1, "password": 2}']
)
def test_a_secret_without_credentials_is_refused_without_being_shown(text: str) -> None:
    with pytest.raises(SecretError) as refused:
        Secret("odd", fetch=Vault(text)).credentials()
    assert HUSH not in "".join(traceback.format_exception(refused.value))


def test_no_repr_holds_what_is_secret() -> None:
    secret = Secret("hushed", fetch=Vault(credentials("admin", HUSH)))
    said = [repr(secret), repr(secret.value()), repr(secret.credentials())]
    assert not any(HUSH in text for text in said)


def test_the_key_comes_from_a_secret_that_all_servers_share(aws: Moto, tmp_path: object) -> None:
    digits = "0123456789abcdef" * 4
    arn = aws.make_text_secret("the-key", digits)
    path = tmp_path / "secret.key"  # type: ignore[operator]  # a Path
    assert installation_key(path, arn) == bytes.fromhex(digits)
    assert not path.exists()


def test_any_long_text_makes_a_key_and_a_short_one_does_not() -> None:
    text = "x" * 32
    assert len(key_from_text(text, "k")) == 32
    assert key_from_text(text, "k") != key_from_text("y" * 32, "k")
    with pytest.raises(HeadgateError, match="too short"):
        key_from_text("x" * 31, "k")


def test_who_names_no_secret_never_loads_boto3() -> None:
    code = (
        "import sys, headgate.gateway.compose, headgate.upstream, headgate.mlflow_app.migrate;"
        "sys.exit('boto3' in sys.modules or 'botocore' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], env=clean_environment(), check=True, timeout=60)
