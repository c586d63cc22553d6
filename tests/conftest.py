"""Fixtures of the whole suite: servers start when the first selected test asks for them."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.harness import HeadgateServer
from tests.harness.databases import MariaDB, PostgreSQL
from tests.harness.requirements import REQUIREMENTS
from tests.harness.server import ADMIN, run_headgate

StartHeadgate = Callable[..., HeadgateServer]

_left_out = pytest.StashKey[Counter[tuple[str, str]]]()


def pytest_configure(config: pytest.Config) -> None:
    config.stash[_left_out] = Counter()


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip a test whose group cannot run here, before any of its servers starts."""
    for group, missing in REQUIREMENTS.items():
        if item.get_closest_marker(group) is None:
            continue
        reason = missing()
        if reason is not None:
            item.config.stash[_left_out][group, reason] += 1
            pytest.skip(reason)


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """One place that says what was not tested, so that nobody takes a skip for a pass."""
    left_out = config.stash[_left_out]
    if not left_out:
        return
    terminalreporter.section("test groups left out", yellow=True)
    for (group, reason), count in sorted(left_out.items()):
        terminalreporter.line(f"{group}: {count} tests; {reason}")


@pytest.fixture(scope="session")
def postgresql() -> Iterator[PostgreSQL]:
    """A private PostgreSQL server."""
    server = PostgreSQL()
    try:
        yield server.start()
    finally:
        server.stop()


@pytest.fixture(scope="session")
def mariadb() -> Iterator[MariaDB]:
    """A private MariaDB server."""
    server = MariaDB()
    try:
        yield server.start()
    finally:
        server.stop()


@pytest.fixture(scope="session")
def sqlite_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HeadgateServer]:
    """A Headgate as `headgate up` starts it without options, for all tests that do no harm."""
    with HeadgateServer(tmp_path_factory.mktemp("sqlite") / "data") as server:
        yield server.wait_ready()


@pytest.fixture(
    scope="session",
    params=[
        "sqlite",
        pytest.param("postgresql", marks=pytest.mark.postgresql),
        pytest.param("mariadb", marks=pytest.mark.mariadb),
    ],
)
def server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[HeadgateServer]:
    """A Headgate on each kind of database in turn."""
    if request.param == "sqlite":
        yield request.getfixturevalue("sqlite_server")
        return
    uri = request.getfixturevalue(request.param).new_database()
    folder = tmp_path_factory.mktemp(request.param)
    with HeadgateServer(
        folder / "data", environment={"HEADGATE_BACKEND_STORE_URI": uri}
    ) as started:
        yield started.wait_ready()


@pytest.fixture(scope="session")
def migrated_data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder on which `headgate up` finds nothing left to migrate; to be copied."""
    folder = tmp_path_factory.mktemp("migrated") / "data"
    done = run_headgate(
        *("migrate", "--data-dir", folder),
        environment={"HEADGATE_ADMIN_PASSWORD": ADMIN.password},
        seconds=180,
    )
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="session")
def migrated_copy(
    tmp_path_factory: pytest.TempPathFactory, migrated_data_dir: Path
) -> Callable[[], Path]:
    """Makes such copies, for modules whose tests share a server of their own."""

    def copy() -> Path:
        return Path(shutil.copytree(migrated_data_dir, tmp_path_factory.mktemp("copy") / "data"))

    return copy


@pytest.fixture
def start_headgate(tmp_path: Path, migrated_data_dir: Path) -> Iterator[StartHeadgate]:
    """Starts servers of a test's own; takes what `HeadgateServer` takes.

    Without a data folder they get a copy of one that needs no migration, which takes half of
    the time of a first start.
    """
    started: list[HeadgateServer] = []

    def start(data_dir: Path | None = None, **wishes: Any) -> HeadgateServer:
        if data_dir is None:
            data_dir = tmp_path / "data"
            if not data_dir.exists():
                shutil.copytree(migrated_data_dir, data_dir)
        server = HeadgateServer(data_dir, **wishes)
        started.append(server)
        return server.start()

    yield start
    for server in started:
        server.clear_away()
