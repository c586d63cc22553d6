"""AWS IAM: API Gateway has verified who signed a request, and says so in a header.

We verify no signature ourselves. The header counts only where it comes from a peer that the
settings name (nginx of our own task, behind the VPC link), which `head.py` decides and notes on
the request; from anywhere else it is dropped there. Which principal is which user is a setting;
the user must exist in MLflow, and RBAC is MLflow's, as for everybody.
"""

from __future__ import annotations

from collections.abc import Sequence

from headgate.gateway.identity.directory import Directory
from headgate.gateway.identity.principal import Principal
from headgate.gateway.identity.refusal import Refusal
from headgate.gateway.identity.throttle import Throttle
from headgate.gateway.request import Request
from headgate.settings.aws_names import IamUser, parse_iam_user, principal_of

SIGNATURE_SCHEME = b"aws4-hmac-sha256"
_LONGEST = 2048  # the longest ARN of a role's session
_NOBODY = "This IAM principal is no user of this server."


class IamWayIn:
    """Lets in whom API Gateway names, as the user that `mappings` (settings) have for them."""

    def __init__(
        self, *, mappings: Sequence[str], directory: Directory, throttle: Throttle
    ) -> None:
        self._users: list[IamUser] = [parse_iam_user(mapping) for mapping in mappings]
        self._directory = directory
        self._throttle = throttle

    async def identify(self, request: Request) -> Principal:
        """Who this request's IAM principal is. Raises `Refusal`."""
        caller = request.iam_caller or ""
        principal = principal_of(caller) if len(caller) <= _LONGEST else None
        if principal is None:
            self._throttle.charge_guess("iam", request.client)
            raise Refusal("malformed", _NOBODY)
        username = self._username(principal)
        user = await self._directory.user(username) if username is not None else None
        if user is None:
            self._throttle.charge_guess("iam", request.client)
            raise Refusal("credential", _NOBODY)
        return Principal(user.id, user.username, user.is_admin, "iam")

    def _username(self, principal: str) -> str | None:
        return next((user.username for user in self._users if user.matches(principal)), None)
