"""What a person may ask of the benchmark."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.measures import MEASURES
from bench.sizes import FULL, QUICK, Sizes
from bench.systems import SYSTEMS

DATABASES = ("sqlite", "postgresql", "mariadb")

_EXAMPLES = """examples:
  python -m bench --quick
  python -m bench --only headgate,reference --database postgresql
  python -m bench --database sqlite,postgresql,mariadb --markdown bench/RESULTS.md
"""


@dataclass(frozen=True, slots=True)
class Options:
    """The command line, read and checked."""

    databases: tuple[str, ...]
    systems: tuple[str, ...]
    measures: tuple[str, ...]
    sizes: Sizes
    quick: bool
    markdown: Path | None


def parse(arguments: Sequence[str]) -> Options:
    """Read the command line; ends the program with a usage message when it is wrong."""
    parser = _parser()
    given = parser.parse_args(arguments)
    usual = QUICK if given.quick else FULL
    sizes = Sizes(
        repeat=given.repeat or usual.repeat,
        seconds=given.seconds or usual.seconds,
        warm_up_seconds=usual.warm_up_seconds,
        runs=given.runs or usual.runs,
        artifact_megabytes=given.artifact_megabytes or usual.artifact_megabytes,
    )
    return Options(
        databases=_chosen(parser, "--database", given.database, DATABASES),
        systems=_chosen(parser, "--only", given.only, tuple(SYSTEMS)),
        measures=_chosen(parser, "--measures", given.measures, tuple(MEASURES)),
        sizes=sizes,
        quick=given.quick,
        markdown=given.markdown,
    )


def _chosen(
    parser: argparse.ArgumentParser, option: str, text: str | None, known: tuple[str, ...]
) -> tuple[str, ...]:
    """The names in a comma-separated list, in our own order; all of them without a list."""
    if text is None:
        return known
    wanted = {name.strip() for name in text.split(",") if name.strip()}
    unknown = sorted(wanted - set(known))
    if unknown or not wanted:
        parser.error(f"{option}: no {', '.join(unknown) or 'name given'}; use {', '.join(known)}")
    return tuple(name for name in known if name in wanted)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m bench",
        description="Measure Headgate beside MLflow as it is run today, one after the other on "
        "this machine, and print one table with the ratios to the first system.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--database",
        default="sqlite",
        metavar="NAMES",
        help=f"comma-separated, a table for each: {', '.join(DATABASES)} (default: sqlite)",
    )
    parser.add_argument(
        "--only", metavar="NAMES", help=f"comma-separated systems: {', '.join(SYSTEMS)}"
    )
    parser.add_argument(
        "--measures", metavar="NAMES", help=f"comma-separated measures: {', '.join(MEASURES)}"
    )
    parser.add_argument(
        "--quick", action="store_true", help="a smoke run: small sizes, once; minutes, no truth"
    )
    for option, kind, meaning in (
        ("--repeat", _count, f"measure so often, show medians (default: {FULL.repeat})"),
        ("--seconds", _duration, f"length of one load (default: {FULL.seconds:g})"),
        ("--runs", _count, f"runs in the store that is searched (default: {FULL.runs})"),
        ("--artifact-megabytes", _count, f"its size (default: {FULL.artifact_megabytes})"),
    ):
        parser.add_argument(option, type=kind, metavar="N", help=meaning)
    parser.add_argument(
        "--markdown", type=Path, metavar="FILE", help="write the tables there too, as Markdown"
    )
    return parser


def _count(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("at least 1")
    return number


def _duration(text: str) -> float:
    number = float(text)
    if not 0.5 <= number <= 3600:
        raise argparse.ArgumentTypeError("0.5 to 3600 seconds")
    return number
