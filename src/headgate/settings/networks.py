"""Types of settings that several groups share: lists of words, and of networks."""

from __future__ import annotations

import ipaddress
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator


def split_commas(value: Any) -> Any:
    """Lists come comma-separated from the environment, whole from flags and files."""
    if isinstance(value, str):
        return [part.strip() for part in value.split(",") if part.strip()]
    return value


def check_networks(networks: list[str]) -> list[str]:
    """Refuse what is no address or network."""
    for network in networks:
        try:
            ipaddress.ip_network(network, strict=False)
        except ValueError:
            raise ValueError(
                f"{network!r} is no address or network; write it like 10.0.0.0/8"
            ) from None
    return networks


Strings = Annotated[list[str], BeforeValidator(split_commas)]
Networks = Annotated[list[str], BeforeValidator(split_commas), AfterValidator(check_networks)]
