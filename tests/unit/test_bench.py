"""The benchmark's arithmetic and its command line; no server is started here."""

from __future__ import annotations

from pathlib import Path

import pytest
from bench.load.plan import Plan
from bench.load.wrk import read_load
from bench.measures.base import Reading, Row
from bench.measures.requests import load_seconds
from bench.measures.traces import SPANS, trace_body
from bench.options import FULL, QUICK, parse
from bench.report import Cell, Report, figure, summarise, times_better
from bench.run import Outcome

RATE = Row("log-metric, 16 connections", "requests/s", "more")
TIME = Row("log-metric, 16 connections, p50", "ms", "less")


def _readings(row: Row, *values: float) -> list[Reading]:
    return [Reading(row, value) for value in values]


def _report(*only: str, **readings: list[Reading]) -> Report:
    """A report of three rounds; a system's name has its hyphens as underscores here."""
    outcome = Outcome("SQLite", parse(["--only", ",".join(only)]))
    for system, taken in readings.items():
        for reading in taken:
            outcome.add(system.replace("_", "-"), reading)
    return Report(outcome, [("Command", "python -m bench")])


# The command line


def test_without_options_everything_is_measured_at_full_size_on_sqlite() -> None:
    options = parse([])
    assert options.databases == ("sqlite",)
    assert options.systems == ("reference", "basic-auth", "basic-auth-cached", "headgate")
    assert options.sizes == FULL


def test_quick_and_only_choose_small_sizes_and_some_systems() -> None:
    options = parse(["--quick", "--only", "headgate,reference"])
    assert options.sizes == QUICK
    # In our own order, so that the reference is measured and shown first.
    assert options.systems == ("reference", "headgate")


def test_a_size_that_is_given_wins_over_quick() -> None:
    options = parse(["--quick", "--repeat", "2", "--runs", "50"])
    assert (options.sizes.repeat, options.sizes.runs) == (2, 50)
    assert options.sizes.seconds == QUICK.seconds


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--only", "headgate,nginx"], "--only: no nginx; use reference"),
        (["--database", "oracle"], "--database: no oracle; use sqlite"),
        (["--measures", ""], "--measures: no name given; use start-up"),
        (["--repeat", "0"], "at least 1"),
    ],
)
def test_a_wrong_option_is_refused_with_what_it_may_be(
    arguments: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as refusal:
        parse(arguments)
    assert refusal.value.code == 2
    assert told in capsys.readouterr().err


def test_markdown_names_a_file() -> None:
    assert parse(["--markdown", "results.md"]).markdown == Path("results.md")


# Medians and ratios


def test_a_cell_is_the_median_with_the_spread_around_it() -> None:
    cell = summarise(_readings(RATE, 90, 100, 120), expected=3)
    assert cell.median == 100
    assert cell.spread == pytest.approx(0.3)


def test_one_invalid_round_makes_the_cell_invalid() -> None:
    readings = [*_readings(RATE, 90, 100), Reading(RATE, 5_000, fault="3 x status 500")]
    cell = summarise(readings, expected=3)
    assert cell.median is None
    assert cell.fault == "3 x status 500 (1 of 3 rounds)"


def test_a_missing_round_makes_the_cell_invalid() -> None:
    assert summarise(_readings(RATE, 90, 100), expected=3).median is None
    assert summarise([], expected=3).fault == "measured in 0 of 3 rounds"


def test_better_means_more_of_a_rate_and_less_of_a_time() -> None:
    assert times_better(RATE, Cell(400), Cell(100)) == 4
    assert times_better(TIME, Cell(5), Cell(20)) == 4
    assert times_better(TIME, Cell(40), Cell(20)) == 0.5


def test_there_is_no_ratio_without_two_figures() -> None:
    assert times_better(RATE, Cell(None, fault="x"), Cell(100)) is None
    assert times_better(RATE, Cell(400), Cell(None, fault="x")) is None


@pytest.mark.parametrize(
    ("value", "shown"),
    [(0.1234, "0.12"), (1.5, "1.50"), (12.34, "12.3"), (123.4, "123"), (12345.6, "12,346")],
)
def test_a_figure_shows_no_more_digits_than_were_measured(value: float, shown: str) -> None:
    assert figure(value) == shown


# The table


def test_the_table_shows_medians_and_ratios_to_the_reference() -> None:
    report = _report(
        "reference",
        "headgate",
        reference=_readings(RATE, 60, 70, 80),
        headgate=_readings(RATE, 2_700, 2_800, 2_900),
    )
    assert report.valid()
    assert "| log-metric, 16 connections | requests/s | 70.0 | 2,800 (40.0x) |" in report.markdown()
    assert "70.0  2,800 (40.0x)     29%" in report.text()


def test_without_the_reference_there_are_figures_but_no_ratios() -> None:
    report = _report("headgate", headgate=_readings(RATE, 2_700, 2_800, 2_900))
    assert "| 2,800 |" in report.markdown()


def test_a_single_round_has_no_spread() -> None:
    outcome = Outcome("SQLite", parse(["--quick", "--only", "headgate"]))
    outcome.add("headgate", Reading(RATE, 2_800))
    text = Report(outcome, []).text()
    assert "2,800" in text
    assert "spread" not in text


def test_an_invalid_row_shows_no_figure_and_says_why() -> None:
    broken = [Reading(RATE, 9_999, fault="7 x status 502 among 20 requests")] * 3
    report = _report("reference", "headgate", reference=broken, headgate=_readings(RATE, 5, 5, 5))
    assert not report.valid()
    assert "9,999" not in report.text()
    assert "invalid [1]" in report.text()
    assert "[1] 7 x status 502 among 20 requests (3 of 3 rounds)" in report.text()


def test_a_system_that_never_started_makes_the_report_invalid() -> None:
    report = _report("reference", "headgate", reference=_readings(RATE, 60, 70, 80))
    assert not report.valid()
    assert "measured in 0 of 3 rounds" in report.text()


def test_a_caution_stands_beside_a_valid_figure() -> None:
    careful = [Reading(TIME, 3, caution="of fewer than 200 answers")] * 3
    report = _report("reference", reference=careful)
    assert report.valid()
    assert "3.00 [1]" in report.text()
    assert "[1] of fewer than 200 answers" in report.text()


# Loads


def test_a_slow_system_is_loaded_for_longer_within_a_bound() -> None:
    assert load_seconds(10, per_second=2_000, connections=16) == 10
    assert load_seconds(10, per_second=5, connections=16) == 32
    assert load_seconds(10, per_second=1, connections=16) == 60
    assert load_seconds(10, per_second=0, connections=16) == 60


TOLD = (
    'Running 10s test\n\nBENCH {"requests": 300, "microseconds": 10000000, "p50": 1500, '
    '"p99": 9000, "connect": 0, "read": 0, "write": 0, "timeout": 0, "statuses": {"200": 300}}\n'
)


def test_a_load_is_read_from_what_wrk_prints() -> None:
    load = read_load(TOLD, busy_seconds=1)
    assert (load.per_second, load.p50_ms, load.p99_ms) == (30, 1.5, 9)
    assert not load.fault()
    assert not load.caution()


def test_any_answer_but_200_or_any_broken_connection_is_a_fault() -> None:
    told = TOLD.replace('"200": 300', '"200": 299, "503": 1').replace('"read": 0', '"read": 2')
    load = read_load(told, busy_seconds=1)
    assert load.fault() == "1 x status 503, 2 x read error among 300 requests"


def test_a_load_without_any_answer_is_a_fault() -> None:
    told = TOLD.replace('"requests": 300', '"requests": 0').replace('"200": 300', "")
    assert read_load(told, busy_seconds=1).fault() == "no request was answered"


def test_a_busy_load_generator_is_told() -> None:
    assert "wrk itself used 95% of a core" in read_load(TOLD, busy_seconds=9.5).caution()


def test_a_plan_keeps_every_byte_and_every_hole_of_its_body() -> None:
    plan = Plan("POST", "/path", body=b'"\\\x00\xff{{run}}\n{{step}}', runs=["abc"])
    told = plan.lua(headers={"Authorization": 'Basic "x"'}, load=2, salt=b"\x01\x02").decode()
    assert r'{text = "\034\092\000\255"},' in told
    assert '{hole = "run"},' in told
    assert r'{text = "\010"},' in told
    assert r'["Authorization"] = "Basic \034x\034",' in told
    assert "first = 20000000, " in told


def test_every_span_of_a_trace_has_the_hole_for_its_id() -> None:
    body = trace_body()
    assert body.count(b"{{trace}}") == SPANS
    salt = b"12345678"
    assert Plan("POST", "/", body=body).example(salt).count(salt + bytes(8)) == SPANS
