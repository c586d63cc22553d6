"""The shared suite of attacks, at each way in."""

from __future__ import annotations

import base64
import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest

from headgate.database.users import UserStore
from headgate.gateway.identity import Identifier
from headgate.gateway.identity.clock import Clock
from headgate.gateway.identity.token import new_token
from headgate.settings.auth import AuthSettings
from tests.unit.identity.attacks import Headers, WayInAttacks
from tests.unit.identity.world import (
    World,
    basic,
    bearer,
    cookie_header,
    make_token,
    make_world,
    sign_in,
)

IAM_HEADER = "x-iam-principal-arn"
STS = "arn:aws:sts::123456789012"
BOBS_SESSION = f"{STS}:assumed-role/Team-Bob/a-session-of-bobs"
BOBS_ROLE = "arn:aws:iam::123456789012:role/Team-Bob"
NO_USER = "arn:aws:iam::123456789012:role/Gone=nobody"


class TestBasic(WayInAttacks):
    async def good(self, world: World) -> Headers:
        return basic("bob", "bob's password")

    def guess(self, number: int) -> Headers:
        return basic("bob", f"guess {number}")

    def altered(self, good: Headers) -> list[Headers]:
        password = "bob's password"
        return [
            basic("bob", password[:-1]),
            basic("bob", password + " "),
            basic("bob", password.upper()),
            basic("ada", password),
            basic("bob", f"bob:{password}"),
            {"authorization": good["authorization"].replace("Basic", "Bearer")},
            {"authorization": good["authorization"].replace("Basic", "Digest")},
            {"authorization": good["authorization"].replace(" ", "")},
            {"authorization": good["authorization"][:-3]},
        ]

    def secret(self, good: Headers) -> str:
        return good["authorization"].removeprefix("Basic ")


class TestBasicOfUnknownNames(TestBasic):
    """Guessing at names instead of at passwords."""

    def guess(self, number: int) -> Headers:
        return basic(f"user{number}", "password1234")


class TestIam(WayInAttacks):
    """Whom API Gateway names, where it is believed; from elsewhere see `test_iam.py`."""

    @pytest.fixture
    def world(self, tmp_path: Path) -> Iterator[World]:
        made = make_world(tmp_path, AuthSettings(iam_users=[f"{BOBS_ROLE}=bob", NO_USER]))
        yield made
        made.identifier.close()
        made.engine.dispose()

    async def good(self, world: World) -> Headers:
        return {IAM_HEADER: BOBS_SESSION}

    def guess(self, number: int) -> Headers:
        return {IAM_HEADER: f"{STS}:assumed-role/Role-{number}/session"}

    def altered(self, good: Headers) -> list[Headers]:
        callers = [
            BOBS_ROLE,
            BOBS_SESSION.replace("/Team-Bob/", "/Team-Bob2/"),
            BOBS_SESSION.replace("/Team-Bob/", "/team-bob/"),
            BOBS_SESSION.replace("123456789012", "210987654321"),
            BOBS_SESSION.replace("arn:aws:", "arn:aws-cn:"),
            BOBS_SESSION.replace("assumed-role", "federated-user"),
            BOBS_SESSION.rpartition("/")[0],
            f"{BOBS_SESSION}/more",
            f"{BOBS_SESSION},{BOBS_SESSION}",
            f"{BOBS_SESSION} ",
            f"{STS}:assumed-role/Gone/session",
        ]
        signed = "AWS4-HMAC-SHA256 Credential=AKIA/x, SignedHeaders=host, Signature=0"
        return [{IAM_HEADER: caller} for caller in callers] + [
            {IAM_HEADER.replace("-", "_"): BOBS_SESSION},
            {f"{IAM_HEADER}-": BOBS_SESSION},
            # A signature is API Gateway's to verify, and alone says nothing to us.
            {"authorization": signed},
            # Any other Authorization says who it is, and nothing else does.
            good | basic("bob", "wrong"),
            good | bearer("hg_" + "x" * 43),
            good | {"authorization": ""},
            good | {"authorization": "Negotiate abc"},
        ]

    def secret(self, good: Headers) -> str:
        return good[IAM_HEADER]

    def junked(self, name: str, value: str, junk: str) -> str:
        return junk

    async def test_a_new_user_of_the_same_name_inherits_nothing(self, world: World) -> None:
        """Not so here: the settings name a user by name, whoever that is."""
        world.users.remove("bob")
        world.users.add("bob", "another password")
        assert (await world.enter(await self.good(world))).username == "bob"

    async def test_a_credential_of_another_installation_is_refused(self, world: World) -> None:
        """A principal is nobody where no setting names it."""
        other = Identifier(
            users=UserStore(world.engine),
            key=world.key,
            settings=AuthSettings(iam_users=["arn:aws:iam::123456789012:role/Other=bob"]),
            observe=world.events.append,
            clock=Clock(wall=world.clock, monotonic=world.clock),
        )
        assert (await world.refused(await self.good(world), at=other)).status == 401
        other.close()


class TestToken(WayInAttacks):
    async def good(self, world: World) -> Headers:
        return bearer(await make_token(world, "bob"))

    def guess(self, number: int) -> Headers:
        return bearer(new_token()[0])

    def altered(self, good: Headers) -> list[Headers]:
        token = good["authorization"].removeprefix("Bearer ")
        return [
            bearer(token[:-1]),
            bearer(token + "A"),
            bearer(token.upper()),
            bearer(token.swapcase()),
            bearer(token.removeprefix("hg_")),
            bearer(token + ", " + token),
            bearer("hg_" + secrets.token_urlsafe(32)),
            basic("bob", token),
            basic(token, ""),
            {"authorization": f"Token {token}"},
            {"authorization": token},
            {"cookie": f"headgate_session={token}"},
        ]

    def secret(self, good: Headers) -> str:
        return good["authorization"].removeprefix("Bearer hg_")


class TestSession(WayInAttacks):
    async def good(self, world: World) -> Headers:
        return cookie_header(await sign_in(world, "bob", "bob's password"))

    def guess(self, number: int) -> Headers:
        content = base64.urlsafe_b64encode(b'[1,"a","bob",1800000000,1800000000,"f"]').decode()
        return {"cookie": f"headgate_session={content}.{secrets.token_urlsafe(32)}"}

    def altered(self, good: Headers) -> list[Headers]:
        cookie = good["cookie"].partition("headgate_session=")[2].partition(";")[0]
        content, _, signature = cookie.partition(".")
        said = base64.urlsafe_b64decode(content)
        forged = base64.urlsafe_b64encode(said.replace(b'"bob"', b'"ada"')).decode()
        values = [
            f"{forged}.{signature}",
            f"{content}.",
            f".{signature}",
            content,
            f"{content}.{signature}.{signature}",
            f"{content}.{signature[:-1]}",
            f"{content}.{signature}=",
            f"{content}A.{signature}",
            f'"{cookie}"',
            f"{cookie}; headgate_session={cookie}",
        ]
        other_name = {"cookie": f"__Host-headgate_session={cookie}"}
        return [{"cookie": f"headgate_session={value}"} for value in values] + [
            other_name,
            {"authorization": f"Bearer {cookie}"},
            {"authorization": f"Basic {cookie}"},
            # What Authorization says counts, whatever cookie comes with it.
            good | basic("bob", "wrong"),
            good | {"authorization": ""},
            good | {"authorization": "Negotiate abc"},
        ]

    def secret(self, good: Headers) -> str:
        return good["cookie"].partition(".")[2].partition(";")[0]
