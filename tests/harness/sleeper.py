"""A database that pauses: a TCP proxy in front of a real one that lets nobody through at first.

Like Aurora at 0 ACU, it takes connections while it sleeps, wakes by the first of them, and
serves them all once it is awake.
"""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit


class SleepingDatabase:
    """Listens on a port of its own for the database at `port`; a context manager.

    `attempts` counts connections made, `open` those that are open now.
    """

    def __init__(self, port: int) -> None:
        self._target = port
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=256)
        self.port = int(self._listener.getsockname()[1])
        self.attempts = 0
        self._wakes_after = 0.0
        self._awake_at: float | None = float("-inf")
        self._lock = threading.Lock()
        self._sockets: set[socket.socket] = set()

    @property
    def open(self) -> int:
        """How many clients are connected."""
        with self._lock:
            return len(self._sockets)

    def sleep(self, wakes_after: float) -> None:
        """Pause: whoever is connected is cut off, and the next client wakes it in that time."""
        with self._lock:
            self._wakes_after = wakes_after
            self._awake_at = None
            self.attempts = 0
            for connection in self._sockets:
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)

    def uri(self, uri: str) -> str:
        """The URI of the real database, through here."""
        parts = urlsplit(uri)
        userinfo, at, _ = parts.netloc.rpartition("@")
        return parts._replace(netloc=f"{userinfo}{at}127.0.0.1:{self.port}").geturl()

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.sleep(0)

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            with self._lock:
                self.attempts += 1
                self._sockets.add(client)
                if self._awake_at is None:
                    self._awake_at = time.monotonic() + self._wakes_after
                waits = self._awake_at - time.monotonic()
            threading.Thread(target=self._serve, args=(client, waits), daemon=True).start()

    def _serve(self, client: socket.socket, waits: float) -> None:
        threading.Event().wait(max(0.0, waits))
        try:
            with socket.create_connection(("127.0.0.1", self._target)) as server:
                back = threading.Thread(target=_pump, args=(server, client), daemon=True)
                back.start()
                _pump(client, server)
                back.join()
        except OSError:
            pass
        finally:
            with self._lock:
                self._sockets.discard(client)
            client.close()


def _pump(source: socket.socket, sink: socket.socket) -> None:
    """Pass on what comes until one side ends, then end both."""
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            sink.sendall(data)
    for end in (source, sink):
        with contextlib.suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)
