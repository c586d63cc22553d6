"""Users, API tokens and ended sessions, as the database has them.

`users` is MLflow's own table (`mlflow/server/auth/db/models.py`), which we only read, but for
the password of an admin that a secret gives (`replace_password`). `headgate_tokens`,
`headgate_signed_out` and `headgate_former_passwords` are ours; they lie beside it, so that every
gateway of a team sees the same. Everything here blocks: the gateway calls it from threads, through
`gateway.identity.directory`. Start at `UserStore`.

A token dies with its user, and must not come back with another of the same name; nor must a
former password. PostgreSQL and MySQL never give an id out twice; SQLite does, so there triggers
remove what belongs to a removed user in the same transaction.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import sqlalchemy as sa

from headgate.database.failures import explain
from headgate.errors import DatabaseError

MAX_TOKENS_PER_USER = 100
_REVOKED_ARE_KEPT_MS = 30 * 24 * 3600 * 1000
_CREATE_ATTEMPTS = 5
_HASHES_TO_LOOK_AT = 200
_FORMER_AT_ONCE = 3

_metadata = sa.MetaData()

_users = sa.Table(
    "users",
    sa.MetaData(),  # MLflow's: never created by us
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("username", sa.String(255)),
    sa.Column("password_hash", sa.String(255)),
    sa.Column("is_admin", sa.Boolean),
)
_tokens = sa.Table(
    "headgate_tokens",
    _metadata,
    sa.Column("id", sa.String(32), primary_key=True),
    sa.Column("digest", sa.String(64), nullable=False, unique=True),
    sa.Column("name", sa.String(100), nullable=False),
    sa.Column("user_id", sa.Integer, nullable=False, index=True),
    sa.Column("username", sa.String(255), nullable=False),
    sa.Column("read_only", sa.Boolean, nullable=False),
    sa.Column("created_at", sa.BigInteger, nullable=False),
    sa.Column("expires_at", sa.BigInteger),
    sa.Column("revoked_at", sa.BigInteger),
)
_signed_out = sa.Table(
    "headgate_signed_out",
    _metadata,
    sa.Column("session_id", sa.String(64), primary_key=True),
    sa.Column("until", sa.BigInteger, nullable=False, index=True),
)
_former_passwords = sa.Table(
    "headgate_former_passwords",
    _metadata,
    sa.Column("id", sa.String(64), primary_key=True),  # the hash's digest: each is kept once
    sa.Column("user_id", sa.Integer, nullable=False, index=True),
    sa.Column("password_hash", sa.String(255), nullable=False),
    sa.Column("until", sa.BigInteger, nullable=False),
)
_TABLES = (_tokens, _signed_out, _former_passwords)
_GO_WITH_THEIR_USER = (_tokens, _former_passwords)


@dataclass(frozen=True, slots=True)
class User:
    """A row of MLflow's `users`."""

    id: int
    username: str
    password_hash: str | None = field(repr=False)
    is_admin: bool
    former_hashes: tuple[str, ...] = field(default=(), repr=False)

    @property
    def hashes(self) -> tuple[str, ...]:
        """Of every password that is good now: the user's own, then those in their grace time."""
        own = () if self.password_hash is None else (self.password_hash,)
        return own + self.former_hashes


@dataclass(frozen=True, slots=True)
class Token:
    """A row of `headgate_tokens`, without what would let anybody in. Times are in ms."""

    id: str
    name: str
    user_id: int
    username: str
    read_only: bool
    created_at: int
    expires_at: int | None
    revoked_at: int | None = None


@dataclass(frozen=True, slots=True)
class OwnedToken:
    """A token and the user whom it lets in; None once they were removed."""

    token: Token
    owner: User | None


class TooManyTokensError(Exception):
    """The user has `MAX_TOKENS_PER_USER` live tokens."""


def create_tables(engine: sa.Engine) -> None:
    """Make our tables where they are missing; several processes may do so at once.

    Call it after MLflow's migrations, each time: a migration that rebuilds `users` on SQLite
    drops the trigger. Raises `DatabaseError`.
    """
    for attempt in range(1, _CREATE_ATTEMPTS + 1):
        try:
            with engine.begin() as connection:
                _create(connection)
        except sa.exc.SQLAlchemyError as error:
            # Somebody made them between our look and our statement; on PostgreSQL even
            # IF NOT EXISTS fails then. The next look finds them.
            if attempt == _CREATE_ATTEMPTS:
                names = " and ".join(table.name for table in _TABLES)
                raise DatabaseError(
                    f"The tables {names} cannot be made: {type(error).__name__}.",
                    hint="The database user needs the right to create tables.",
                ) from error
        else:
            return


def _create(connection: sa.Connection) -> None:
    present = set(sa.inspect(connection).get_table_names())
    missing = [table for table in _TABLES if table.name not in present]
    if missing:
        _metadata.create_all(connection, tables=missing, checkfirst=False)
    if connection.dialect.name == "sqlite" and "users" in present:
        for table in _GO_WITH_THEIR_USER:
            connection.execute(sa.text(_trigger(table.name)))


def _trigger(table: str) -> str:
    # DDL takes no parameters; the names are those of our own tables.
    delete = f"DELETE FROM {table} WHERE user_id = OLD.id"  # noqa: S608
    return (
        f"CREATE TRIGGER IF NOT EXISTS {table}_go_with_their_user AFTER DELETE ON users "
        f"BEGIN {delete}; END"
    )


class UserStore:
    """Reads users, keeps tokens and ended sessions. Blocks; methods may be called at once from
    several threads, and raise SQLAlchemy's errors.

    With `rotating`, admins have their former passwords too, as long as these are good.
    """

    def __init__(
        self,
        engine: sa.Engine,
        *,
        rotating: bool = False,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._engine = engine
        self._rotating = rotating
        self._now = now

    def explain(self, fault: sa.exc.SQLAlchemyError) -> str:
        """One of these errors in words for the person who runs the server, without secrets."""
        return str(explain(fault, self._engine.url.render_as_string(hide_password=True)))

    def find_user(self, username: str) -> User | None:
        """The user of exactly this name."""
        query = _select_user().where(_users.c.username == username)
        with self._engine.connect() as connection:
            rows = connection.execute(query).all()
            # MySQL finds `Admin` when asked for `admin`. One user, one spelling: what is counted,
            # cached and signed for MLflow is the name that the user has.
            user = next((_user(row) for row in rows if row.username == username), None)
            if user is None or not (self._rotating and user.is_admin):
                return user
            return replace(user, former_hashes=self._former_hashes(connection, user))

    def _former_hashes(self, connection: sa.Connection, user: User) -> tuple[str, ...]:
        good = sa.and_(
            _former_passwords.c.user_id == user.id,
            _former_passwords.c.until > int(self._now() * 1000),
            _former_passwords.c.password_hash != user.password_hash,
        )
        query = sa.select(_former_passwords.c.password_hash).where(good)
        newest_first = query.order_by(_former_passwords.c.until.desc()).limit(_FORMER_AT_ONCE)
        return tuple(connection.execute(newest_first).scalars())

    def replace_password(self, user: User, password_hash: str, *, until: int) -> bool:
        """Give a user another stored hash, unless somebody did so since `user` was read; the
        old one stays good until `until` (ms). Whether it was us.
        """
        change = (
            sa.update(_users)
            .where(_users.c.id == user.id, _users.c.password_hash == user.password_hash)
            .values(password_hash=password_hash)
        )
        now = int(self._now() * 1000)
        with self._engine.begin() as connection:
            if connection.execute(change).rowcount != 1:
                return False
            key = hashlib.sha256((user.password_hash or "").encode()).hexdigest()
            stale = sa.or_(_former_passwords.c.until <= now, _former_passwords.c.id == key)
            connection.execute(_former_passwords.delete().where(stale))
            if user.password_hash is not None and until > now:
                connection.execute(
                    _former_passwords.insert().values(
                        id=key,
                        user_id=user.id,
                        password_hash=user.password_hash,
                        until=until,
                    )
                )
        return True

    def hash_methods(self) -> Sequence[str]:
        """How passwords are hashed here, one method (such as `scrypt:32768:8:1`) per user."""
        query = (
            sa.select(_users.c.password_hash)
            .where(_users.c.password_hash.is_not(None))
            .order_by(_users.c.id)
            .limit(_HASHES_TO_LOOK_AT)
        )
        with self._engine.connect() as connection:
            hashes = connection.execute(query).scalars().all()
        return [method for method, dollar, _ in (text.partition("$") for text in hashes) if dollar]

    def find_token(self, digest: str) -> OwnedToken | None:
        """The token of this digest (SHA-256, hexadecimal), and its user as they are now."""
        query = (
            sa.select(
                *_token_columns(),
                _users.c.id.label("owner_id"),
                _users.c.username.label("owner_name"),
                _users.c.password_hash,
                _users.c.is_admin,
            )
            .select_from(_tokens.outerjoin(_users, _users.c.id == _tokens.c.user_id))
            .where(_tokens.c.digest == digest)
        )
        with self._engine.connect() as connection:
            row = connection.execute(query).one_or_none()
        if row is None:
            return None
        token = _token(row)
        owner = None
        if row.owner_id is not None and row.owner_name == token.username:
            owner = User(row.owner_id, row.owner_name, row.password_hash, bool(row.is_admin))
        return OwnedToken(token, owner)

    def add_token(self, token: Token, digest: str) -> None:
        """Keep a new token; removes those whose user is gone and those long revoked.

        Raises `TooManyTokensError`.
        """
        live = sa.select(sa.func.count()).where(
            _tokens.c.user_id == token.user_id,
            _tokens.c.revoked_at.is_(None),
            sa.or_(_tokens.c.expires_at.is_(None), _tokens.c.expires_at > token.created_at),
        )
        dead = sa.or_(
            _tokens.c.user_id.not_in(sa.select(_users.c.id)),
            _tokens.c.revoked_at < token.created_at - _REVOKED_ARE_KEPT_MS,
        )
        row = {
            "id": token.id,
            "digest": digest,
            "name": token.name,
            "user_id": token.user_id,
            "username": token.username,
            "read_only": token.read_only,
            "created_at": token.created_at,
            "expires_at": token.expires_at,
        }
        with self._engine.begin() as connection:
            connection.execute(_tokens.delete().where(dead))
            if connection.execute(live).scalar_one() >= MAX_TOKENS_PER_USER:
                raise TooManyTokensError
            connection.execute(_tokens.insert().values(row))

    def list_tokens(self, user_id: int | None = None) -> list[Token]:
        """The tokens that were not revoked, oldest first: of one user, or of everybody."""
        query = sa.select(*_token_columns()).where(_tokens.c.revoked_at.is_(None))
        if user_id is not None:
            query = query.where(_tokens.c.user_id == user_id)
        with self._engine.connect() as connection:
            rows = connection.execute(query.order_by(_tokens.c.created_at, _tokens.c.id)).all()
        return [_token(row) for row in rows]

    def revoke_token(self, token_id: str, *, user_id: int | None, now: int) -> bool:
        """Revoke a token, if it is `user_id`'s (None: anybody's); whether there was one."""
        change = (
            _tokens.update()
            .where(_tokens.c.id == token_id, _tokens.c.revoked_at.is_(None))
            .values(revoked_at=now)
        )
        if user_id is not None:
            change = change.where(_tokens.c.user_id == user_id)
        with self._engine.begin() as connection:
            return connection.execute(change).rowcount > 0

    def is_signed_out(self, session_id: str) -> bool:
        """Whether this session was ended by its user."""
        query = sa.select(sa.literal(1)).where(_signed_out.c.session_id == session_id)
        with self._engine.connect() as connection:
            return connection.execute(query).first() is not None

    def sign_out(self, session_id: str, *, until: int, now: int) -> None:
        """End a session that would last until `until` (ms); forgets those that are over."""
        try:
            with self._engine.begin() as connection:
                connection.execute(_signed_out.delete().where(_signed_out.c.until < now))
                connection.execute(_signed_out.insert().values(session_id=session_id, until=until))
        except sa.exc.IntegrityError:
            if not self.is_signed_out(session_id):
                raise


def _select_user() -> sa.Select[Any]:
    return sa.select(_users.c.id, _users.c.username, _users.c.password_hash, _users.c.is_admin)


def _token_columns() -> list[sa.Column[Any]]:
    return [column for column in _tokens.columns if column is not _tokens.c.digest]


def _user(row: Any) -> User:
    return User(row.id, row.username, row.password_hash, bool(row.is_admin))


def _token(row: Any) -> Token:
    return Token(
        id=row.id,
        name=row.name,
        user_id=row.user_id,
        username=row.username,
        read_only=bool(row.read_only),
        created_at=row.created_at,
        expires_at=row.expires_at,
        revoked_at=row.revoked_at,
    )
