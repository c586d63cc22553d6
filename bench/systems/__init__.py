"""The systems that are compared; the first is what the others are measured against."""

from __future__ import annotations

from bench.systems.base import System
from bench.systems.basic_auth import BasicAuth, BasicAuthCached
from bench.systems.headgate import Headgate
from bench.systems.reference import Reference

SYSTEMS: dict[str, type[System]] = {
    system.name: system for system in (Reference, BasicAuth, BasicAuthCached, Headgate)
}
REFERENCE = Reference.name

__all__ = ["REFERENCE", "SYSTEMS", "System"]
