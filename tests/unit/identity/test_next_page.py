"""Sign-in leads to a page of this server, whatever a link says."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urljoin, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headgate.gateway.pages.next_page import next_page

ATTACKS = Path(__file__).parents[2] / "data" / "open_redirects.txt"


def attacks() -> list[str]:
    """The lines of the list, with their escapes read."""
    lines = ATTACKS.read_text(encoding="ascii").splitlines()
    return [line.encode().decode("unicode_escape") for line in lines if line and line[:2] != "# "]


@pytest.mark.parametrize("wish", attacks())
def test_no_known_trick_leads_away(wish: str) -> None:
    assert next_page(wish) == "/"


@pytest.mark.parametrize("wish", [None, "", "/" + "x" * 2000])
def test_no_wish_and_an_endless_one_lead_home(wish: str | None) -> None:
    assert next_page(wish) == "/"


@pytest.mark.parametrize(
    "wish",
    [
        "/",
        "/#/experiments/1/runs/2?x=//y",
        "/?a=http://other.example/&b=%2F%2F",
        "/get-artifact?path=a%2Fb&run_uuid=1",
        "/static-files/index.html",
        "/a@b/c:d;e",
        "/%E7%94%A8",
    ],
)
def test_a_page_here_is_where_one_goes(wish: str) -> None:
    assert next_page(wish) == wish


@given(st.text(alphabet="/\\.%2fF5cCeE@:?#;\t\n http evil.example", max_size=40))
def test_nothing_leads_to_another_host(wish: str) -> None:
    here = "http://headgate.example.com/headgate/sign-in"
    target = next_page("/" + wish)
    assert urlsplit(urljoin(here, target)).netloc == "headgate.example.com"
    assert target.isascii()
    assert target.isprintable()
