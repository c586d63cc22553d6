"""Who somebody is, once we know it."""

from __future__ import annotations

from dataclasses import dataclass

from headgate.observation import WayIn


@dataclass(frozen=True, slots=True)
class Principal:
    """A user of MLflow's auth tables, and how they came in.

    `read_only` (a token's) refuses every change, whatever RBAC would allow. `expires_at` (ms) is
    when the token ends that let them in, if it ends.
    """

    user_id: int
    username: str
    is_admin: bool
    way_in: WayIn
    read_only: bool = False
    expires_at: int | None = None
