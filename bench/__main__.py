"""`python -m bench`: measure, then print the table; progress goes to standard error."""

from __future__ import annotations

import signal
import sys
from types import FrameType

from bench.options import Options, parse
from bench.progress import say

# SIGINT too: a shell script that runs us in the background has it ignored otherwise.
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def main(arguments: list[str]) -> int:
    """Run the benchmark; 0 if every row is valid, 1 if one is not, 130 if interrupted."""
    options = parse(arguments)
    for name in SIGNALS:
        signal.signal(name, _interrupt)
    try:
        return _measure(options, arguments)
    except KeyboardInterrupt:
        say("interrupted; everything that was started has been ended")
        return 130


def _measure(options: Options, arguments: list[str]) -> int:
    # Here, so that `--help` answers at once.
    from bench.machine import describe
    from bench.report import Report
    from bench.run import measure_everything

    about = describe(["python -m bench", *arguments])
    reports = []
    for outcome in measure_everything(options):
        report = Report(outcome, about)
        reports.append(report)
        print(report.text(), flush=True)
        if options.markdown is not None:
            # After each database: a long run that breaks later has still written this one.
            tables = [each.markdown() for each in reports]
            options.markdown.write_text("\n".join(["# Benchmark results", "", *tables]))
    return 0 if all(report.valid() for report in reports) else 1


def _interrupt(number: int, frame: FrameType | None) -> None:
    """End us through every `finally`, whatever the signal."""
    for name in SIGNALS:
        # An impatient second one must not cut the clearing up short.
        signal.signal(name, signal.SIG_IGN)
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
