"""Headgate, as `headgate up` starts it."""

from __future__ import annotations

import sys
from typing import ClassVar

from bench.systems.base import PASSWORD, System, mlflow_environment


class Headgate(System):
    """`headgate up` with its default settings, on the given database."""

    name: ClassVar[str] = "headgate"
    title: ClassVar[str] = "Headgate"
    about: ClassVar[str] = "`headgate up` with its default settings"

    def launch(self) -> None:
        """Start it; it makes its own tables and the admin at its first start."""
        self._run(
            *(sys.executable, "-m", "headgate", "up", "--yes"),
            *("--data-dir", "data", "--port", str(self.port)),
            environment=mlflow_environment()
            | {
                "HEADGATE_BACKEND_STORE_URI": self.database_uri,
                "HEADGATE_ADMIN_PASSWORD": PASSWORD,
            },
        )
