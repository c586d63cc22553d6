"""What tells a team that something is wrong."""

from __future__ import annotations

import json

from tests.aws.stacks.templates import Templates

ALARM = "AWS::CloudWatch::Alarm"


def test_there_is_an_alarm_for_each_thing_that_goes_wrong(default: Templates) -> None:
    names = {path.rpartition("/")[2] for path in default.of_type(ALARM)}
    assert names == {
        "ErrorsAlarm",
        "LatencyAlarm",
        "UnhealthyAlarm",
        "CpuAlarm",
        "DatabaseCapacityAlarm",
        "RestartsAlarm",
    }


def test_alarms_look_at_what_they_are_named_for(default: Templates) -> None:
    alarms = {path.rpartition("/")[2]: found for path, found in default.of_type(ALARM).items()}
    assert alarms["LatencyAlarm"]["ExtendedStatistic"] == "p99"
    assert alarms["UnhealthyAlarm"]["MetricName"] == "UnHealthyHostCount"
    assert alarms["CpuAlarm"]["MetricName"] == "CPUUtilization"
    assert alarms["DatabaseCapacityAlarm"]["MetricName"] == "ACUUtilization"
    counted = {
        each["MetricStat"]["Metric"]["MetricName"]
        for each in alarms["ErrorsAlarm"]["Metrics"]
        if "MetricStat" in each
    }
    assert counted == {"HTTPCode_Target_5XX_Count", "HTTPCode_ELB_5XX_Count"}


def test_a_database_that_sleeps_and_hours_without_requests_are_no_alarm(default: Templates) -> None:
    for alarm in default.of_type(ALARM).values():
        assert alarm["TreatMissingData"] == "notBreaching"


def test_tasks_that_stop_by_themselves_are_recorded_and_counted(default: Templates) -> None:
    rule = default.only("AWS::Events::Rule")
    assert rule["EventPattern"]["detail"]["stopCode"] == [
        "EssentialContainerExited",
        "TaskFailedToStart",
    ]
    log = "/aws/events/mlflowService-stopped-tasks"
    assert rule["Targets"][0]["Arn"].endswith(f":log-group:{log}")
    assert (
        default.of_type("AWS::Logs::LogGroup")["Observability/StoppedTasks"]["LogGroupName"] == log
    )
    policy = json.loads(default.only("AWS::Logs::ResourcePolicy")["PolicyDocument"])
    assert policy["Statement"][0]["Principal"]["Service"] == [
        "events.amazonaws.com",
        "delivery.logs.amazonaws.com",
    ]
    (transformation,) = default.only("AWS::Logs::MetricFilter")["MetricTransformations"]
    alarm = default.of_type(ALARM)["Observability/RestartsAlarm"]
    (counted,) = alarm["Metrics"]
    assert counted["MetricStat"]["Metric"] == {
        "Namespace": transformation["MetricNamespace"],
        "MetricName": transformation["MetricName"],
    }


def test_an_email_hears_of_every_alarm(everything: Templates, default: Templates) -> None:
    subscription = everything.only("AWS::SNS::Subscription")
    assert (subscription["Protocol"], subscription["Endpoint"]) == ("email", "team@example.com")
    for alarm in everything.of_type(ALARM).values():
        assert alarm["AlarmActions"] == ["<Observability/Alarms>"]
    assert not default.of_type("AWS::SNS::Topic")
    assert all("AlarmActions" not in alarm for alarm in default.of_type(ALARM).values())


def test_the_dashboard_shows_what_the_alarms_look_at(default: Templates) -> None:
    dashboard = default.only("AWS::CloudWatch::Dashboard")
    assert dashboard["DashboardName"] == "MLflow"
    body = json.loads(dashboard["DashboardBody"])
    titles = {widget["properties"]["title"] for widget in body["widgets"]}
    assert {"Requests", "Answers 5xx", "Seconds to answer", "Database capacity (ACU)"} <= titles
    shown = json.dumps(body)
    for alarm in default.of_type(ALARM).values():
        if "MetricName" in alarm:
            assert alarm["MetricName"] in shown


def test_every_log_ends_after_the_days_of_the_setting(everything: Templates) -> None:
    for path, group in everything.of_type("AWS::Logs::LogGroup").items():
        assert group["RetentionInDays"] == 30, path
