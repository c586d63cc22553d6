"""Every combination of the main settings synthesizes, and CloudFormation's rules accept it."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from tests.aws.stacks.conftest import DOMAIN
from tests.aws.stacks.templates import synthesize

EDGES: list[dict[str, Any]] = [
    {},
    DOMAIN,
    {"authorizer": "iam", "iam_users": ["arn:aws:iam::123456789012:user/alice=alice"]},
    {**DOMAIN, "edge": "alb"},
]
COMBINATIONS = list(
    itertools.product(
        ("gateway", "none"),
        ("mysql", "postgresql"),
        EDGES,
        (
            {},
            {"architecture": "x86_64", "alarm_email": "team@example.com", "studio": False},
        ),
    )
)


@pytest.mark.parametrize(("nat", "engine", "edge", "rest"), COMBINATIONS)
def test_it_synthesizes(nat: str, engine: str, edge: dict[str, Any], rest: dict[str, Any]) -> None:
    templates = synthesize(nat=nat, engine=engine, **edge, **rest)
    assert len(templates.raw) == (2 if rest else 3)
    for template in templates.raw.values():
        assert template["Resources"]
