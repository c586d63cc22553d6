"""Where Headgate listens, what it keeps where, and how it talks about it."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, Field


class ServerSettings(BaseModel):
    """The front door of one machine."""

    host: str = Field("127.0.0.1", description="Address to listen on.")
    port: int = Field(5000, ge=0, le=65535, description="Port to listen on; 0 takes a free one.")
    data_dir: Path = Field(
        Path(".headgate"),
        description="Folder for everything Headgate keeps: database, artifacts, keys (mode 0700).",
    )
    allowed_hosts: list[str] = Field(
        [],
        description="Names, beside localhost, that clients may use for this server. The port "
        "does not matter; `*.example.com` covers the names below it.",
    )
    allowed_origins: list[str] = Field(
        [],
        description="Origins, such as https://notebooks.example.com, whose pages may call the API.",
    )
    trusted_proxies: list[str] = Field(
        [],
        description="Addresses or networks whose X-Forwarded-For and X-Forwarded-Proto are "
        "believed.",
    )
    ssl_certfile: Path | None = Field(None, description="Serve TLS with this certificate chain.")
    ssl_keyfile: Path | None = Field(None, description="The private key of `ssl_certfile`.")
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
        8, ge=0, le=110, description="Time that requests under way get when Headgate is stopped."
    )
