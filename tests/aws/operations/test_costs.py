"""The price of a month: what is printed is what was multiplied."""

from __future__ import annotations

import dataclasses
import re

import pytest

from headgate.aws.costs import BUSY, Line, Plan, monthly, total_busy, total_idle
from headgate.aws.prices import US_WEST_2

USUAL = Plan(
    nat_gateways=1,
    interface_endpoints=0,
    public_load_balancer=False,
    architecture="arm64",
    tasks=2,
    vcpu=1,
    memory_gb=4,
    least_acu=0,
    secrets=4,
    alarms=8,
    metrics=26,
    dashboards=1,
)


def line(plan: Plan, item: str) -> Line:
    return next(each for each in monthly(plan, US_WEST_2) if each.item.startswith(item))


def worked_out(arithmetic: str) -> float:
    """A person with a pocket calculator: `2 tasks x 730 h x 0.03 + 1 GB x 0.1`."""
    total = 0.0
    for product in arithmetic.split(" + "):
        value = 1.0
        for factor in product.split(" x "):
            value *= float(factor.split()[0])
        total += value
    return total


@pytest.mark.parametrize(
    "plan",
    [
        USUAL,
        dataclasses.replace(USUAL, nat_gateways=0, interface_endpoints=7),
        dataclasses.replace(USUAL, public_load_balancer=True),
        dataclasses.replace(USUAL, architecture="x86_64", vcpu=2, memory_gb=8, tasks=4),
        dataclasses.replace(USUAL, least_acu=0.5),
    ],
)
def test_every_line_comes_out_as_its_own_arithmetic_says(plan: Plan) -> None:
    for each in monthly(plan, US_WEST_2):
        always, _, busy = each.arithmetic().partition("; busy: + ")
        assert worked_out(always) == pytest.approx(each.idle(), rel=1e-6, abs=1e-9)
        more = worked_out(busy) if busy else 0
        assert always != "0" or each.idle() == 0
        assert each.idle() + more == pytest.approx(each.busy(), rel=1e-6)


def test_the_totals_are_the_sums_of_the_lines() -> None:
    lines = monthly(USUAL, US_WEST_2)
    assert total_idle(lines) == pytest.approx(sum(each.idle() for each in lines))
    assert total_busy(lines) == pytest.approx(sum(each.busy() for each in lines))
    assert total_idle(lines) < total_busy(lines)


def test_the_numbers_are_those_of_the_price_list() -> None:
    assert line(USUAL, "NAT gateway").idle() == pytest.approx(730 * 0.045)  # 32.85
    assert line(USUAL, "Load balancer").idle() == pytest.approx(730 * 0.0225)  # 16.43
    assert line(USUAL, "Fargate arm64, vCPU").idle() == pytest.approx(2 * 730 * 0.03238)
    assert line(USUAL, "Fargate arm64, memory").idle() == pytest.approx(2 * 730 * 4 * 0.00356)
    assert 125 < total_idle(monthly(USUAL, US_WEST_2)) < 140


def test_a_paused_database_costs_nothing_but_its_storage() -> None:
    assert line(USUAL, "Aurora, capacity").idle() == 0
    assert "paused" in line(USUAL, "Aurora, capacity").item
    assert line(USUAL, "Aurora, storage").idle() == pytest.approx(0.10)


def test_capacity_that_always_runs_is_not_paid_twice_when_busy() -> None:
    plan = dataclasses.replace(USUAL, least_acu=0.5)
    capacity = line(plan, "Aurora, capacity")
    assert capacity.idle() == pytest.approx(0.5 * 730 * 0.12)
    assert capacity.busy() == pytest.approx(0.5 * 730 * 0.12 + (BUSY.acu - 0.5) * 220 * 0.12)


def test_without_nat_there_are_endpoints_instead() -> None:
    plan = dataclasses.replace(USUAL, nat_gateways=0, interface_endpoints=4)
    items = [each.item for each in monthly(plan, US_WEST_2)]
    assert "NAT gateway" not in items
    assert "Public IPv4" not in items
    assert line(plan, "Interface endpoints").idle() == pytest.approx(58.40)


def test_a_public_load_balancer_replaces_the_http_api_and_has_two_addresses() -> None:
    plan = dataclasses.replace(USUAL, public_load_balancer=True)
    assert "HTTP API" not in [each.item for each in monthly(plan, US_WEST_2)]
    assert line(plan, "Public IPv4").idle() == pytest.approx(3 * 730 * 0.005)


def test_prices_say_of_when_and_where_they_are() -> None:
    assert US_WEST_2.region == "us-west-2"
    assert re.fullmatch(r"[A-Z][a-z]+ 20\d\d", US_WEST_2.as_of)
