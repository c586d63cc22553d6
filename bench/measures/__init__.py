"""The measures, in the order in which they are taken and shown."""

from __future__ import annotations

from bench.measures.artifact import Artifact
from bench.measures.base import Measure, Reading, Row
from bench.measures.log_metric import LogMetric
from bench.measures.memory import Memory
from bench.measures.search_runs import SearchRuns
from bench.measures.start_up import StartUp
from bench.measures.traces import Traces

MEASURES: dict[str, Measure] = {
    measure.name: measure
    for measure in (StartUp(), Memory(), LogMetric(), SearchRuns(), Traces(), Artifact())
}

__all__ = ["MEASURES", "Measure", "Reading", "Row"]
