"""What AWS asks for what the stacks make: list prices as data, with their date and region.

On demand, in US dollars, without free tiers and discounts. us-east-1 has the same ones;
elsewhere most are 5 to 25 per cent higher. Change them here and nowhere else; AWS is never asked.
"""

from __future__ import annotations

from dataclasses import dataclass

HOURS_A_MONTH = 730


@dataclass(frozen=True, slots=True)
class Prices:
    """List prices of one region; each field's unit is in its name."""

    region: str
    as_of: str
    nat_gateway_hour: float
    nat_gateway_gb: float
    public_address_hour: float
    interface_endpoint_zone_hour: float
    load_balancer_hour: float
    load_balancer_unit_hour: float
    fargate_arm64_vcpu_hour: float
    fargate_arm64_gb_hour: float
    fargate_x86_64_vcpu_hour: float
    fargate_x86_64_gb_hour: float
    aurora_acu_hour: float
    aurora_gb_month: float
    aurora_million_requests: float
    s3_gb_month: float
    s3_thousand_writes: float
    s3_thousand_reads: float
    secret_month: float
    log_gb: float
    log_gb_month: float
    alarm_month: float
    metric_month: float
    dashboard_month: float
    http_api_million_requests: float
    image_gb_month: float
    traffic_out_gb: float


US_WEST_2 = Prices(
    region="us-west-2",
    as_of="June 2026",
    nat_gateway_hour=0.045,
    nat_gateway_gb=0.045,
    public_address_hour=0.005,
    interface_endpoint_zone_hour=0.01,
    load_balancer_hour=0.0225,
    load_balancer_unit_hour=0.008,
    fargate_arm64_vcpu_hour=0.03238,
    fargate_arm64_gb_hour=0.00356,
    fargate_x86_64_vcpu_hour=0.04048,
    fargate_x86_64_gb_hour=0.004445,
    aurora_acu_hour=0.12,
    aurora_gb_month=0.10,
    aurora_million_requests=0.20,
    s3_gb_month=0.023,
    s3_thousand_writes=0.005,
    s3_thousand_reads=0.0004,
    secret_month=0.40,
    log_gb=0.50,
    log_gb_month=0.03,
    alarm_month=0.10,
    metric_month=0.30,
    dashboard_month=3.00,
    http_api_million_requests=1.00,
    image_gb_month=0.10,
    traffic_out_gb=0.09,
)
