"""Where Headgate listens, what it keeps where, and how it talks about it."""

from __future__ import annotations

import ipaddress
import re
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, Field, ValidationInfo, field_validator

from headgate.settings.networks import Networks, Strings


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach a listener on `host`."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


# These become words of a header: nothing else fits in.
_SCRIPT_SOURCE = re.compile(r"https://(\*\.)?[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+(:\d+)?")


class ServerSettings(BaseModel):
    """The front door of one machine."""

    host: str = Field("127.0.0.1", description="Address to listen on.")
    port: int = Field(5000, ge=0, le=65535, description="Port to listen on; 0 takes a free one.")
    data_dir: Path = Field(
        Path(".headgate"),
        description="Folder for everything Headgate keeps: database, artifacts, keys (mode 0700).",
    )
    allowed_hosts: Strings = Field(
        [],
        validate_default=True,
        description="Names, beside localhost, that clients may use for this server. The port "
        "does not matter; `*.example.com` covers the names below it.",
    )
    allowed_origins: Strings = Field(
        [],
        description="Origins, such as https://notebooks.example.com, whose pages may call the API.",
    )
    trusted_proxies: Networks = Field(
        [],
        description="Addresses or networks whose X-Forwarded-For and X-Forwarded-Proto are "
        "believed.",
    )
    html_artifact_scripts: bool = Field(
        True,
        description="Let HTML artifacts run their scripts in MLflow's viewer, in a sandbox "
        "without the session. Off: a stricter content security policy for the whole UI.",
    )
    html_artifact_sources: Strings = Field(
        ["https://cdn.plot.ly"],
        description="Origins from which such scripts may be loaded. MLflow's `log_figure` writes "
        "pages that load Plotly.",
    )
    ssl_certfile: Path | None = Field(None, description="Serve TLS with this certificate chain.")
    ssl_keyfile: Path | None = Field(
        None, validate_default=True, description="The private key of `ssl_certfile`."
    )
    metrics_port: int | None = Field(
        None,
        ge=0,
        le=65535,
        description="Serve /metrics without sign-in on this loopback port too.",
    )
    log_format: Literal["auto", "text", "json"] = Field(
        "auto", description="Log lines for people or for machines; auto: text in a terminal."
    )
    drain_seconds: float = Field(
        6, ge=0, le=110, description="Time that requests under way get when Headgate is stopped."
    )

    # A check that needs two fields stands at the later one, where the earlier is known already:
    # so it is reported together with every other fault.

    @field_validator("allowed_hosts")
    @classmethod
    def _hosts_are_named(cls, hosts: list[str], info: ValidationInfo) -> list[str]:
        for name in hosts:
            if name == "*" or "/" in name or not name.isprintable() or " " in name:
                raise ValueError(f"{name!r} is no host name; write it like mlflow.example.com")
        host = info.data.get("host", "127.0.0.1")
        if not hosts and not is_loopback(host):
            raise ValueError(
                f"host is {host}, which lets other machines in: name here what clients call this "
                "server, such as mlflow.example.com"
            )
        return hosts

    @field_validator("allowed_origins")
    @classmethod
    def _origins_are_origins(cls, origins: list[str]) -> list[str]:
        for origin in origins:
            parts = urlsplit(origin)
            if (
                parts.scheme not in ("http", "https")
                or origin != f"{parts.scheme}://{parts.netloc}"
            ):
                raise ValueError(f"{origin!r} is no origin; write it like https://example.com")
        return origins

    @field_validator("html_artifact_sources")
    @classmethod
    def _sources_are_origins(cls, sources: list[str]) -> list[str]:
        for source in sources:
            if not _SCRIPT_SOURCE.fullmatch(source):
                raise ValueError(
                    f"{source!r} is no source of scripts; write it like https://cdn.example.com"
                )
        return sources

    @field_validator("ssl_certfile", "ssl_keyfile")
    @classmethod
    def _file_exists(cls, file: Path | None) -> Path | None:
        if file is not None and not file.is_file():
            raise ValueError("there is no such file")
        return file

    @field_validator("ssl_keyfile")
    @classmethod
    def _key_and_certificate(cls, key: Path | None, info: ValidationInfo) -> Path | None:
        if "ssl_certfile" in info.data and (key is None) != (info.data["ssl_certfile"] is None):
            raise ValueError("ssl_certfile and ssl_keyfile belong together: set both or none")
        return key

    @field_validator("metrics_port")
    @classmethod
    def _metrics_elsewhere(cls, port: int | None, info: ValidationInfo) -> int | None:
        if port and port == info.data.get("port"):
            raise ValueError("port is the same; metrics need a port of their own")
        return port
