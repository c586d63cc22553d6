"""What the repository says about itself stays true."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from headgate import __version__

ROOT = Path(__file__).resolve().parents[2]


def test_the_changelog_begins_with_this_version_and_its_security() -> None:
    headings = re.findall(r"^##+ (.+)$", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert headings[:2] == [__version__, "Security"]


def test_make_alone_lists_the_targets() -> None:
    listed = subprocess.run(
        ["make", "--no-print-directory"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    named = re.findall(r"^make (\w+) +\S", listed, re.MULTILINE)
    assert named == ["help", "up", "test", "lint", "fix", "docs", "bench"]


PAGES = [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    targets = re.findall(r"\]\((?!https?:|mailto:|#)([^)#\s]+)", page.read_text())
    missing = [target for target in targets if not (page.parent / target).exists()]
    assert missing == []
