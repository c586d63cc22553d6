"""One table of an outcome: medians, and how many times better each is than the reference.

A cell without a complete set of valid readings shows no figure, and a note says why: a
system must not look fast because it answered with errors.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from bench.measures.base import Reading, Row
from bench.run import Outcome
from bench.systems import REFERENCE, SYSTEMS

RATIO_HELP = (
    "In brackets: how many times better than {reference} (more for rates, less for times and "
    "memory)."
)
SPREAD_HELP = (
    "Spread: the widest gap between the highest and the lowest round of a row, as a part of its "
    "median."
)


@dataclass(frozen=True, slots=True)
class Cell:
    """What one system reached in one row: a median, or why there is none."""

    median: float | None
    spread: float = 0.0
    fault: str = ""
    cautions: tuple[str, ...] = ()


def summarise(readings: Sequence[Reading], *, expected: int) -> Cell:
    """The cell of these readings, of which there must be `expected`."""
    faults = [reading.fault for reading in readings if reading.fault]
    if faults:
        return Cell(None, fault=f"{faults[0]} ({len(faults)} of {expected} rounds)")
    if len(readings) < expected:
        return Cell(None, fault=f"measured in {len(readings)} of {expected} rounds")
    values = [reading.value for reading in readings]
    median = statistics.median(values)
    spread = (max(values) - min(values)) / median if median else 0.0
    cautions = tuple(dict.fromkeys(reading.caution for reading in readings if reading.caution))
    return Cell(median, spread, cautions=cautions)


def times_better(row: Row, cell: Cell, reference: Cell) -> float | None:
    """How many times better than the reference; None where either has no figure."""
    if not cell.median or not reference.median:
        return None
    if row.better == "more":
        return cell.median / reference.median
    return reference.median / cell.median


def figure(value: float) -> str:
    """Three significant digits, none of them invented, thousands apart."""
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"


class Report:
    """The table of one outcome, as text and as Markdown."""

    def __init__(self, outcome: Outcome, about: Sequence[tuple[str, str]]) -> None:
        self._outcome = outcome
        self._about = about
        self._names = outcome.options.systems
        self._repeat = outcome.options.sizes.repeat
        self._cells = {
            row: {
                name: summarise(by_system.get(name, []), expected=self._repeat)
                for name in self._names
            }
            for row, by_system in outcome.readings.items()
        }
        self._notes: list[str] = []
        self._lines = [self._line(row) for row in self._cells]

    def valid(self) -> bool:
        """Whether every system gave a valid figure in every row."""
        cells = [cell for line in self._cells.values() for cell in line.values()]
        return bool(cells) and not any(cell.fault for cell in cells)

    def text(self) -> str:
        """For a terminal."""
        lines = [self._header(), *self._lines]
        widths = [max(len(line[place]) for line in lines) for place in range(len(lines[0]))]
        rule = "  ".join("-" * width for width in widths)
        table = [
            "  ".join(
                part.ljust(width) if place == 0 else part.rjust(width)
                for place, (part, width) in enumerate(zip(line, widths, strict=True))
            )
            for line in lines
        ]
        table.insert(1, rule)
        about = [f"{name}: {value}" for name, value in self._explained()]
        return "\n".join([self._title(), "", *table, "", *self._numbered("[{}] {}"), *about, ""])

    def markdown(self) -> str:
        """For a file that people read on the web."""
        header = self._header()
        marks = ["---", *["---:"] * (len(header) - 1)]
        rows = [f"| {' | '.join(line)} |" for line in (header, marks, *self._lines)]
        about = [f"- **{name}**: {value}" for name, value in self._explained()]
        notes = self._numbered("{}. {}")
        return "\n".join([f"## {self._title()}", "", *rows, "", *notes, "", *about, ""])

    def _title(self) -> str:
        smoke = " (a smoke run: these figures say little)" if self._outcome.options.quick else ""
        return f"{self._outcome.database}{smoke}"

    def _header(self) -> list[str]:
        titles = [SYSTEMS[name].title for name in self._names]
        return ["measure", "unit", *titles, *(["spread"] if self._repeat > 1 else [])]

    def _line(self, row: Row) -> list[str]:
        cells = self._cells[row]
        shown = [self._shown(row, cells[name], cells.get(REFERENCE)) for name in self._names]
        spread = f"{max(cell.spread for cell in cells.values()):.0%}"
        return [row.title, row.unit, *shown, *([spread] if self._repeat > 1 else [])]

    def _shown(self, row: Row, cell: Cell, reference: Cell | None) -> str:
        if cell.median is None:
            return f"invalid {self._note(cell.fault)}"
        marks = "".join(f" {self._note(caution)}" for caution in cell.cautions)
        ratio = times_better(row, cell, reference) if reference else None
        bracket = f" ({figure(ratio)}x)" if ratio is not None and cell is not reference else ""
        return f"{figure(cell.median)}{bracket}{marks}"

    def _note(self, text: str) -> str:
        if text not in self._notes:
            self._notes.append(text)
        return f"[{self._notes.index(text) + 1}]"

    def _numbered(self, form: str) -> list[str]:
        return [form.format(number, note) for number, note in enumerate(self._notes, start=1)]

    def _explained(self) -> list[tuple[str, str]]:
        systems = [(SYSTEMS[name].title, SYSTEMS[name].about) for name in self._names]
        troubles = [("Trouble", text) for text in self._outcome.troubles]
        return [*troubles, ("How to read it", self._help()), *systems, *self._about]

    def _help(self) -> str:
        sentences = ["One round." if self._repeat == 1 else f"Medians of {self._repeat} rounds."]
        if REFERENCE in self._names and len(self._names) > 1:
            sentences.append(RATIO_HELP.format(reference=SYSTEMS[REFERENCE].title))
        if self._repeat > 1:
            sentences.append(SPREAD_HELP)
        return " ".join(sentences)
