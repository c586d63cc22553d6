"""Alarms, a dashboard, and a record of tasks that stopped. Start at `Observability`."""

from __future__ import annotations

from aws_cdk import Aws, Duration, Stack
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_cloudwatch_actions as actions
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_elasticloadbalancingv2 as elb
from aws_cdk import aws_events as events
from aws_cdk import aws_iam as iam
from aws_cdk import aws_logs as logs
from aws_cdk import aws_rds as rds
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sns_subscriptions as subscriptions
from constructs import Construct

from headgate.aws.constructs.acknowledging import acknowledge
from headgate.aws.constructs.load_balancer import LoadBalancer
from headgate.aws.constructs.logs import log_group

DASHBOARD_NAME = "MLflow"
STOPPED_TASKS_LOG = "/aws/events/mlflowService-stopped-tasks"
_METRICS = "Headgate"
_PERIOD = Duration.minutes(5)
# A database that wakes answers a few requests with 503; so one look never is an alarm.
_LOOKS = 3

_MAX_ERRORS = 10
_MAX_SECONDS = 5.0
_MAX_CPU_PERCENT = 90
_MAX_CAPACITY_PERCENT = 90
_MAX_STOPPED = 3


class Observability(Construct):
    """What tells a team that something is wrong, by e-mail if `email` is given."""

    def __init__(
        self,
        scope: Construct,
        id_: str,
        *,
        load_balancer: LoadBalancer,
        service: ecs.FargateService,
        database: rds.DatabaseCluster,
        email: str | None,
        log_days: int,
    ) -> None:
        super().__init__(scope, id_)
        balancer, targets = load_balancer.balancer.metrics, load_balancer.target_group.metrics
        self._topic = self._make_topic(email) if email else None
        stopped = self._stopped_tasks(service, log_days)
        errors = targets.http_code_target(
            elb.HttpCodeTarget.TARGET_5XX_COUNT, period=_PERIOD, label="by the server"
        )
        unanswered = balancer.http_code_elb(
            elb.HttpCodeElb.ELB_5XX_COUNT, period=_PERIOD, label="by the load balancer"
        )
        latency = {
            quantile: targets.target_response_time(statistic=quantile, period=_PERIOD)
            for quantile in ("p50", "p99")
        }
        unhealthy = targets.unhealthy_host_count(statistic="Maximum", period=_PERIOD)
        cpu = service.metric_cpu_utilization(period=_PERIOD)
        memory = service.metric_memory_utilization(period=_PERIOD)
        capacity = database.metric_acu_utilization(statistic="Maximum", period=_PERIOD)
        connections = database.metric_database_connections(statistic="Maximum", period=_PERIOD)

        all_errors = cloudwatch.MathExpression(
            expression="FILL(a, 0) + FILL(b, 0)",
            using_metrics={"a": errors, "b": unanswered},
            period=_PERIOD,
            label="answers 5xx",
        )
        self._alarm("Errors", all_errors, _MAX_ERRORS, "MLflow answers with errors (5xx)")
        self._alarm("Latency", latency["p99"], _MAX_SECONDS, "MLflow is slow (p99, seconds)")
        self._alarm("Unhealthy", unhealthy, 0, "A task of MLflow fails its health check")
        self._alarm("Cpu", cpu, _MAX_CPU_PERCENT, "MLflow's tasks are short of CPU (percent)")
        self._alarm(
            "DatabaseCapacity",
            capacity,
            _MAX_CAPACITY_PERCENT,
            "The database is near its most capacity (percent)",
        )
        self._alarm("Restarts", stopped, _MAX_STOPPED, "Tasks of MLflow stop again and again", 1)

        self.dashboard = cloudwatch.Dashboard(self, "Dashboard", dashboard_name=DASHBOARD_NAME)
        self.dashboard.add_widgets(
            _graph("Requests", balancer.request_count(period=_PERIOD)),
            _graph("Answers 5xx", errors, unanswered),
            _graph("Seconds to answer", *latency.values()),
        )
        self.dashboard.add_widgets(
            _graph(
                "Tasks behind the load balancer",
                targets.healthy_host_count(statistic="Minimum", period=_PERIOD),
                unhealthy,
            ),
            _graph("CPU and memory of tasks (%)", cpu, memory),
            _graph("Tasks that stopped", stopped),
        )
        self.dashboard.add_widgets(
            _graph(
                "Database capacity (ACU)",
                database.metric_serverless_database_capacity(statistic="Maximum", period=_PERIOD),
            ),
            _graph("Database capacity in use (%)", capacity),
            _graph("Database connections", connections),
        )

    def _make_topic(self, email: str) -> sns.Topic:
        topic = sns.Topic(self, "Alarms", display_name="MLflow alarms", enforce_ssl=True)
        topic.add_subscription(subscriptions.EmailSubscription(email))
        acknowledge(
            topic,
            "SNS2",
            "An alarm says which number was too high, nothing of what MLflow stores; CloudWatch "
            "could publish to an encrypted topic only with a key of our own.",
        )
        return topic

    def _alarm(
        self,
        id_: str,
        metric: cloudwatch.IMetric,
        most: float,
        description: str,
        looks: int = _LOOKS,
    ) -> None:
        alarm = cloudwatch.Alarm(
            self,
            f"{id_}Alarm",
            alarm_description=description,
            metric=metric,
            threshold=most,
            comparison_operator=cloudwatch.ComparisonOperator.GREATER_THAN_THRESHOLD,
            evaluation_periods=looks,
            # No requests, or a database that sleeps, are no reason to worry.
            treat_missing_data=cloudwatch.TreatMissingData.NOT_BREACHING,
        )
        if self._topic is not None:
            alarm.add_alarm_action(actions.SnsAction(self._topic))

    def _stopped_tasks(self, service: ecs.FargateService, log_days: int) -> cloudwatch.Metric:
        """Keep ECS's own words about each task that failed, and count them."""
        group = log_group(self, "StoppedTasks", days=log_days, name=STOPPED_TASKS_LOG)
        rule = events.CfnRule(
            self,
            "StoppedTasksRule",
            description="Tasks of MLflow that stopped by themselves or did not start",
            event_pattern={
                "source": ["aws.ecs"],
                "detail-type": ["ECS Task State Change"],
                "detail": {
                    "clusterArn": [service.cluster.cluster_arn],
                    "group": [f"service:{service.service_name}"],
                    "lastStatus": ["STOPPED"],
                    "stopCode": ["EssentialContainerExited", "TaskFailedToStart"],
                },
            },
            targets=[
                events.CfnRule.TargetProperty(
                    id="log",
                    arn=f"arn:{Aws.PARTITION}:logs:{Stack.of(self).region}:{Aws.ACCOUNT_ID}"
                    f":log-group:{STOPPED_TASKS_LOG}",
                )
            ],
        )
        rule.node.add_dependency(group)
        # The L2 target would bring a Lambda function for this policy.
        logs.CfnResourcePolicy(
            self,
            "StoppedTasksPolicy",
            policy_name="mlflowService-stopped-tasks",
            policy_document=Stack.of(self).to_json_string(
                iam.PolicyDocument(
                    statements=[
                        iam.PolicyStatement(
                            principals=[
                                iam.ServicePrincipal("events.amazonaws.com"),
                                iam.ServicePrincipal("delivery.logs.amazonaws.com"),
                            ],
                            actions=["logs:CreateLogStream", "logs:PutLogEvents"],
                            resources=[group.log_group_arn],
                        )
                    ]
                ).to_json()
            ),
        )
        return group.add_metric_filter(
            "StoppedTasksFilter",
            filter_pattern=logs.FilterPattern.all_events(),
            metric_namespace=_METRICS,
            metric_name="StoppedTasks",
            metric_value="1",
        ).metric(statistic="Sum", period=Duration.minutes(15), label="tasks that stopped")


def _graph(title: str, *metrics: cloudwatch.IMetric) -> cloudwatch.GraphWidget:
    return cloudwatch.GraphWidget(
        title=title, left=list(metrics), width=8, left_y_axis=cloudwatch.YAxisProps(min=0)
    )
