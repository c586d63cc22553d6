"""The shared suite of attacks, at each way in."""

from __future__ import annotations

import base64
import secrets

from headgate.gateway.identity.token import new_token
from tests.unit.identity.attacks import Headers, WayInAttacks
from tests.unit.identity.world import World, basic, bearer, cookie_header, make_token, sign_in


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
