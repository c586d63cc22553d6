"""Writes docs/aws-costs.md from the price list. Run by `make docs`. Start at `costs_page`."""

from __future__ import annotations

from collections.abc import Iterator

from headgate.aws.cost_plan import cost_plan
from headgate.aws.costs import BUSY, monthly, total_busy, total_idle
from headgate.aws.prices import US_WEST_2 as PRICES
from headgate.settings.aws import AwsSettings

OTHER_SETTINGS = {
    '`nat = "none"`': AwsSettings(nat="none"),
    '`edge = "alb"`': AwsSettings(
        edge="alb", domain_name="mlflow.example.com", hosted_zone_id="Z0123456789ABC"
    ),
    '`architecture = "x86_64"`': AwsSettings(architecture="x86_64"),
    "`min_tasks = 1`": AwsSettings(min_tasks=1),
    "`min_capacity = 0.5` (never pauses)": AwsSettings(min_capacity=0.5),
}


def costs_page(notice: str) -> str:
    """What a month costs, with the arithmetic, for the usual settings and their kin."""
    return "\n".join(_lines(notice)) + "\n"


def _lines(notice: str) -> Iterator[str]:
    yield from ("# What a month on AWS costs", "", f"<!-- {notice} -->", "")
    yield f"List prices of {PRICES.region}, {PRICES.as_of}, in US dollars, without free tiers;"
    yield "other regions mostly ask 5 to 25 % more. `headgate aws deploy` shows this table for"
    yield "your settings before it asks."
    yield ""
    yield f"Idle: nobody comes, and the database is paused. Busy: {BUSY.hours:g} hours of a team's"
    yield f"work with {BUSY.million_requests:g} million requests, {BUSY.more_tasks:g} task more and"
    yield f"{BUSY.acu:g} ACU in those hours, {BUSY.artifact_gb:g} GB of artifacts,"
    yield f"{BUSY.traffic_out_gb:g} GB sent out. Studio's apps, training and endpoints cost what"
    yield "you run there."
    lines = monthly(cost_plan(AwsSettings()), PRICES)
    yield from ("", "| | idle | busy | how |", "|---|---:|---:|---|")
    for line in lines:
        yield f"| {line.item} | {line.idle():.2f} | {line.busy():.2f} | {line.arithmetic()} |"
    yield f"| **together** | **{total_idle(lines):.2f}** | **{total_busy(lines):.2f}** | |"
    yield from ("", "With other settings:", "", "| `[aws]` | idle | busy |", "|---|---:|---:|")
    for words, settings in OTHER_SETTINGS.items():
        lines = monthly(cost_plan(settings), PRICES)
        yield f"| {words} | {total_idle(lines):.2f} | {total_busy(lines):.2f} |"
