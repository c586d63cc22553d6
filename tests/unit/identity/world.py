"""A small world for tests of identity: MLflow's users, a clock to turn, a door to knock at."""

from __future__ import annotations

import base64
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import sqlalchemy as sa
from starlette.types import Message
from werkzeug.security import check_password_hash, generate_password_hash

from headgate.database.engine import make_engine
from headgate.database.users import Token, UserStore, create_tables
from headgate.errors import ApiError
from headgate.gateway.head import HeadReader
from headgate.gateway.hosts import HostPolicy
from headgate.gateway.identity import Identifier
from headgate.gateway.identity.clock import Clock
from headgate.gateway.identity.csrf import check_same_origin
from headgate.gateway.identity.hashing import Hasher
from headgate.gateway.identity.principal import Principal
from headgate.gateway.identity.token import new_token
from headgate.gateway.request import Request
from headgate.observation import Event, SignInRefused
from headgate.secret_store import Secret, SecretValue
from headgate.settings.auth import AuthSettings
from tests.unit.gateway.asgi import Answer

# As MLflow's migrations make it (mlflow/server/auth/db/migrations, 8606fa83a998).
MLFLOW_USERS = sa.Table(
    "users",
    sa.MetaData(),
    sa.Column("id", sa.Integer(), nullable=False, primary_key=True),
    sa.Column("username", sa.String(255), nullable=True),
    sa.Column("password_hash", sa.String(255), nullable=True),
    sa.Column("is_admin", sa.Boolean(), nullable=True),
    sa.UniqueConstraint("username"),
)
# Quick to check, which is all that a test needs of it.
QUICK_METHOD = "pbkdf2:sha256:2"
HERE = "192.0.2.1"
NGINX = "127.0.0.1"


class FakeClock:
    """Time that passes when a test says so."""

    def __init__(self) -> None:
        self.seconds = 1_800_000_000.0

    def __call__(self) -> float:
        return self.seconds

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self.seconds += seconds


class CountingCheck:
    """Werkzeug's check, and which stored hashes it was called with."""

    def __init__(self) -> None:
        self.calls: list[str] = []

    def __call__(self, stored: str, password: str) -> bool:
        self.calls.append(stored)
        return check_password_hash(stored, password)


def basic(username: str, password: str) -> dict[str, str]:
    """The header of HTTP Basic."""
    pair = base64.b64encode(f"{username}:{password}".encode()).decode()
    return {"authorization": f"Basic {pair}"}


def bearer(token: str) -> dict[str, str]:
    """The header of a token."""
    return {"authorization": f"Bearer {token}"}


@dataclass
class Users:
    """MLflow's side: its `users` table, which tests change as MLflow would."""

    engine: sa.Engine

    def add(self, username: str, password: str, *, admin: bool = False) -> None:
        """As MLflow's create_user."""
        stored = generate_password_hash(password, method=QUICK_METHOD)
        row = {"username": username, "password_hash": stored, "is_admin": admin}
        with self.engine.begin() as connection:
            connection.execute(MLFLOW_USERS.insert().values(row))

    def change(self, username: str, /, **values: object) -> None:
        """Set columns of a user."""
        update = MLFLOW_USERS.update().where(MLFLOW_USERS.c.username == username)
        with self.engine.begin() as connection:
            connection.execute(update.values(**values))

    def change_password(self, username: str, password: str) -> None:
        """As MLflow's update_user."""
        self.change(username, password_hash=generate_password_hash(password, method=QUICK_METHOD))

    def remove(self, username: str) -> None:
        """As MLflow's delete_user."""
        delete = MLFLOW_USERS.delete().where(MLFLOW_USERS.c.username == username)
        with self.engine.begin() as connection:
            connection.execute(delete)


@dataclass
class World:
    """An identifier with everything around it under the test's control."""

    engine: sa.Engine
    key: bytes = field(default_factory=lambda: secrets.token_bytes(32))
    settings: AuthSettings = field(default_factory=AuthSettings)
    admin_secret: Callable[[str], SecretValue] | None = None
    hosts: HostPolicy = field(
        default_factory=lambda: HostPolicy(
            ["headgate.example.com"], ["https://notebooks.example.com"]
        )
    )

    def __post_init__(self) -> None:
        self.users = Users(self.engine)
        self.heads = HeadReader([NGINX], iam_header=self.settings.iam_header, iam_networks=[NGINX])
        self.clock = FakeClock()
        self.checks = CountingCheck()
        self.events: list[Event] = []
        self.identifier = self.another_gateway()

    def another_gateway(self, key: bytes | None = None) -> Identifier:
        """An identifier of another process on the same database."""
        return Identifier(
            users=UserStore(self.engine, rotating=self.admin_secret is not None, now=self.clock),
            key=key or self.key,
            admin_secret=(Secret("admin", fetch=self.admin_secret) if self.admin_secret else None),
            settings=self.settings,
            observe=self.events.append,
            clock=Clock(wall=self.clock, monotonic=self.clock),
            hasher=Hasher(self.checks),
        )

    def refusals(self) -> list[str]:
        """Why people were refused, in order."""
        return [event.reason for event in self.events if isinstance(event, SignInRefused)]

    async def enter(
        self, headers: dict[str, str], *, at: Identifier | None = None, **wishes: object
    ) -> Principal:
        """Who the door says that a request with these headers is."""
        request, _ = knock(headers=headers, **wishes)  # type: ignore[arg-type]  # passed on
        self.heads.take_iam_caller(request, NGINX)
        request.principal = await (at or self.identifier).identify(request)
        check_same_origin(request, self.hosts)
        return request.principal

    async def refused(self, headers: dict[str, str], **wishes: object) -> ApiError:
        """The refusal that a request with these headers gets."""
        try:
            who = await self.enter(headers, **wishes)  # type: ignore[arg-type]  # passed on
        except ApiError as error:
            return error
        raise AssertionError(f"{who} got in")


def knock(
    method: str = "GET",
    path: str = "/api/2.0/mlflow/runs/get",
    headers: dict[str, str] | None = None,
    *,
    query: str = "",
    body: bytes = b"",
    client: str = HERE,
    secure: bool = False,
) -> tuple[Request, Answer]:
    """A request, and the answer it will get."""
    answer = Answer()
    messages: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive() -> Message:
        return messages.pop() if messages else {"type": "http.disconnect"}

    lines = {"host": "headgate.example.com"} | (headers or {})
    request = Request(
        scope={"type": "http"},
        receive=receive,
        send=answer.send,
        id="0123456789abcdef",
        method=method,
        raw_path=path.encode(),
        query=query.encode(),
        headers=[(name.encode(), value.encode("latin-1")) for name, value in lines.items()],
        client=client,
        secure=secure,
    )
    return request, answer


def cookies_of(request: Request) -> dict[str, str]:
    """Name and value of the cookies that a request's answer sets; '' for those it deletes."""
    pairs = [line.decode().partition(";")[0].partition("=") for line in request.set_cookies]
    return {name: value for name, _, value in pairs}


def cookie_header(cookies: dict[str, str]) -> dict[str, str]:
    """The header with which a browser sends cookies back."""
    return {"cookie": "; ".join(f"{name}={value}" for name, value in cookies.items())}


async def sign_in(world: World, username: str, password: str, **wishes: object) -> dict[str, str]:
    """The cookies of a browser that signed in."""
    request, _ = knock("POST", "/headgate/sign-in", **wishes)  # type: ignore[arg-type]  # passed on
    await world.identifier.sign_in(request, username, password)
    return cookies_of(request)


async def make_token(
    world: World, username: str, *, read_only: bool = False, expires_at: int | None = None
) -> str:
    """A token of a user's."""
    directory = world.identifier.directory
    user = await directory.user(username)
    assert user is not None
    secret, digest = new_token()
    token = Token(
        id=secrets.token_hex(8),
        name="of a test",
        user_id=user.id,
        username=user.username,
        read_only=read_only,
        created_at=int(world.clock() * 1000),
        expires_at=expires_at,
    )
    await directory.add_token(token, digest)
    return secret


def make_world(
    folder: Path,
    settings: AuthSettings | None = None,
    admin_secret: Callable[[str], SecretValue] | None = None,
) -> World:
    """A world on SQLite with the users ada (admin), bob and carol."""
    engine = make_engine(f"sqlite:///{folder}/auth.db")
    MLFLOW_USERS.create(engine)
    create_tables(engine)
    world = World(engine, settings=settings or AuthSettings(), admin_secret=admin_secret)
    world.users.add("ada", "ada's password", admin=True)
    world.users.add("bob", "bob's password")
    world.users.add("carol", "carol's password")
    return world
