"""What a month costs, idle and busy, with the arithmetic that says why.

Idle is a deployment that nobody uses: its database is paused. Busy is one team's month, written
down in `BUSY`. A line is a sum of products of `Quantity`s, so what is printed is what was
multiplied. Pure: no AWS, no settings. Start at `monthly`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from headgate.aws.prices import HOURS_A_MONTH, Prices

ZONES = 2


@dataclass(frozen=True, slots=True)
class Plan:
    """What will be made, as far as it costs something by itself."""

    nat_gateways: int
    interface_endpoints: int
    public_load_balancer: bool
    architecture: Literal["arm64", "x86_64"]
    tasks: int
    vcpu: float
    memory_gb: float
    least_acu: float
    secrets: int
    alarms: int
    metrics: int
    dashboards: int


@dataclass(frozen=True, slots=True)
class Usage:
    """What a month's work amounts to beyond standing there."""

    hours: float
    more_tasks: float
    acu: float
    million_requests: float
    million_statements: float
    database_gb: float
    artifact_gb: float
    thousand_artifacts: float
    traffic_out_gb: float
    egress_gb: float
    log_gb: float
    load_balancer_units: float


# A team of ten: 22 days of ten hours, a training job or two at any time of them.
BUSY = Usage(
    hours=220,
    more_tasks=1,
    acu=2,
    million_requests=10,
    million_statements=50,
    database_gb=20,
    artifact_gb=200,
    thousand_artifacts=100,
    traffic_out_gb=50,
    egress_gb=20,
    log_gb=10,
    load_balancer_units=1,
)


@dataclass(frozen=True, slots=True)
class Quantity:
    """A factor: how many of what."""

    amount: float
    unit: str = ""

    def __str__(self) -> str:
        return f"{self.amount:.6g} {self.unit}".strip()


@dataclass(frozen=True, slots=True)
class Product:
    """Quantities times a price."""

    factors: tuple[Quantity, ...]
    price: float

    def dollars(self) -> float:
        """The value, not rounded."""
        return math.prod(factor.amount for factor in self.factors) * self.price

    def __str__(self) -> str:
        return " x ".join([*map(str, self.factors), f"{self.price:.6g}"])


@dataclass(frozen=True, slots=True)
class Line:
    """One thing to pay for: what it costs in any case, and what a busy month adds."""

    item: str
    always: tuple[Product, ...] = ()
    when_busy: tuple[Product, ...] = ()

    def idle(self) -> float:
        """Dollars of a month in which nobody comes."""
        return sum(product.dollars() for product in self.always)

    def busy(self) -> float:
        """Dollars of a month of `BUSY`."""
        return self.idle() + sum(product.dollars() for product in self.when_busy)

    def arithmetic(self) -> str:
        """How the two numbers came about."""
        always = " + ".join(map(str, self.always)) or "0"
        if not self.when_busy:
            return always
        return f"{always}; busy: + {' + '.join(map(str, self.when_busy))}"


def monthly(plan: Plan, prices: Prices, usage: Usage = BUSY) -> list[Line]:
    """Every line of the bill, the standing ones first."""
    return [
        *_network(plan, prices, usage),
        *_compute(plan, prices, usage),
        *_stores(plan, prices, usage),
        *_watching(plan, prices, usage),
    ]


def total_idle(lines: list[Line]) -> float:
    """The sum of a month in which nobody comes."""
    return sum(line.idle() for line in lines)


def total_busy(lines: list[Line]) -> float:
    """The sum of a busy month."""
    return sum(line.busy() for line in lines)


def _hours(count: float = HOURS_A_MONTH) -> Quantity:
    return Quantity(count, "h")


def _network(plan: Plan, prices: Prices, usage: Usage) -> Iterator[Line]:
    addresses = plan.nat_gateways
    if plan.nat_gateways:
        gateways = Quantity(plan.nat_gateways, "gateway")
        yield Line(
            "NAT gateway",
            (Product((gateways, _hours()), prices.nat_gateway_hour),),
            (Product((Quantity(usage.egress_gb, "GB"),), prices.nat_gateway_gb),),
        )
    if plan.interface_endpoints:
        endpoints = Quantity(plan.interface_endpoints, "endpoints")
        factors = (endpoints, Quantity(ZONES, "zones"), _hours())
        yield Line("Interface endpoints", (Product(factors, prices.interface_endpoint_zone_hour),))
    yield Line(
        "Load balancer",
        (Product((_hours(),), prices.load_balancer_hour),),
        (
            Product(
                (Quantity(usage.load_balancer_units, "LCU"), _hours(usage.hours)),
                prices.load_balancer_unit_hour,
            ),
        ),
    )
    if plan.public_load_balancer:
        addresses += ZONES
    else:
        requests = Quantity(usage.million_requests, "million requests")
        yield Line("HTTP API", (), (Product((requests,), prices.http_api_million_requests),))
    if addresses:
        standing = (Quantity(addresses, "address"), _hours())
        yield Line("Public IPv4", (Product(standing, prices.public_address_hour),))
    traffic = Quantity(usage.traffic_out_gb, "GB")
    yield Line("Traffic out", (), (Product((traffic,), prices.traffic_out_gb),))


def _compute(plan: Plan, prices: Prices, usage: Usage) -> Iterator[Line]:
    arm = plan.architecture == "arm64"
    vcpu_hour = prices.fargate_arm64_vcpu_hour if arm else prices.fargate_x86_64_vcpu_hour
    gb_hour = prices.fargate_arm64_gb_hour if arm else prices.fargate_x86_64_gb_hour
    tasks = (Quantity(plan.tasks, "tasks"), _hours())
    more = (Quantity(usage.more_tasks, "task more"), _hours(usage.hours))
    for item, size, price in (
        (f"Fargate {plan.architecture}, vCPU", Quantity(plan.vcpu, "vCPU"), vcpu_hour),
        (f"Fargate {plan.architecture}, memory", Quantity(plan.memory_gb, "GB"), gb_hour),
    ):
        yield Line(item, (Product((*tasks, size), price),), (Product((*more, size), price),))


def _stores(plan: Plan, prices: Prices, usage: Usage) -> Iterator[Line]:
    capacity = (
        (Product((Quantity(plan.least_acu, "ACU"), _hours()), prices.aurora_acu_hour),)
        if plan.least_acu
        else ()
    )
    # Where some capacity always runs, a busy hour pays only for what comes on top.
    more = max(usage.acu - plan.least_acu, 0)
    yield Line(
        "Aurora, capacity" if plan.least_acu else "Aurora, capacity (idle: paused)",
        capacity,
        (Product((Quantity(more, "ACU"), _hours(usage.hours)), prices.aurora_acu_hour),),
    )
    statements = Quantity(usage.million_statements, "million I/Os")
    yield Line(
        "Aurora, storage and I/O",
        (Product((Quantity(1, "GB"),), prices.aurora_gb_month),),
        (
            Product((Quantity(usage.database_gb - 1, "GB"),), prices.aurora_gb_month),
            Product((statements,), prices.aurora_million_requests),
        ),
    )
    artifacts = Quantity(usage.thousand_artifacts, "thousand")
    yield Line(
        "S3, artifacts",
        (),
        (
            Product((Quantity(usage.artifact_gb, "GB"),), prices.s3_gb_month),
            Product((artifacts,), prices.s3_thousand_writes),
            Product((artifacts,), prices.s3_thousand_reads),
        ),
    )
    yield Line(
        "Secrets Manager",
        (Product((Quantity(plan.secrets, "secrets"),), prices.secret_month),),
    )
    yield Line("ECR, images", (Product((Quantity(1.5, "GB"),), prices.image_gb_month),))


def _watching(plan: Plan, prices: Prices, usage: Usage) -> Iterator[Line]:
    logs = Quantity(usage.log_gb, "GB")
    yield Line(
        "CloudWatch logs",
        (Product((Quantity(0.5, "GB"),), prices.log_gb),),
        (Product((logs,), prices.log_gb), Product((logs,), prices.log_gb_month)),
    )
    alarms = Quantity(plan.alarms, "alarms")
    metrics = Quantity(plan.metrics, "metrics")
    dashboards = Quantity(plan.dashboards, "dashboard")
    yield Line(
        "CloudWatch metrics, alarms, dashboard",
        (
            Product((metrics,), prices.metric_month),
            Product((alarms,), prices.alarm_month),
            Product((dashboards,), prices.dashboard_month),
        ),
    )
