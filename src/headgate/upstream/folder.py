"""One data folder, one server: a second one says who is there and changes nothing."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from types import TracebackType
from typing import Self

from headgate.errors import HeadgateError
from headgate.upstream.launch import private_folder

LOCK_NAME = "lock"


class DataFolder:
    """Holds a data folder (made 0700 if need be) for a `with` block, or until we die."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._descriptor = -1

    def __enter__(self) -> Self:
        """Take the folder; raises `HeadgateError` with the holder's process and address."""
        private_folder(self._folder)
        path = self._folder / LOCK_NAME
        try:
            self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as fault:
            raise HeadgateError(
                f"The data folder {self._folder} cannot be used: {fault.strerror}.",
                hint="Mend its permissions, or choose another with --data-dir.",
            ) from None
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(self._descriptor, 300, 0).decode(errors="replace").strip()
            os.close(self._descriptor)
            raise HeadgateError(
                f"Headgate already runs on the data folder {self._folder}"
                f"{f' ({holder})' if holder else ''}.",
                hint="Stop it first, or choose another folder with --data-dir.",
            ) from None
        self._write(f"process {os.getpid()}")
        return self

    def announce(self, address: str) -> None:
        """Let a second server say where this one listens."""
        self._write(f"process {os.getpid()}, {address}")

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        # The file stays: another server may have opened it already.
        os.close(self._descriptor)

    def _write(self, holder: str) -> None:
        try:
            os.ftruncate(self._descriptor, 0)
            os.pwrite(self._descriptor, f"{holder}\n".encode(), 0)
        except OSError:
            # The lock counts, not what it says; a full disk is told where it matters.
            pass
