"""Private PostgreSQL and MariaDB servers, in temporary folders, on free ports.

Each runs for a session of tests and hands out empty databases. The programs refuse to run as
root, so root hands them to the users that Debian's packages make.
"""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol, Self

from tests.harness.certificates import Certificate
from tests.harness.waiting import eventually, free_port

PASSWORD = "a+pass/word with@odd:characters"
PASSWORD_IN_URI = "a%2Bpass%2Fword%20with%40odd%3Acharacters"


class DatabaseServer(Protocol):
    """A database server that tests may break: it is theirs alone."""

    port: int

    def start(self) -> Self:
        """Start it and wait until it answers."""
        ...

    def stop(self) -> None:
        """End it and remove its folder."""
        ...

    def new_database(self) -> str:
        """The URI of a new, empty database."""
        ...


class _Server:
    """What both have in common: a folder, an owner, a process, a log."""

    owner: str

    def __init__(self, tls: Certificate | None = None) -> None:
        # Not in pytest's folder: that is 0700, and the owner must get through.
        self.folder = Path(tempfile.mkdtemp(prefix=f"headgate-{self.owner}-"))
        self.port = free_port()
        self._as_owner: list[str] = []
        if os.geteuid() == 0:
            account = pwd.getpwnam(self.owner)
            os.chown(self.folder, account.pw_uid, account.pw_gid)
            ids = [f"--reuid={account.pw_uid}", f"--regid={account.pw_gid}", "--init-groups"]
            self._as_owner = ["setpriv", *ids, "--pdeathsig=TERM"]
        self._process: subprocess.Popen[bytes] | None = None
        self._databases = 0
        self._tls = self._owned(tls) if tls is not None else None

    def _owned(self, tls: Certificate) -> Certificate:
        """Copies that the server's user may read, and nobody else."""
        paths = [Path(shutil.copy(path, self.folder)) for path in (tls.certificate, tls.key)]
        for path in paths if os.geteuid() == 0 else []:
            shutil.chown(path, self.owner, self.owner)
        paths[1].chmod(0o600)
        return Certificate(paths[0], paths[1], tls.authority)

    def _run(self, command: Sequence[str | Path], *, answer: str = "") -> str:
        done = subprocess.run(
            [*self._as_owner, *map(str, command)],
            input=answer,
            capture_output=True,
            text=True,
            cwd=self.folder,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, f"{command}: {done.stdout}\n{done.stderr}"
        return done.stdout

    def _spawn(self, command: Sequence[str | Path]) -> None:
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [*self._as_owner, *map(str, command)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.folder,
                start_new_session=True,
            )

    def _log(self) -> str:
        return (self.folder / "log").read_text(errors="replace")[-4000:]

    def _next_name(self) -> str:
        self._databases += 1
        return f"store_{self._databases}"

    def _end(self, with_signal: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(with_signal)
            self._process.wait(60)
        shutil.rmtree(self.folder, ignore_errors=True)


def postgresql_programs() -> Path | None:
    """Debian's folder of PostgreSQL's programs, the newest, or that of `initdb` on the path."""
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: path.parent.name)
    found = [folder for folder in folders if (folder / "initdb").exists()]
    if found:
        return found[-1]
    initdb = shutil.which("initdb")
    return Path(initdb).parent if initdb else None


class PostgreSQL(_Server):
    """A private PostgreSQL with password sign-in."""

    owner = "postgres"

    def start(self) -> Self:
        """Make a cluster, start it and wait until it answers."""
        programs = postgresql_programs()
        assert programs is not None
        password_file = self.folder / "password"
        password_file.write_text(PASSWORD)
        password_file.chmod(0o644)
        cluster = self.folder / "cluster"
        self._run(
            [
                programs / "initdb",
                f"--pgdata={cluster}",
                "--username=headgate",
                "--auth=scram-sha-256",
                f"--pwfile={password_file}",
                "--no-sync",
            ]
        )
        address = ["-h", "127.0.0.1", "-p", str(self.port), "-k", self.folder]
        options = ["-c", "fsync=off"]
        if self._tls is not None:
            files = {"cert": self._tls.certificate, "key": self._tls.key}
            options += ["-c", "ssl=on"]
            options += [f"--ssl_{name}_file={path}" for name, path in files.items()]
            (cluster / "pg_hba.conf").write_text("hostssl all all all scram-sha-256\n")
        self._spawn([programs / "postgres", "-D", cluster, *address, *options])
        eventually(lambda: self._statement("SELECT 1"), seconds=30, why=self._log)
        return self

    def stop(self) -> None:
        """End it (its "fast" shutdown) and remove its folder."""
        self._end(signal.SIGINT)

    def new_database(self) -> str:
        """The URI of a new, empty database."""
        name = self._next_name()
        self._statement(f"CREATE DATABASE {name}")
        return f"postgresql://headgate:{PASSWORD_IN_URI}@127.0.0.1:{self.port}/{name}"

    def _statement(self, sql: str) -> bool:
        import psycopg

        try:
            connection = psycopg.connect(
                host="127.0.0.1",
                port=self.port,
                user="headgate",
                password=PASSWORD,
                dbname="postgres",
                autocommit=True,
            )
        except psycopg.OperationalError as error:
            raise ConnectionError(str(error)) from error
        try:
            connection.execute(sql)  # type: ignore[arg-type]  # our own literal text
        finally:
            connection.close()
        return True


class MariaDB(_Server):
    """A private MariaDB with password sign-in."""

    owner = "mysql"

    def start(self) -> Self:
        """Make a data folder, start the server and wait until it answers."""
        data, temporary = self.folder / "data", self.folder / "tmp"
        temporary.mkdir(mode=0o777)
        temporary.chmod(0o777)
        self._run(
            [
                "mariadb-install-db",
                "--no-defaults",
                f"--datadir={data}",
                "--auth-root-authentication-method=normal",
                "--skip-test-db",
            ]
        )
        server = shutil.which("mariadbd", path=f"{os.environ['PATH']}:/usr/sbin")
        assert server is not None
        folders = [f"--datadir={data}", f"--tmpdir={temporary}", f"--pid-file={self.folder}/pid"]
        address = [
            f"--socket={self.folder}/socket",
            f"--port={self.port}",
            "--bind-address=127.0.0.1",
        ]
        # Nobody pulls this machine's plug: the hundreds of tables need not reach the disk.
        hasty = ["--innodb-flush-log-at-trx-commit=0", "--skip-innodb-doublewrite"]
        if self._tls is not None:
            hasty += [f"--ssl-cert={self._tls.certificate}", f"--ssl-key={self._tls.key}"]
            hasty += ["--require-secure-transport=ON"]
        self._spawn([server, "--no-defaults", *folders, *address, *hasty])
        eventually(self._listens, seconds=60, why=self._log)
        account = "'headgate'@'127.0.0.1'"
        self._statements(
            f"CREATE USER {account} IDENTIFIED BY '{PASSWORD}'",
            f"GRANT ALL ON *.* TO {account} WITH GRANT OPTION",
        )
        return self

    def stop(self) -> None:
        """End it and remove its folder."""
        self._end(signal.SIGTERM)

    def new_database(self) -> str:
        """The URI of a new, empty database."""
        name = self._next_name()
        self._statements(f"CREATE DATABASE {name} CHARACTER SET utf8mb4")
        return f"mysql://headgate:{PASSWORD_IN_URI}@127.0.0.1:{self.port}/{name}"

    def _listens(self) -> bool:
        # Not with PyMySQL: it leaks its socket when it is refused.
        with socket.socket(socket.AF_UNIX) as probe:
            probe.connect(str(self.folder / "socket"))
        return True

    def _statements(self, *statements: str) -> None:
        import pymysql

        connection = pymysql.connect(
            unix_socket=str(self.folder / "socket"), user="root", autocommit=True
        )
        try:
            with connection.cursor() as cursor:
                for statement in statements:
                    cursor.execute(statement)
        finally:
            connection.close()
