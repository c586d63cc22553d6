"""The log lines of the containers, the newest or as they come. Start at `tail` and `follow`."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from headgate.aws import names
from headgate.aws.deployment import Deployment
from headgate.aws.session import Aws

CONTAINERS = ("nginx", "gateway", "mlflow", "migrate")
# As many streams as one call takes.
_MOST_STREAMS = 100
# CloudWatch shows an event some seconds after it happened, and not in order.
_LATE_SECONDS = 30


@dataclass(frozen=True, slots=True)
class LogLine:
    """A line of a container."""

    when: float
    container: str
    task: str
    text: str
    event_id: str


def tail(aws: Aws, group: str, containers: Sequence[str], *, since: float) -> list[LogLine]:
    """The lines since a time, the oldest first."""
    streams = _streams(aws, group, containers, since)
    if not streams:
        return []
    pages = aws.pages(
        "logs",
        "filter_log_events",
        logGroupName=group,
        logStreamNames=streams,
        startTime=int(since * 1000),
    )
    lines = [
        _line(event["timestamp"], event["logStreamName"], event["message"], event["eventId"])
        for page in pages
        for event in page["events"]
    ]
    return sorted(lines, key=lambda line: line.when)


def follow(
    aws: Aws,
    group: str,
    containers: Sequence[str],
    *,
    since: float,
    every: float = 2.0,
    sleep: Callable[[float], None] = time.sleep,
) -> Iterator[LogLine]:
    """The lines since a time, and then each new one, without end."""
    seen: dict[str, float] = {}
    while True:
        newest = since
        for line in tail(aws, group, containers, since=since):
            newest = max(newest, line.when)
            if line.event_id not in seen:
                seen[line.event_id] = line.when
                yield line
        since = max(since, newest - _LATE_SECONDS)
        seen = {event: when for event, when in seen.items() if when >= since}
        sleep(every)


def log_group(aws: Aws) -> str:
    """The log group of the deployed service."""
    return Deployment(aws).require(names.VPC_STACK, names.LOG_GROUP)


def _streams(aws: Aws, group: str, containers: Sequence[str], since: float) -> list[str]:
    """Streams are `<prefix>/<container>/<task>`; the newest of the wanted containers."""
    found: list[str] = []
    pages = aws.pages(
        "logs", "describe_log_streams", logGroupName=group, orderBy="LastEventTime", descending=True
    )
    for page in pages:
        for stream in page["logStreams"]:
            last = stream.get("lastIngestionTime") or stream.get("lastEventTimestamp") or 0
            # CloudWatch brings this time up to date only within the hour.
            if last and last / 1000 < since - 3600:
                return found[:_MOST_STREAMS]
            if _container(stream["logStreamName"]) in containers:
                found.append(stream["logStreamName"])
    return found[:_MOST_STREAMS]


def _container(stream: str) -> str:
    parts = stream.split("/")
    return parts[-2].removesuffix("Container") if len(parts) >= 2 else stream


def _line(timestamp: int, stream: str, message: str, event_id: str) -> LogLine:
    task = stream.rpartition("/")[2][:8]
    return LogLine(timestamp / 1000, _container(stream), task, message.rstrip(), event_id)
