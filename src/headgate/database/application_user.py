"""The database user as whom everything but a migration signs in: it reads and writes rows.

Made and kept up by `headgate migrate` with the master's rights; may be repeated at any time, also
while others are signed in as this user. It gets no right to change the schema. Start at
`make_application_user`. No statement here holds a password in a form that a log could show:
PostgreSQL gets a digest, and what MySQL says of a failure is not repeated.
"""

from __future__ import annotations

import sqlalchemy
from sqlalchemy import text

from headgate.database.access import Access
from headgate.database.engine import explained, make_engine
from headgate.database.uris import redact
from headgate.errors import DatabaseError
from headgate.secret_store import Credentials, Secret
from headgate.settings import Settings

_ROWS = "SELECT, INSERT, UPDATE, DELETE"
# What an older Headgate or a person may have given on the database.
_MYSQL_TOO_MUCH = (
    "CREATE, DROP, ALTER, INDEX, REFERENCES, TRIGGER, EVENT, CREATE VIEW, CREATE ROUTINE, "
    "ALTER ROUTINE, CREATE TEMPORARY TABLES, LOCK TABLES"
)


def make_application_user(settings: Settings, access: Access) -> None:
    """Make the user of `database_user_secret`, or bring its password and rights up to date, in
    the databases of the settings. `access` is the master's. Raises `HeadgateError`.
    """
    if settings.database_secret is None or settings.database_user_secret is None:
        return
    user = Secret(settings.database_user_secret).credentials()
    if user.username == Secret(settings.database_secret).credentials().username:
        raise DatabaseError(
            f"database_user_secret and database_secret both name the user {user.username}.",
            hint="Give the secret of the database's user another username.",
        )
    for uri in sorted({settings.backend_uri(), settings.auth_uri()}):
        engine = make_engine(uri, pool_size=1, access=access)
        try:
            with explained(uri):
                _make(engine, user, uri, tls=settings.database_ca is not None)
        finally:
            engine.dispose()


def _make(engine: sqlalchemy.Engine, user: Credentials, uri: str, *, tls: bool) -> None:
    if engine.dialect.name == "postgresql":
        with engine.begin() as connection:
            _make_on_postgresql(connection, user)
    elif engine.dialect.name in ("mysql", "mariadb"):
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            _make_on_mysql(connection, user, uri, tls=tls)


def _make_on_postgresql(connection: sqlalchemy.Connection, user: Credentials) -> None:
    quoted = connection.dialect.identifier_preparer.quote
    role = quoted(user.username)
    database = quoted(connection.scalar(text("SELECT current_database()")) or "")
    schema = quoted(connection.scalar(text("SELECT current_schema()")) or "public")
    known = text("SELECT 1 FROM pg_roles WHERE rolname = :name")
    if connection.scalar(known, {"name": user.username}) is None:
        connection.execute(text(f"CREATE ROLE {role}"))
    for statement in (
        f"ALTER ROLE {role} LOGIN PASSWORD '{_verifier(connection, user)}'",
        f"GRANT CONNECT ON DATABASE {database} TO {role}",
        f"GRANT USAGE ON SCHEMA {schema} TO {role}",
        f"GRANT {_ROWS} ON ALL TABLES IN SCHEMA {schema} TO {role}",
        f"GRANT USAGE, SELECT, UPDATE ON ALL SEQUENCES IN SCHEMA {schema} TO {role}",
        # What the next migration makes is the user's too, before we are here again.
        f"ALTER DEFAULT PRIVILEGES IN SCHEMA {schema} GRANT {_ROWS} ON TABLES TO {role}",
        f"ALTER DEFAULT PRIVILEGES IN SCHEMA {schema} "
        f"GRANT USAGE, SELECT, UPDATE ON SEQUENCES TO {role}",
        f"REVOKE CREATE ON SCHEMA {schema} FROM {role}",
    ):
        connection.execute(text(statement.replace(":", r"\:")))


def _verifier(connection: sqlalchemy.Connection, user: Credentials) -> str:
    """What PostgreSQL stores of a password, computed here so that it is never sent."""
    driver = connection.connection.driver_connection
    assert driver is not None
    verifier: bytes = driver.pgconn.encrypt_password(
        user.password.encode(), user.username.encode(), b"scram-sha-256"
    )
    return verifier.decode("ascii")


def _make_on_mysql(
    connection: sqlalchemy.Connection, user: Credentials, uri: str, *, tls: bool
) -> None:
    # A `text` doubles percent signs itself; a colon would be a parameter.
    database = connection.dialect.identifier_preparer.quote_identifier(
        connection.engine.url.database or ""
    )
    name = {"name": user.username}
    require = "SSL" if tls else "NONE"
    secret = name | {"password": user.password}
    try:
        connection.execute(
            text("CREATE USER IF NOT EXISTS :name@'%' IDENTIFIED BY :password"), secret
        )
        connection.execute(text("ALTER USER :name@'%' IDENTIFIED BY :password"), secret)
    except sqlalchemy.exc.DBAPIError as fault:
        number = fault.orig.args[0] if fault.orig is not None and fault.orig.args else "unknown"
        raise DatabaseError(
            f"The database {redact(uri)} refused to make the user {user.username}: error {number}.",
            hint="Check that the master may create users, and the server's rules for passwords.",
        ) from None
    connection.execute(text(f"ALTER USER :name@'%' REQUIRE {require}"), name)
    connection.execute(text(f"GRANT {_ROWS} ON {_grantable(database)}.* TO :name@'%'"), name)
    connection.execute(
        text(f"REVOKE {_MYSQL_TOO_MUCH} ON {_grantable(database)}.* FROM :name@'%'"), name
    )


def _grantable(database: str) -> str:
    # In a grant `_` and `%` of a database's name are wildcards.
    return database.replace("_", r"\_").replace("%", r"\%").replace(":", r"\:")
