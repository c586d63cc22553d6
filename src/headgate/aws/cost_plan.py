"""From the settings of a deployment to what `costs` reckons with."""

from __future__ import annotations

from headgate.aws.costs import Plan
from headgate.settings.aws import AwsSettings

# What the stacks make in any case; a test holds these numbers to the templates.
SECRETS = 4
ALARMS = 6
DASHBOARDS = 1
# Container Insights counts 8 metrics for a cluster, 6 for a task definition, 11 for a service;
# one more counts the tasks that stopped.
METRICS = 8 + 6 + 11 + 1
# Without a NAT gateway: ECR (two), CloudWatch Logs, Secrets Manager.
INTERFACE_ENDPOINTS = 4


def cost_plan(settings: AwsSettings) -> Plan:
    """What costs something by standing there."""
    return Plan(
        nat_gateways=1 if settings.nat == "gateway" else 0,
        interface_endpoints=0 if settings.nat == "gateway" else INTERFACE_ENDPOINTS,
        public_load_balancer=settings.edge == "alb",
        architecture=settings.architecture,
        tasks=settings.min_tasks,
        vcpu=settings.cpu / 1024,
        memory_gb=settings.memory / 1024,
        least_acu=settings.min_capacity,
        secrets=SECRETS,
        alarms=ALARMS,
        metrics=METRICS,
        dashboards=DASHBOARDS,
    )
