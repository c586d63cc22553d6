"""What must be there before anything is made: each check says what it found and how to mend it.

A check is a function of `Surroundings` that yields `Finding`s and changes nothing but what it
notes there. Those in `ACCOUNT_CHECKS` need credentials that work. Start at `check`.
"""

from __future__ import annotations

from collections.abc import Iterator

from headgate.aws.checks import account, machine
from headgate.aws.checks.account import BOOTSTRAP
from headgate.aws.checks.domain_choice import DOMAIN, studio_domain
from headgate.aws.checks.surroundings import Check, Surroundings
from headgate.aws.session import AwsError, explained
from headgate.finding import Finding

__all__ = ["BOOTSTRAP", "DOMAIN", "Surroundings", "check"]

ACCOUNT_CHECKS: tuple[Check, ...] = (
    account.region,
    account.bootstrap,
    account.stacks,
    account.kept_data,
    account.quotas,
    studio_domain,
)
MACHINE_CHECKS: tuple[Check, ...] = (machine.node, machine.image_builder, machine.disk)


def check(around: Surroundings) -> Iterator[Finding]:
    """Every check, each as soon as it is done; without an identity, only those of the machine."""
    identified = True
    for first in (account.known_region, account.identity):
        if identified:
            for finding in _guarded(first, around):
                identified = finding.state != "wrong"
                yield finding
    if identified:
        for account_check in ACCOUNT_CHECKS:
            yield from _guarded(account_check, around)
    for machine_check in MACHINE_CHECKS:
        yield from machine_check(around)


def _guarded(account_check: Check, around: Surroundings) -> Iterator[Finding]:
    """A check that AWS does not answer is a finding, not the end of all others."""
    about = account_check.__name__.replace("_", " ")
    try:
        with explained(around.aws):
            yield from account_check(around)
    except AwsError as error:
        yield Finding(about, "wrong", str(error), error.hint)
