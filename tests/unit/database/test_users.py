"""The store of users, tokens and ended sessions, on each kind of database."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import sqlalchemy as sa

from headgate.database.engine import make_engine
from headgate.database.users import (
    MAX_TOKENS_PER_USER,
    Token,
    TooManyTokensError,
    User,
    UserStore,
    create_tables,
)
from headgate.errors import DatabaseError
from tests.unit.identity.world import MLFLOW_USERS, Users

NOW = 1_800_000_000_000
DAY = 24 * 3600 * 1000


@pytest.fixture(
    params=[
        "sqlite",
        pytest.param("postgresql", marks=pytest.mark.postgresql),
        pytest.param("mariadb", marks=pytest.mark.mariadb),
    ]
)
def uri(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A new database."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/auth.db"
    made: str = request.getfixturevalue(request.param).new_database()
    return made


@pytest.fixture
def engine(uri: str) -> Iterator[sa.Engine]:
    """The same with MLflow's users and our tables."""
    made = make_engine(uri)
    MLFLOW_USERS.create(made)
    create_tables(made)
    users = Users(made)
    users.add("ada", "ada's password", admin=True)
    users.add("bob", "bob's password")
    yield made
    made.dispose()


@pytest.fixture
def store(engine: sa.Engine) -> UserStore:
    return UserStore(engine)


def token(number: int = 1, user: str = "bob", user_id: int = 2, **changes: object) -> Token:
    """A token that nobody has."""
    values: dict[str, object] = {
        "id": f"id{number}",
        "name": "näme",
        "user_id": user_id,
        "username": user,
        "read_only": False,
        "created_at": NOW + number,
        "expires_at": None,
    }
    return Token(**(values | changes))  # type: ignore[arg-type]  # as the fields are


def test_a_user_is_found_by_their_exact_name(store: UserStore) -> None:
    found = store.find_user("ada")
    assert found is not None
    assert (found.id, found.username, found.is_admin) == (1, "ada", True)
    for name in ("Ada", "ADA", "ada ", "ádá", "nobody", "", "%", "用户", "🦫"):
        assert store.find_user(name) is None


def test_a_user_with_a_name_of_any_letters_is_found(engine: sa.Engine, store: UserStore) -> None:
    Users(engine).add("Zoë 用户 🦫", "x")
    found = store.find_user("Zoë 用户 🦫")
    assert found is not None
    assert found.username == "Zoë 用户 🦫"


def test_a_user_without_a_role_is_no_admin(engine: sa.Engine, store: UserStore) -> None:
    Users(engine).change("ada", is_admin=None, password_hash=None)
    assert store.find_user("ada") == User(1, "ada", None, is_admin=False)


def test_a_hash_is_in_no_repr(store: UserStore) -> None:
    assert "$" not in repr(store.find_user("bob"))


def test_the_methods_of_hashing_are_those_of_the_users(engine: sa.Engine, store: UserStore) -> None:
    Users(engine).change("ada", password_hash="scrypt:32768:8:1$salt$hash")
    Users(engine).add("carol", "x")
    Users(engine).change("carol", password_hash=None)
    assert store.hash_methods() == ["scrypt:32768:8:1", "pbkdf2:sha256:2"]


def test_a_token_is_found_with_its_user(store: UserStore) -> None:
    store.add_token(token(), "d1")
    found = store.find_token("d1")
    assert found is not None
    assert found.token == token()
    assert found.owner == store.find_user("bob")
    assert store.find_token("d2") is None


def test_a_token_lets_in_no_other_user_of_its_id(engine: sa.Engine, store: UserStore) -> None:
    store.add_token(token(), "d1")
    Users(engine).change("bob", username="robert")
    found = store.find_token("d1")
    assert found is not None
    assert found.owner is None


def test_a_token_goes_with_its_user_for_good(engine: sa.Engine, store: UserStore) -> None:
    store.add_token(token(), "d1")
    Users(engine).remove("bob")
    Users(engine).add("bob", "another bob")
    found = store.find_token("d1")
    assert found is None or found.owner is None


def test_tokens_are_listed_oldest_first_without_those_revoked(store: UserStore) -> None:
    for number in (3, 1, 2):
        store.add_token(token(number), f"d{number}")
    store.add_token(token(4, "ada", 1), "d4")
    assert store.revoke_token("id2", user_id=2, now=NOW)
    assert [kept.id for kept in store.list_tokens(2)] == ["id1", "id3"]
    assert [kept.id for kept in store.list_tokens()] == ["id1", "id3", "id4"]


def test_a_token_is_revoked_once_and_by_its_owner_or_an_admin(store: UserStore) -> None:
    store.add_token(token(), "d1")
    assert not store.revoke_token("id1", user_id=1, now=NOW)
    assert not store.revoke_token("ID1'--", user_id=2, now=NOW)
    assert store.revoke_token("id1", user_id=None, now=NOW)
    assert not store.revoke_token("id1", user_id=None, now=NOW)
    found = store.find_token("d1")
    assert found is not None
    assert found.token.revoked_at == NOW


def test_making_a_token_forgets_those_that_are_of_no_use(
    engine: sa.Engine, store: UserStore
) -> None:
    for number in (1, 2):
        store.add_token(token(number), f"d{number}")
    store.add_token(token(3, "ada", 1), "d3")
    store.revoke_token("id1", user_id=2, now=NOW)
    Users(engine).remove("ada")
    store.add_token(token(4, created_at=NOW + 31 * DAY), "d4")
    assert store.find_token("d1") is None
    assert store.find_token("d3") is None
    assert [kept.id for kept in store.list_tokens()] == ["id2", "id4"]


def test_only_live_tokens_count_against_the_limit(store: UserStore) -> None:
    for number in range(MAX_TOKENS_PER_USER):
        store.add_token(token(number), f"d{number}")
    with pytest.raises(TooManyTokensError):
        store.add_token(token(1000), "d1000")
    store.revoke_token("id5", user_id=2, now=NOW)
    store.add_token(token(1001, expires_at=NOW + 2000), "d1001")
    store.add_token(token(1002, created_at=NOW + 3000), "d1002")
    with pytest.raises(TooManyTokensError):
        store.add_token(token(1003, created_at=NOW + 3000), "d1003")


def test_an_ended_session_is_known_until_it_would_be_over_anyway(store: UserStore) -> None:
    store.sign_out("one", until=NOW + 10, now=NOW)
    store.sign_out("one", until=NOW + 10, now=NOW)
    assert store.is_signed_out("one")
    assert not store.is_signed_out("two")
    store.sign_out("two", until=NOW + 30, now=NOW + 20)
    assert not store.is_signed_out("one")
    assert store.is_signed_out("two")


def test_the_tables_are_made_once_by_whoever_comes_first(uri: str) -> None:
    engines = [make_engine(uri) for _ in range(8)]
    MLFLOW_USERS.create(engines[0])
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(create_tables, engines))
    for engine in engines:
        create_tables(engine)
        UserStore(engine).list_tokens()
        engine.dispose()


def test_tables_that_cannot_be_made_are_explained(tmp_path: Path) -> None:
    path = tmp_path / "auth.db"
    make_engine(f"sqlite:///{path}").connect().close()
    engine = sa.create_engine(f"sqlite:///file:{path}?mode=ro&uri=true")
    with pytest.raises(DatabaseError, match="headgate_tokens"):
        create_tables(engine)
    engine.dispose()


def test_a_migration_that_rebuilds_users_on_sqlite_keeps_the_tokens(tmp_path: Path) -> None:
    """Alembic copies the table, drops it and renames the copy; our trigger is made again."""
    engine = make_engine(f"sqlite:///{tmp_path}/auth.db")
    MLFLOW_USERS.create(engine)
    create_tables(engine)
    users, store = Users(engine), UserStore(engine)
    users.add("ada", "x")
    users.add("bob", "x")
    store.add_token(token(), "d1")
    with engine.begin() as connection:
        for statement in (
            "CREATE TABLE _alembic_tmp_users (id INTEGER PRIMARY KEY, username VARCHAR(255),"
            " password_hash VARCHAR(255), is_admin BOOLEAN, UNIQUE (username))",
            "INSERT INTO _alembic_tmp_users SELECT * FROM users",
            "DROP TABLE users",
            "ALTER TABLE _alembic_tmp_users RENAME TO users",
        ):
            connection.exec_driver_sql(statement)
    create_tables(engine)
    assert store.find_token("d1") is not None
    users.remove("bob")
    assert store.find_token("d1") is None
    engine.dispose()
