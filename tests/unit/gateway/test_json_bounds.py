"""Deep JSON and endless numbers, told from harmless bodies that look like them."""

from __future__ import annotations

import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from headgate.errors import ApiError
from headgate.gateway import json_bounds
from headgate.gateway.json_bounds import MAX_NUMBER_LENGTH, check_json

MAX_DEPTH = 5


def is_refused(body: bytes, max_depth: int = MAX_DEPTH) -> bool:
    try:
        check_json(body, max_depth)
    except ApiError:
        return True
    return False


def slow_and_plain(body: bytes, max_depth: int) -> bool:
    """What `check_json` promises, a byte at a time."""
    if b"\0" in body:
        return True
    depth = digits = 0
    in_string = escaped = False
    for byte in body:
        if escaped:
            escaped = False
            continue
        if byte == ord("\\"):
            escaped = True
        elif byte == ord('"'):
            in_string = not in_string
            digits = 0
        elif not in_string:
            depth += (byte in b"[{") - (byte in b"]}")
            digits = digits + 1 if byte in b"0123456789+-.eE" else 0
            if depth > max_depth or digits > MAX_NUMBER_LENGTH:
                return True
    return False


BRACKETS = [b"[", b"]", b"{", b"}", b"[]", b"{}"]
QUOTES = [b'"', b'""', b'"["', b'"]"', b"\\", b'\\"', b"\\\\", b'"a":']
OTHERS = [b",", b":", b" ", b"1", b"null", b"a", "é".encode(), b"9" * 300]
PIECES = st.sampled_from([*BRACKETS, *QUOTES, *OTHERS])


@given(st.lists(PIECES, max_size=60).map(b"".join), st.sampled_from([1, 7, 1 << 16]))
@example(b'{"a":"\\\\"}' + b"[" * 6, 1 << 16)
@example(b"[[[[[]]]]][" + b"]", 7)
def test_it_agrees_with_a_scanner_that_looks_at_every_byte(body: bytes, size: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(json_bounds, "_SLICE", size)
        # Outside strings a backslash is an error, behind which no parser reads on.
        if not has_backslash_outside_strings(body):
            assert is_refused(body) == slow_and_plain(body, MAX_DEPTH)


def has_backslash_outside_strings(body: bytes) -> bool:
    in_string = escaped = False
    for byte in body:
        if escaped:
            escaped = False
        elif byte == ord("\\"):
            if not in_string:
                return True
            escaped = True
        elif byte == ord('"'):
            in_string = not in_string
    return False


JSON = st.recursive(
    st.none() | st.floats() | st.text(alphabet='[]{}"\\ab\n', max_size=8) | st.integers(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=20,
)


def depth_of(value: object) -> int:
    if isinstance(value, dict):
        return 1 + max(map(depth_of, value.values()), default=0)
    if isinstance(value, list):
        return 1 + max(map(depth_of, value), default=0)
    return 0


@given(JSON, st.booleans())
def test_valid_json_is_refused_exactly_by_its_depth(value: object, ascii_only: bool) -> None:
    body = json.dumps(value, ensure_ascii=ascii_only).encode()
    assert is_refused(body) == (depth_of(value) > MAX_DEPTH)


@pytest.mark.parametrize("opening", [b"[", b'{"a":', b'[{"a":'])
def test_nesting_beyond_the_limit_is_refused_wherever_it_stands(opening: bytes) -> None:
    deep = opening * 100_000
    for body in (deep, b'{"run_id": "' + b"[" * 9 + b'", "x": ' + deep, b" " * 70_000 + deep):
        assert is_refused(body, 100)


def test_the_limit_itself_is_allowed() -> None:
    assert not is_refused(b"[" * 100 + b"]" * 100 + b"[]" * 200_000, 100)
    assert is_refused(b"[" * 101 + b"]" * 101, 100)


def test_brackets_in_strings_are_text() -> None:
    assert not is_refused(json.dumps({"params": ["[" * 500, '{"' * 500, '\\"[' * 500]}).encode())


@pytest.mark.parametrize(
    ("body", "refused"),
    [
        (b'{"value": ' + b"1" * 512 + b"}", False),
        (b'{"value": ' + b"1" * 513 + b"}", True),
        (b'{"value": -0.' + b"1" * 600 + b"e+10}", True),
        (b'{"value": "' + b"1" * 100_000 + b'"}', False),
        (b'{"a": "' + b"1" * 100_000 + b'", "b": ' + b"1" * 513 + b"}", True),
        (b"[" + b"1," * 100_000 + b"1]", False),
        (b"1" * 100_000, True),
    ],
)
def test_numbers_are_bounded_and_strings_of_digits_are_not(body: bytes, refused: bool) -> None:
    assert is_refused(body) == refused


def test_a_number_is_not_lost_between_two_slices() -> None:
    padding = b" " * (json_bounds._SLICE - 300)
    assert is_refused(b'"' + b"1" * 600 + b'"' + padding[602:] + b"1" * 600)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_other_encodings_that_python_would_read_are_refused(encoding: str) -> None:
    assert is_refused('{"a": 1}'.encode(encoding))
