"""Is this JSON shallow enough, and are its numbers short enough, to be parsed by anybody?

Deep nesting overflows the stack of recursive parsers (MLflow answers 500), and long numbers
take quadratic time. `check_json` looks at bytes, before anything parses them, and never at one
byte after another in Python: each step is one pass of a C function over the body. Whether the
body is valid JSON is not asked; that stays MLflow's business and wording.

What a parser would see up to the first error is judged right; after an error nothing parses on.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from itertools import accumulate

from headgate.errors import bad_request

MAX_NUMBER_LENGTH = 512

_MARKS = b'"[]{}'
_NO_MARKS = bytes(byte for byte in range(256) if byte not in _MARKS)
# One kind of bracket is enough to count by.
_BRACKETS = bytes.maketrans(b"{}", b"[]")
_IN_NUMBERS = b"0123456789+-.eE"
# `0` for what numbers are made of, the quote for itself, a blank for everything else.
_NUMBERS = bytes(
    0x30 if byte in _IN_NUMBERS else byte if byte == 0x22 else 0x20 for byte in range(256)
)
_LONG_NUMBER = b"0" * (MAX_NUMBER_LENGTH + 1)
# As signed bytes: one deeper, one back.
_STEPS = bytes.maketrans(b"[] ", b"\x01\xff\x00")
_SLICE = 1 << 14


def check_json(body: bytes, max_depth: int) -> None:
    """Raise `ApiError` 400 if `body` nests deeper than `max_depth` or holds an endless number."""
    if b"\0" in body:
        # Valid JSON in UTF-8 has no zero bytes; in UTF-16 and UTF-32, which Python's parser
        # would recognise, it always has, and quotes would not be what they look like here.
        raise bad_request("A JSON body has to be in UTF-8, without zero bytes.")
    text = _without_escapes(body)
    if _has_long_number(text):
        raise bad_request(f"The body holds a number of more than {MAX_NUMBER_LENGTH} characters.")
    if _is_deeper(text, max_depth):
        raise bad_request(f"The body is nested deeper than {max_depth} levels.")


def _without_escapes(body: bytes) -> bytes:
    """The body with no escaped quotes, so that every quote left begins or ends a string."""
    if b"\\" not in body:
        return body
    # Backslashes escape each other in pairs from the left; one that is left over escapes the
    # next character, which matters only if that is a quote.
    return body.replace(b"\\\\", b"").replace(b'\\"', b"")


def _outside_strings(text: bytes) -> Iterator[bytes]:
    """The parts of `text` outside strings, a slice at a time, so that no list grows large."""
    in_string = 0
    for start in range(0, len(text), _SLICE):
        pieces = text[start : start + _SLICE].split(b'"')
        yield b" ".join(pieces[in_string::2])
        in_string = (in_string + len(pieces) - 1) % 2


def _has_long_number(text: bytes) -> bool:
    if len(text) <= MAX_NUMBER_LENGTH:
        return False
    flat = text.translate(_NUMBERS)
    if _LONG_NUMBER not in flat:
        return False
    # Rare: a string may hold as many digits as it likes.
    before = b""
    for outside in _outside_strings(flat):
        if _LONG_NUMBER in (reached := before + outside):
            return True
        before = reached[-MAX_NUMBER_LENGTH:]
    return False


def _is_deeper(text: bytes, max_depth: int) -> bool:
    # Two quotes without a bracket between them are a string, or the seam of two; without them
    # what is left between quotes is inside strings as before.
    marks = text.translate(_BRACKETS, _NO_MARKS).replace(b'""', b"")
    if marks.count(b"[") <= max_depth:
        return False
    depth = 0
    for outside in _outside_strings(marks):
        # Most of a flat body is pairs with nothing inside. Taking them away, which is cheap,
        # lowers no peak by more than one.
        flat = outside.replace(b"[]", b"")
        peak, end = _climb(flat, depth)
        if peak + 1 > max_depth:
            peak, end = _climb(outside, depth)
        if peak > max_depth:
            return True
        depth = end
    return False


def _climb(brackets: bytes, depth: int) -> tuple[int, int]:
    """The highest and the last level reached from `depth`."""
    levels = list(accumulate(array("b", brackets.translate(_STEPS)), initial=depth))
    return max(levels), levels[-1]
