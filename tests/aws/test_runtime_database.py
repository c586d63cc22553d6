"""Signing in to a database in AWS: with passwords that rotate, over TLS that is verified."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest
import sqlalchemy
from sqlalchemy import text

from headgate.database.access import Access
from headgate.database.engine import connected, make_engine
from headgate.database.uris import normal_uri
from headgate.errors import DatabaseError
from headgate.secret_store import Secret, SecretValue
from tests.harness.certificates import Certificate, make_certificate
from tests.harness.databases import PASSWORD, DatabaseServer
from tests.harness.moto import Moto, credentials
from tests.harness.server import clean_environment
from tests.harness.task import without_user

MASTER = credentials("headgate", PASSWORD)


class Vault:
    """A secret as a test wants it; `then` is what it becomes after so many fetches."""

    def __init__(self, text: str, *, then: str | None = None, after: int = 10**9) -> None:
        self._text = text
        self._then = then or text
        self._after = after
        self.fetches = 0

    def __call__(self, name: str) -> SecretValue:
        self.fetches += 1
        return SecretValue(
            str(self.fetches), self._then if self.fetches > self._after else self._text
        )


def access(vault: Vault, ca: Path | None = None, **wishes: float) -> Access:
    """Quick, as tests want it."""
    patience = {"rotation_seconds": 5.0, "pause": 0.05} | wishes
    return Access(secret=Secret("database", fetch=vault), ca=ca, **patience)  # type: ignore[arg-type]  # seconds


@contextmanager
def engine(uri: str, how: Access) -> Iterator[sqlalchemy.Engine]:
    made = make_engine(uri, access=how)
    try:
        yield made
    finally:
        made.dispose()


def whoami(made: sqlalchemy.Engine) -> str:
    with made.connect() as connection:
        return str(connection.scalar(text("SELECT current_user")))


def test_a_uri_without_a_user_signs_in_as_the_secret_says(
    aurora: DatabaseServer, certificate: Certificate
) -> None:
    uri = without_user(aurora.new_database())
    assert PASSWORD not in uri
    with engine(uri, access(Vault(MASTER), certificate.authority)) as made:
        assert whoami(made).startswith("headgate")


def test_a_password_in_the_uri_counts_before_any_secret(aurora: DatabaseServer) -> None:
    vault = Vault(credentials("nobody", "wrong"))
    with engine(aurora.new_database(), access(vault)) as made:
        assert whoami(made).startswith("headgate")
    assert vault.fetches == 0


def test_a_server_that_the_certificates_do_not_vouch_for_gets_no_password(
    aurora: DatabaseServer, tmp_path: Path
) -> None:
    foreign = make_certificate(tmp_path)
    uri = without_user(aurora.new_database())
    with (
        pytest.raises(DatabaseError, match=r"certificate verify failed|cannot be reached"),
        connected(uri, access=access(Vault(MASTER), foreign.authority)),
    ):
        pass


def test_a_certificate_for_another_host_is_refused(
    aurora: DatabaseServer, certificate: Certificate
) -> None:
    uri = without_user(aurora.new_database()).replace("127.0.0.1", "localhost")
    with (
        pytest.raises(DatabaseError),
        connected(uri, access=access(Vault(MASTER), certificate.authority)),
    ):
        pass


def test_the_old_password_in_the_secret_is_only_a_matter_of_time(
    aurora: DatabaseServer,
) -> None:
    vault = Vault(credentials("headgate", "the old one"), then=MASTER, after=3)
    with engine(without_user(aurora.new_database()), access(vault)) as made:
        assert whoami(made).startswith("headgate")
    assert vault.fetches == 4


def test_a_wrong_password_is_an_error_once_a_rotation_would_be_over(
    aurora: DatabaseServer,
) -> None:
    vault = Vault(credentials("headgate", "wrong for ever"))
    how = access(vault, rotation_seconds=0.3)
    with (
        pytest.raises(DatabaseError, match="refuses this user or password") as refused,
        connected(without_user(aurora.new_database()), access=how),
    ):
        pass
    assert vault.fetches > 2
    assert "wrong for ever" not in str(refused.value)


def test_many_connections_wait_for_a_rotation_together(aurora: DatabaseServer) -> None:
    vault = Vault(credentials("headgate", "the old one"), then=MASTER, after=4)
    uri = without_user(aurora.new_database())
    with engine(uri, access(vault)) as made, ThreadPoolExecutor(8) as threads:
        found = list(threads.map(lambda _: whoami(made), range(8)))
    assert len(found) == 8
    assert vault.fetches <= 6


def test_those_who_waited_behind_a_failure_do_not_go_through_it_again(
    aurora: DatabaseServer,
) -> None:
    how = access(Vault(credentials("headgate", "wrong")), rotation_seconds=1.0)
    together = threading.Barrier(6)

    def fail(_: int) -> None:
        together.wait(10)
        with pytest.raises(sqlalchemy.exc.DBAPIError):
            whoami(made)

    with engine(without_user(aurora.new_database()), how) as made:
        began = time.monotonic()
        with ThreadPoolExecutor(6) as threads:
            list(threads.map(fail, range(6)))
        assert time.monotonic() - began < 4


def test_every_engine_of_a_process_can_be_made_to_sign_in(
    aurora: DatabaseServer, certificate: Certificate, moto: Moto
) -> None:
    code = """
import os, sqlalchemy
from headgate.database.access import listen_everywhere
listen_everywhere(os.environ)
engine = sqlalchemy.create_engine(os.environ["URI"], poolclass=sqlalchemy.NullPool)
with engine.connect() as connection:
    print(connection.scalar(sqlalchemy.text("SELECT current_user")))
"""
    arn = moto.make_secret(f"everywhere-{aurora.port}", "headgate", PASSWORD)
    told = {
        "HEADGATE_DATABASE_SECRET": arn,
        "HEADGATE_DATABASE_CA": str(certificate.authority),
        "URI": normal_uri(without_user(aurora.new_database())),
    }
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=clean_environment(moto.environment() | told),
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert done.stdout.startswith("headgate")
