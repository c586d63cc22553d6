"""MLflow's output, as lines."""

from headgate.upstream.lines import LONGEST_LINE, Lines


def split(*reads: bytes) -> tuple[list[str], Lines]:
    passed: list[str] = []

    def each(line: str) -> str:
        passed.append(line)
        return line

    lines = Lines(each)
    for read in reads:
        lines.feed(read)
    return passed, lines


def test_lines_that_come_in_pieces_are_put_together() -> None:
    passed, _ = split(b"one\ntw", b"o", b"\r\n\nthree")
    assert passed == ["one", "two"]


def test_an_endless_line_is_passed_on_in_pieces() -> None:
    passed, _ = split(*[b"x" * 1000] * 50)
    assert [len(line) for line in passed] == [LONGEST_LINE] * (50_000 // LONGEST_LINE)


def test_a_whole_line_that_is_too_long_is_passed_on_in_pieces() -> None:
    passed, _ = split(b"x" * (LONGEST_LINE + 10) + b"\nshort\n")
    assert [len(line) for line in passed] == [LONGEST_LINE, 10, 5]


def test_bytes_that_are_no_text_do_no_harm() -> None:
    passed, _ = split(b"\xff\xfe caf\xc3\xa9\n")
    assert passed == ["\ufffd\ufffd café"]


def test_the_last_line_that_says_why_is_remembered() -> None:
    _, lines = split(
        b"Traceback (most recent call last):\n",
        b"mlflow.exceptions.MlflowException: The schema is out of date\n",
        b"  while starting up\nINFO: done\n",
    )
    assert lines.last == "mlflow.exceptions.MlflowException: The schema is out of date"


def test_without_a_reason_the_last_line_of_all_is_remembered() -> None:
    _, lines = split(b"starting\nlistening\n")
    assert lines.last == "listening"
    assert split()[1].last is None
