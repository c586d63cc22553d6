"""Who are you? Every request that is not public passes `Identifier.identify`, or is refused.

There are four ways in, a file for each: a user's password with each request (`basic.py`), a
token (`token.py`), a browser's session (`session.py`), and AWS IAM, where API Gateway has
verified a signature (`iam.py`). If a request has an `Authorization` header, that alone decides,
whatever cookies came with it. A way in raises a `Refusal`; here it
becomes an answer, with the challenge that suits the caller, and an event.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import NoReturn
from urllib.parse import quote

from headgate.database.users import UserStore
from headgate.errors import ApiError, too_many_requests, unauthenticated
from headgate.gateway.identity.basic import BasicWayIn, parse
from headgate.gateway.identity.clock import Clock
from headgate.gateway.identity.directory import Directory, Opened, always_open
from headgate.gateway.identity.hashing import Hasher
from headgate.gateway.identity.iam import SIGNATURE_SCHEME, IamWayIn
from headgate.gateway.identity.memory import CredentialMemory
from headgate.gateway.identity.passwords import Passwords
from headgate.gateway.identity.principal import Principal
from headgate.gateway.identity.read_only import check_read_only
from headgate.gateway.identity.refusal import Refusal
from headgate.gateway.identity.rotation import AdminSecret
from headgate.gateway.identity.session import COMPANION_COOKIE, SessionWayIn, has_cookie
from headgate.gateway.identity.throttle import Throttle
from headgate.gateway.identity.token import TokenWayIn
from headgate.gateway.request import Request
from headgate.observation import Observe, SignedIn, SignInRefused, WayIn
from headgate.secret_store import Secret
from headgate.settings.auth import AuthSettings

__all__ = ["CURRENT_USER_PATHS", "SIGN_IN_PATH", "SIGN_OUT_PATH", "Identifier"]

SIGN_IN_PATH = b"/headgate/sign-in"
SIGN_OUT_PATH = b"/headgate/sign-out"
CURRENT_USER_PATHS = frozenset(
    {b"/ajax-api/2.0/mlflow/users/current", b"/api/2.0/mlflow/users/current"}
)
_LONGEST_NEXT = 2000
# MLflow's interface signs out by asking for `users/current` with a made-up name like this.
_UI_SIGN_OUT_NAME = "mlflow-logged-out-"


class Identifier:
    """Tells who sent a request; gives and ends sessions, which it signs with `key`.

    `directory` is what it knows of users, for those parts of the gateway that manage tokens.
    """

    def __init__(
        self,
        *,
        users: UserStore,
        key: bytes,
        settings: AuthSettings,
        observe: Observe,
        opened: Opened = always_open,
        clock: Clock | None = None,
        hasher: Hasher | None = None,
        admin_secret: Secret | None = None,
    ) -> None:
        clock = clock or Clock()
        throttle = Throttle(clock)
        self.directory = Directory(users, clock, observe, opened)
        self._observe = observe
        self._hasher = hasher or Hasher()
        self._admin_secret = (
            AdminSecret(
                admin_secret,
                directory=self.directory,
                hasher=self._hasher,
                grace_seconds=settings.admin_grace_minutes * 60,
                clock=clock,
                observe=observe,
            )
            if admin_secret is not None
            else None
        )
        self._passwords = Passwords(
            admin_secret=self._admin_secret,
            directory=self.directory,
            memory=CredentialMemory(clock, fresh_seconds=settings.credential_memory_seconds),
            throttle=throttle,
            hasher=self._hasher,
        )
        self._basic = BasicWayIn(self._passwords)
        self._token = TokenWayIn(directory=self.directory, throttle=throttle, clock=clock)
        self._iam = IamWayIn(
            mappings=settings.iam_users, directory=self.directory, throttle=throttle
        )
        self._session = SessionWayIn(
            directory=self.directory, throttle=throttle, key=key, settings=settings, clock=clock
        )

    async def identify(self, request: Request) -> Principal:
        """Who sent this. Raises `ApiError`: 401, for a person's browser 303 to the sign-in
        page, 403 if a read-only token asks for a change, 429 after too many failures, 503 while
        the database of users is away."""
        authorization = request.header(b"authorization")
        if request.iam_caller is not None and _is_signature(authorization):
            return await self._identify_by_iam(request)
        if authorization is None or _is_ui_sign_out(request, authorization):
            return await self._identify_by_cookie(request)
        scheme, _, value = authorization.partition(b" ")
        scheme = scheme.lower()
        way_in: WayIn = "token" if scheme == b"bearer" else "basic"
        try:
            if scheme == b"basic":
                return await self._basic.identify(request, value)
            if scheme == b"bearer":
                request.principal = await self._token.identify(request, value)
                check_read_only(request)
                return request.principal
            raise Refusal("malformed", "Sign in with Basic credentials or a Bearer token.")
        except Refusal as refusal:
            self._refuse(request, way_in, refusal)

    async def sign_in(self, request: Request, username: str, password: str) -> None:
        """Give this browser a session of the user. Raises `ApiError` as `identify` does."""
        try:
            user = await self._passwords.verify(username, password, request.client)
        except Refusal as refusal:
            self._refuse(request, "session", refusal)
        self._session.start(request, user)
        self._observe(SignedIn(user.username, request.client))

    async def sign_out(self, request: Request) -> None:
        """End the session of this request, if it has one, and have its cookies dropped."""
        try:
            await self._session.end(request)
        except Refusal:
            self._session.take_cookies(request)

    async def has_session(self, request: Request) -> bool:
        """Whether a good session came with this request; nothing is counted or said of it."""
        if not has_cookie(request):
            return False
        try:
            await self._session.find(request)
        except Refusal:
            return False
        return True

    def is_ui_sign_out(self, request: Request) -> bool:
        """Whether this request for `users/current` is MLflow's interface signing out."""
        principal = request.principal
        return (
            principal is not None
            and principal.way_in == "session"
            and self._session.is_sign_out(request, principal.username)
        )

    def close(self) -> None:
        """Let the threads go; nothing can be identified after this."""
        if self._admin_secret is not None:
            self._admin_secret.close()
        self.directory.close()
        self._hasher.close()

    async def _identify_by_iam(self, request: Request) -> Principal:
        try:
            return await self._iam.identify(request)
        except Refusal as refusal:
            self._refuse(request, "iam", refusal)

    async def _identify_by_cookie(self, request: Request) -> Principal:
        if not has_cookie(request):
            raise _ask_to_sign_in(request, "Sign in to use this server.")
        try:
            return await self._session.identify(request)
        except Refusal as refusal:
            self._refuse(request, "session", refusal)

    def _refuse(self, request: Request, way_in: WayIn, refusal: Refusal) -> NoReturn:
        self._observe(SignInRefused(way_in, refusal.reason, request.client, request.id))
        if way_in == "session" and _shows_pages(request):
            # A page with a bad cookie gets to the sign-in page even when it is throttled.
            raise _ask_to_sign_in(request, refusal.message)
        if refusal.retry_after is not None:
            raise too_many_requests(refusal.message, retry_after=refusal.retry_after)
        raise unauthenticated(refusal.message, challenge=not _is_from_browser(request))


def _is_signature(authorization: bytes | None) -> bool:
    """Whether nothing but a signature of AWS, in a header or in the query, came along."""
    return authorization is None or authorization.lower().startswith(SIGNATURE_SCHEME + b" ")


def _ask_to_sign_in(request: Request, message: str) -> ApiError:
    if not _shows_pages(request):
        return unauthenticated(message, challenge=not _is_from_browser(request))
    location = SIGN_IN_PATH
    wanted = request.raw_path + (b"?" + request.query if request.query else b"")
    if request.wants_page and wanted != b"/" and len(wanted) <= _LONGEST_NEXT:
        location += b"?next=" + quote(wanted, safe="/").encode()
    return ApiError(
        HTTPStatus.SEE_OTHER,
        "UNAUTHENTICATED",
        message,
        headers=((b"location", location),),
    )


def _shows_pages(request: Request) -> bool:
    """Whether a person sees the answer. Who signs out when the session is over already, wants
    the sign-in page too."""
    return request.wants_page or (request.method == "POST" and request.raw_path == SIGN_OUT_PATH)


def _is_from_browser(request: Request) -> bool:
    """Whether a challenge would make a browser show its own password dialog.

    Browsers send `Sec-Fetch-Mode` only over TLS and to localhost; else we know them by our
    cookies and by the way in which all of them begin their name.
    """
    if request.header(b"sec-fetch-mode") is not None or has_cookie(request):
        return True
    if request.cookie_values(COMPANION_COOKIE):
        return True
    return (request.header(b"user-agent") or b"").startswith(b"Mozilla/")


def _is_ui_sign_out(request: Request, authorization: bytes) -> bool:
    """Whether these credentials are the made-up ones of MLflow's interface, with a session."""
    if request.raw_path not in CURRENT_USER_PATHS or not has_cookie(request):
        return False
    scheme, _, value = authorization.partition(b" ")
    if scheme.lower() != b"basic":
        return False
    try:
        username, _ = parse(value)
    except Refusal:
        return False
    return username.startswith(_UI_SIGN_OUT_NAME)
