"""Runs wrk: a fixed number of connections, each with its next request as soon as it has an
answer (a closed loop).

wrk itself corrects latencies for coordinated omission: a slow answer counts for the requests
that it kept from being sent. One thread is enough for some ten thousand requests a second with
our script, and leaves the rest of the machine to the system; how much of a core wrk used is
measured at each load, and a load that kept it busy is marked, as it measured wrk.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

SCRIPT = Path(__file__).with_name("requests.lua")
# basic-auth keeps sixteen connections waiting for seconds; wrk's own limit is two.
TIMEOUT_SECONDS = 60
BUSY_SHARE = 0.8


@dataclass(frozen=True, slots=True)
class Load:
    """What came of one load."""

    requests: int
    seconds: float
    p50_ms: float
    p99_ms: float
    statuses: Mapping[int, int]
    # Kinds of trouble below HTTP: connect, read, write, timeout.
    errors: Mapping[str, int]
    generator_share: float

    @property
    def per_second(self) -> float:
        """Answered requests a second."""
        return self.requests / self.seconds

    def fault(self) -> str:
        """Why this load counts for nothing; empty when every request was answered with 200."""
        troubles = [
            f"{times:,} x status {status}"
            for status, times in sorted(self.statuses.items())
            if status != 200
        ]
        troubles += [f"{times:,} x {kind} error" for kind, times in self.errors.items() if times]
        if not troubles and not self.requests:
            return "no request was answered"
        return f"{', '.join(troubles)} among {self.requests:,} requests" if troubles else ""

    def caution(self) -> str:
        """What a reader must know of a valid load; empty when there is nothing."""
        if self.generator_share > BUSY_SHARE:
            return f"wrk itself used {self.generator_share:.0%} of a core: the system may do more"
        return ""


def run_wrk(url: str, plan_file: Path, *, connections: int, seconds: float) -> Load:
    """Send what the plan says for so long; raises `RuntimeError` when wrk can't."""
    wrk = shutil.which("wrk")
    if wrk is None:
        raise FileNotFoundError("wrk is not installed (Debian: wrk)")
    command = [wrk, "--threads", "1", "--connections", str(connections)]
    command += ["--duration", f"{max(1, round(seconds))}s", "--timeout", f"{TIMEOUT_SECONDS}s"]
    command += ["--script", str(SCRIPT), url, "--", str(plan_file)]
    told = plan_file.with_suffix(".wrk")
    with told.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)
        try:
            _, status, used = os.wait4(process.pid, 0)
        except BaseException:
            process.kill()
            process.wait()
            raise
    process.returncode = os.waitstatus_to_exitcode(status)
    return read_load(told.read_text(), busy_seconds=used.ru_utime + used.ru_stime)


def read_load(told: str, *, busy_seconds: float) -> Load:
    """Read the line that requests.lua wrote at its end."""
    _, found, line = told.rpartition("\nBENCH ")
    if not found:
        raise RuntimeError(f"wrk did not finish: {told[-1000:]}")
    numbers = json.loads(line)
    seconds = numbers["microseconds"] / 1e6
    return Load(
        requests=numbers["requests"],
        seconds=seconds,
        p50_ms=numbers["p50"] / 1e3,
        p99_ms=numbers["p99"] / 1e3,
        statuses={int(status): times for status, times in numbers["statuses"].items()},
        errors={kind: numbers[kind] for kind in ("connect", "read", "write", "timeout")},
        generator_share=busy_seconds / seconds,
    )
