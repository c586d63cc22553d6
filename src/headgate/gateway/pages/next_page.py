"""Where somebody goes after sign-in: a page of this server, whatever a link asked for.

The wish comes from a URL, which anybody can write. Browsers read more as "another host" than
one thinks (`//host`, `/\\host`, `/<tab>/host`), so this takes what it understands and nothing
else.
"""

from __future__ import annotations

from urllib.parse import unquote

_HOME = "/"
_LONGEST = 2000
# Going there after sign-in leads nowhere.
_NOT_THERE = ("/headgate/sign-in", "/headgate/sign-out")


def next_page(wish: str | None) -> str:
    """The wish, if it is an absolute path here, with or without a query; else the home page."""
    if wish is None or len(wish) > _LONGEST or not wish.startswith("/"):
        return _HOME
    path = wish.partition("?")[0].partition("#")[0]
    if not _is_plain(wish) or path in _NOT_THERE:
        return _HOME
    # What is harmless now must be so for a reader who decodes it once more, or twice.
    once = unquote(path)
    twice = unquote(once)
    return wish if all(_is_local(spelling) for spelling in (path, once, twice)) else _HOME


def _is_plain(text: str) -> bool:
    """Printable ASCII without space and backslash."""
    return all("!" <= character <= "~" and character != "\\" for character in text)


def _is_local(path: str) -> bool:
    segments = path.split("/")
    return (
        "//" not in path
        and "\\" not in path
        and "." not in segments
        and ".." not in segments
        and not any(character < " " or character == "\x7f" for character in path)
    )
