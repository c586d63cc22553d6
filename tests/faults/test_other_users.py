"""Another user of the machine cannot go round the door, or read what Headgate keeps."""

from __future__ import annotations

import stat
import subprocess
from pathlib import Path

import pytest

from tests.harness import HeadgateServer

pytestmark = pytest.mark.root

# perl-base is on every Debian; our interpreter may lie where other users cannot go.
CONNECT = "use IO::Socket::UNIX; exit(IO::Socket::UNIX->new(Peer => $ARGV[0]) ? 0 : 1)"


def connects(socket_path: Path, *prefix: str) -> bool:
    """Whether somebody gets through to a Unix socket."""
    command = [*prefix, "perl", "-e", CONNECT, str(socket_path)]
    return subprocess.run(command, check=False).returncode == 0


def test_only_the_servers_own_user_reaches_mlflow(sqlite_server: HeadgateServer) -> None:
    socket_path = sqlite_server.mlflow_socket()
    assert connects(socket_path)
    nobody = ("setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups")
    assert not connects(socket_path, *nobody)


def test_mlflow_listens_on_no_port(sqlite_server: HeadgateServer) -> None:
    ports = {
        connection.laddr.port
        for process in sqlite_server.processes()
        for connection in process.net_connections(kind="inet")
        if connection.status == "LISTEN"
    }
    assert ports == {sqlite_server.port}


def test_secrets_are_readable_by_nobody_else(sqlite_server: HeadgateServer) -> None:
    data_dir = sqlite_server.data_dir
    assert stat.S_IMODE(data_dir.stat().st_mode) == 0o700
    assert stat.S_IMODE((data_dir / "secret.key").stat().st_mode) == 0o600
    assert stat.S_IMODE(sqlite_server.mlflow_socket().parent.stat().st_mode) == 0o700


def test_no_secret_is_in_an_argument_list_or_an_environment_of_mlflow(
    sqlite_server: HeadgateServer,
) -> None:
    password = sqlite_server.admin.password
    key = (sqlite_server.data_dir / "secret.key").read_text().strip()
    for process in sqlite_server.processes():
        command = " ".join(process.cmdline())
        assert password not in command
        assert key not in command
    environment = " ".join(sqlite_server.mlflow_process().environ().values())
    assert password not in environment
    assert key not in environment
