"""Asks a server of this task whether it works; a container's health check.

`python -m headgate.aws.probe unix:/run/headgate/mlflow.sock /health` ends with 0 if the answer
is 200 in time, else with 1 and a line that says what was wrong. The standard library alone: it
is started every few seconds for as long as the task lives.
"""

from __future__ import annotations

import http.client
import socket
import sys
from collections.abc import Sequence

SECONDS = 4.0  # less than the health check's own 5, so that the line is still written


class _SocketConnection(http.client.HTTPConnection):
    """HTTP over a Unix socket."""

    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=SECONDS)
        self._path = path

    def connect(self) -> None:
        """Connect to the socket in place of a host."""
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


def main(arguments: Sequence[str]) -> int:
    """Ask, and say how it went as an exit code."""
    if len(arguments) != 2:
        print("usage: python -m headgate.aws.probe ADDRESS PATH", file=sys.stderr)  # noqa: T201
        return 2
    address, path = arguments
    connection: http.client.HTTPConnection
    if address.startswith("unix:"):
        connection = _SocketConnection(address.removeprefix("unix:"))
    else:
        connection = http.client.HTTPConnection(address.removeprefix("http://"), timeout=SECONDS)
    try:
        connection.request("GET", path, headers={"Host": "localhost"})
        status = connection.getresponse().status
    except (OSError, http.client.HTTPException) as fault:
        print(f"{address}{path}: {fault!r}", file=sys.stderr)  # noqa: T201 - the health check's log
        return 1
    finally:
        connection.close()
    if status != http.client.OK:
        print(f"{address}{path}: status {status}", file=sys.stderr)  # noqa: T201
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
