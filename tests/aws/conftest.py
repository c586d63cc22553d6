"""Stand-ins for AWS on this machine: moto, and databases that want TLS as Aurora does."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.harness.certificates import Certificate, make_certificate
from tests.harness.databases import DatabaseServer, MariaDB, PostgreSQL
from tests.harness.moto import Moto


@pytest.fixture(scope="session")
def moto() -> Iterator[Moto]:
    """An AWS of the session's own."""
    with Moto() as started:
        yield started


@pytest.fixture
def aws(moto: Moto, monkeypatch: pytest.MonkeyPatch) -> Moto:
    """That AWS, also for this process."""
    for name, value in moto.environment().items():
        monkeypatch.setenv(name, value)
    return moto


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    """What the databases of these tests show."""
    return make_certificate(tmp_path_factory.mktemp("certificate"))


@pytest.fixture(
    scope="session",
    params=[
        pytest.param(PostgreSQL, id="postgresql", marks=pytest.mark.postgresql),
        pytest.param(MariaDB, id="mariadb", marks=pytest.mark.mariadb),
    ],
)
def aurora(request: pytest.FixtureRequest, certificate: Certificate) -> Iterator[DatabaseServer]:
    """Each kind of database in turn, to be reached by TLS and a password alone."""
    server = request.param(certificate)
    try:
        yield server.start()
    finally:
        server.stop()
