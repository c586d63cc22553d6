"""The world that most tests of identity happen in."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.identity.world import World, make_world


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """Users ada (admin), bob and carol on SQLite, and a clock that stands still."""
    made = make_world(tmp_path)
    yield made
    made.identifier.close()
    made.engine.dispose()
