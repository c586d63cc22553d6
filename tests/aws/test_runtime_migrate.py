"""What `headgate migrate` does in a task: the tables, a user with few rights, the admin."""

from __future__ import annotations

import subprocess

import pytest
import sqlalchemy
from sqlalchemy import text

from headgate.database.access import Access
from headgate.database.engine import make_engine
from headgate.secret_store import Secret, SecretValue
from tests.harness.certificates import Certificate
from tests.harness.databases import DatabaseServer
from tests.harness.moto import Moto, credentials
from tests.harness.task import Cloud, Task


@pytest.fixture(scope="module")
def cloud(moto: Moto, aurora: DatabaseServer, certificate: Certificate) -> Cloud:
    return Cloud(moto, aurora.new_database(), ca=certificate.authority)


@pytest.fixture(scope="module")
def task(tmp_path_factory: pytest.TempPathFactory, cloud: Cloud) -> Task:
    """A task on a database that was migrated once."""
    made = Task(tmp_path_factory.mktemp("task"), cloud)
    succeeded(made.migrate())
    return made


def engine_of_the_user(cloud: Cloud, password: str | None = None) -> sqlalchemy.Engine:
    value = SecretValue("1", credentials(cloud.user, password or cloud.user_password))
    secret = Secret("user", fetch=lambda name: value)
    return make_engine(cloud.uri, access=Access(secret=secret, ca=cloud.ca, rotation_seconds=0))


def refused(engine: sqlalchemy.Engine, statement: str) -> bool:
    try:
        with engine.begin() as connection:
            connection.execute(text(statement))
    except sqlalchemy.exc.DBAPIError as fault:
        return "denied" in str(fault.orig) or "must be owner" in str(fault.orig)
    return False


def succeeded(done: subprocess.CompletedProcess[str]) -> None:
    assert done.returncode == 0, done.stderr


def test_the_step_makes_tables_admin_and_a_user_that_may_not_change_the_schema(
    task: Task, cloud: Cloud
) -> None:
    engine = engine_of_the_user(cloud)
    try:
        with engine.begin() as connection:
            names = connection.execute(text("SELECT username, is_admin FROM users")).all()
            assert [tuple(row) for row in names] == [("admin", 1)]
            connection.execute(text("UPDATE experiments SET name = name"))
        for statement in (
            "CREATE TABLE more (id integer)",
            "DROP TABLE headgate_tokens",
            "ALTER TABLE headgate_tokens ADD COLUMN more integer",
            "CREATE INDEX more ON headgate_tokens (name)",
        ):
            assert refused(engine, statement), statement
    finally:
        engine.dispose()


def test_no_secret_is_said_or_handed_in(task: Task, cloud: Cloud) -> None:
    done = task.migrate()
    environment = " ".join(task.environment("migrate").values())
    for secret in (cloud.user_password, cloud.admin_password):
        assert secret not in done.stdout + done.stderr
        assert secret not in environment


def test_rights_that_the_user_had_beside_rows_are_taken_away(
    task: Task, cloud: Cloud, aws: Moto
) -> None:
    master = Access(secret=Secret(cloud.master_secret), ca=cloud.ca)
    engine = make_engine(cloud.uri, access=master)
    with engine.begin() as connection:
        if engine.dialect.name == "postgresql":
            connection.execute(text(f"GRANT CREATE ON SCHEMA public TO {cloud.user}"))
        else:
            database = engine.url.database
            connection.execute(text(f"GRANT CREATE, DROP ON {database}.* TO {cloud.user}@'%'"))
    engine.dispose()
    succeeded(task.migrate())
    user = engine_of_the_user(cloud)
    assert refused(user, "CREATE TABLE more (id integer)")
    user.dispose()


def test_the_step_may_be_repeated_and_mends_the_users_password(task: Task, cloud: Cloud) -> None:
    cloud.moto.change_secret(cloud.user_secret, cloud.user, "another-password-of-the-user")
    succeeded(task.migrate())
    engine = engine_of_the_user(cloud, "another-password-of-the-user")
    with engine.connect() as connection:
        assert connection.scalar(text("SELECT 1")) == 1
    engine.dispose()
    cloud.moto.change_secret(cloud.user_secret, cloud.user, cloud.user_password)
    succeeded(task.migrate())


def test_two_secrets_that_name_one_user_are_refused(task: Task, cloud: Cloud) -> None:
    cloud.moto.change_secret(cloud.user_secret, "headgate", "something-else-entirely")
    done = task.migrate()
    cloud.moto.change_secret(cloud.user_secret, cloud.user, cloud.user_password)
    assert done.returncode == 1
    assert "both name the user headgate" in done.stderr
