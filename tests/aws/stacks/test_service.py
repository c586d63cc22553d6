"""The service and its load balancer: how many tasks, how they come and go, who reaches them."""

from __future__ import annotations

from tests.aws.stacks.templates import Templates, synthesize

LISTENER = "AWS::ElasticLoadBalancingV2::Listener"
TARGETS = "AWS::ElasticLoadBalancingV2::TargetGroup"
BALANCER = "AWS::ElasticLoadBalancingV2::LoadBalancer"


def attributes(templates: Templates, kind: str) -> dict[str, str]:
    listed = templates.only(kind)[f"{kind.rpartition('::')[2]}Attributes"]
    return {each["Key"]: each["Value"] for each in listed}


def test_tasks_are_in_private_subnets_without_public_addresses(default: Templates) -> None:
    service = default.only("AWS::ECS::Service")
    assert service["ServiceName"] == "mlflowService"
    network = service["NetworkConfiguration"]["AwsvpcConfiguration"]
    assert network["AssignPublicIp"] == "DISABLED"
    assert [subnet.split("/")[-2] for subnet in network["Subnets"]] == [
        "privateSubnet1",
        "privateSubnet2",
    ]
    assert service["EnableExecuteCommand"] is False


def test_new_tasks_come_before_old_ones_go_and_a_bad_deployment_is_rolled_back(
    default: Templates,
) -> None:
    deployment = default.only("AWS::ECS::Service")["DeploymentConfiguration"]
    assert deployment["MinimumHealthyPercent"] == 100
    assert deployment["MaximumPercent"] == 200
    assert deployment["DeploymentCircuitBreaker"] == {"Enable": True, "Rollback": True}


def test_two_tasks_become_six_under_load_and_a_deployment_takes_none_back(
    default: Templates,
) -> None:
    target = default.only("AWS::ApplicationAutoScaling::ScalableTarget")
    assert (target["MinCapacity"], target["MaxCapacity"]) == (2, 6)
    assert "DesiredCount" not in default.only("AWS::ECS::Service")


def test_load_is_cpu_and_requests_and_both_are_settings() -> None:
    templates = synthesize(min_tasks=1, max_tasks=3, cpu_percent=50, requests_per_task=600)
    policies = {
        found["TargetTrackingScalingPolicyConfiguration"]["PredefinedMetricSpecification"][
            "PredefinedMetricType"
        ]: found["TargetTrackingScalingPolicyConfiguration"]
        for found in templates.of_type("AWS::ApplicationAutoScaling::ScalingPolicy").values()
    }
    assert policies["ECSServiceAverageCPUUtilization"]["TargetValue"] == 50
    assert policies["ALBRequestCountPerTarget"]["TargetValue"] == 600
    for policy in policies.values():
        assert (policy["ScaleInCooldown"], policy["ScaleOutCooldown"]) == (60, 60)
    target = templates.only("AWS::ApplicationAutoScaling::ScalableTarget")
    assert (target["MinCapacity"], target["MaxCapacity"]) == (1, 3)


def test_a_task_starts_when_its_database_and_permissions_are_there(default: Templates) -> None:
    service = default.vpc["Resources"]["Service/mlflowService/Service"]
    needed = set(service["DependsOn"])
    assert {"BackendStore/mlflowService-cluster/Writer", "TaskRole/DefaultPolicy"} <= needed
    assert "LoadBalancer/httpapiInternalALB/httpapiListener" in needed


def test_targets_are_asked_over_https_for_the_status_of_nginx(default: Templates) -> None:
    targets = default.only(TARGETS)
    assert (targets["Protocol"], targets["Port"], targets["TargetType"]) == ("HTTPS", 8443, "ip")
    assert targets["HealthCheckProtocol"] == "HTTPS"
    assert targets["HealthCheckPath"] == "/elb-status"
    assert targets["Matcher"] == {"HttpCode": "200"}


def test_a_task_that_goes_finishes_the_longest_request_of_an_http_api(default: Templates) -> None:
    assert int(attributes(default, TARGETS)["deregistration_delay.timeout_seconds"]) > 30


def test_the_load_balancer_is_internal_and_plain_without_a_certificate(default: Templates) -> None:
    balancer = default.only(BALANCER)
    assert (balancer["Name"], balancer["Scheme"]) == ("httpapiInternalALB", "internal")
    listener = default.only(LISTENER)
    assert (listener["Protocol"], listener["Port"]) == ("HTTP", 80)


def test_a_domain_puts_https_on_its_listener_with_a_certificate_of_its_zone(
    everything: Templates,
) -> None:
    listener = everything.only(LISTENER)
    assert (listener["Protocol"], listener["Port"]) == ("HTTPS", 443)
    assert listener["Certificates"] == [{"CertificateArn": "<Certificate>"}]
    assert "TLS13" in listener["SslPolicy"]
    certificate = everything.only("AWS::CertificateManager::Certificate")
    assert certificate["DomainName"] == "mlflow.example.com"
    assert certificate["ValidationMethod"] == "DNS"


def test_a_certificate_that_exists_is_taken() -> None:
    arn = "arn:aws:acm:us-west-2:123456789012:certificate/0-1"
    templates = synthesize(domain_name="mlflow.example.com", certificate_arn=arn)
    assert templates.only(LISTENER)["Certificates"] == [{"CertificateArn": arn}]
    assert not templates.of_type("AWS::CertificateManager::Certificate")


def test_broken_headers_are_dropped_and_accesses_logged(default: Templates) -> None:
    found = attributes(default, BALANCER)
    assert found["routing.http.drop_invalid_header_fields.enabled"] == "true"
    assert found["routing.http.desync_mitigation_mode"] == "strictest"
    assert found["idle_timeout.timeout_seconds"] == "60"
    assert found["access_logs.s3.enabled"] == "true"
    assert found["access_logs.s3.bucket"] == "<AccessLogs/Bucket>"


def test_a_public_load_balancer_speaks_https_and_sends_plain_http_there(public: Templates) -> None:
    balancer = public.only(BALANCER)
    assert balancer["Scheme"] == "internet-facing"
    assert all("publicSubnet" in subnet for subnet in balancer["Subnets"])
    listeners = {found["Port"]: found for found in public.of_type(LISTENER).values()}
    assert set(listeners) == {80, 443}
    assert listeners[443]["Protocol"] == "HTTPS"
    (action,) = listeners[80]["DefaultActions"]
    assert action["RedirectConfig"]["Protocol"] == "HTTPS"


def test_one_edge_can_be_changed_into_the_other(default: Templates, public: Templates) -> None:
    """What is replaced may not have the old one's name, nor may its group be replaced."""
    for kind in (BALANCER, TARGETS):
        assert default.only(kind)["Name"] != public.only(kind)["Name"]
    groups = [
        templates.of_type("AWS::EC2::SecurityGroup")["LoadBalancer/SecurityGroup"]
        for templates in (default, public)
    ]
    assert groups[0]["GroupDescription"] == groups[1]["GroupDescription"]


def test_the_cluster_is_watched(default: Templates) -> None:
    cluster = default.only("AWS::ECS::Cluster")
    assert cluster["ClusterName"] == "mlflowCluster"
    assert {"Name": "containerInsights", "Value": "enabled"} in cluster["ClusterSettings"]
