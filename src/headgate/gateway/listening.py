"""Sockets to listen on, and TLS: everything that can be wrong with them is said in a sentence."""

from __future__ import annotations

import errno
import socket
import ssl
from collections.abc import Callable
from pathlib import Path

import psutil

from headgate.errors import HeadgateError, SettingsError

BACKLOG = 2048


def bind(host: str, port: int) -> list[socket.socket]:
    """Sockets that listen on every address of `host`; connections wait until somebody accepts.

    Port 0 takes a free one, the same for all. Raises `HeadgateError` that says why it can't be.
    """
    bound: list[socket.socket] = []
    addresses = _addresses(host, port)
    try:
        for family, address in addresses:
            taken = bound[0].getsockname()[1] if bound else port
            bound.append(_bind_one(family, (address[0], taken, *address[2:]), len(addresses) == 1))
    except OSError as error:
        for done in bound:
            done.close()
        raise _explain(error, host, port) from None
    return bound


def url_of(bound: socket.socket, *, secure: bool) -> str:
    """The base address of a socket, as a person would type it."""
    host, port = bound.getsockname()[:2]
    if host in ("0.0.0.0", "::"):  # noqa: S104  # compared with, not bound to
        host = socket.gethostname()
    if ":" in host:
        host = f"[{host}]"
    return f"{'https' if secure else 'http'}://{host}:{port}"


def tls_context(certfile: Path, keyfile: Path | None) -> ssl.SSLContext:
    """TLS 1.2 or newer with this certificate; raises `SettingsError` for a pair that is none."""
    for key, path in (("ssl_certfile", certfile), ("ssl_keyfile", keyfile)):
        if path is not None and not path.is_file():
            raise SettingsError(f"{key}: {path} is not a file.")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    try:
        context.load_cert_chain(certfile, keyfile, _no_password(keyfile or certfile))
    except PermissionError as error:
        raise SettingsError(f"{error.filename or certfile} cannot be read.") from None
    except ssl.SSLError as error:
        reason = (error.reason or "").replace("_", " ").lower()
        raise SettingsError(
            f"ssl_certfile {certfile} and ssl_keyfile {keyfile or certfile} are not a certificate "
            f"and its private key in PEM form ({reason or 'unreadable'})."
        ) from None
    return context


def _no_password(keyfile: Path) -> Callable[[], str]:
    def ask() -> str:
        raise SettingsError(
            f"ssl_keyfile: {keyfile} is encrypted with a password.",
            hint="Decrypt it into a file that only the server's user can read.",
        )

    return ask


def _addresses(host: str, port: int) -> list[tuple[socket.AddressFamily, tuple[object, ...]]]:
    try:
        found = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE, proto=socket.IPPROTO_TCP
        )
    except (socket.gaierror, UnicodeError):
        raise HeadgateError(
            f"'{host}' is no address of this machine.", hint="Name another with --host."
        ) from None
    # IPv4 first, so that `localhost` is printed as people know it.
    families = (socket.AF_INET, socket.AF_INET6)
    usable = [(family, address) for family, _, _, _, address in found if family in families]
    unique = list(dict.fromkeys(usable))
    return sorted(unique, key=lambda entry: families.index(entry[0]))


def _bind_one(
    family: socket.AddressFamily, address: tuple[object, ...], alone: bool
) -> socket.socket:
    bound = socket.socket(family, socket.SOCK_STREAM)
    try:
        bound.setblocking(False)
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            # `::` alone serves IPv4 too; beside an IPv4 socket it would collide with it.
            bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, not alone)
        bound.bind(address)
        # Here and not later: on Linux two may bind one port, and only one may listen.
        bound.listen(BACKLOG)
    except OSError:
        bound.close()
        raise
    return bound


def _explain(error: OSError, host: str, port: int) -> HeadgateError:
    if error.errno == errno.EADDRINUSE:
        return _port_in_use(host, port)
    if error.errno == errno.EACCES:
        return HeadgateError(
            f"Port {port} may not be opened by this user.", hint="Name one above 1023 with --port."
        )
    if error.errno == errno.EADDRNOTAVAIL:
        return HeadgateError(
            f"'{host}' is no address of this machine.", hint="Name another with --host."
        )
    return HeadgateError(f"Cannot listen on {host}, port {port}: {error.strerror}.")


def _port_in_use(host: str, port: int) -> HeadgateError:
    holder = _holder(port)
    by = f" by {holder}" if holder else ""
    return HeadgateError(
        f"Port {port} on {host} is already in use{by}.",
        hint="Stop it, or name another port with --port.",
    )


def _holder(port: int) -> str | None:
    try:
        for connection in psutil.net_connections(kind="tcp"):
            if connection.status != psutil.CONN_LISTEN or connection.pid is None:
                continue
            if connection.laddr and connection.laddr.port == port:
                return f"{psutil.Process(connection.pid).name()} (process {connection.pid})"
    except (psutil.Error, OSError):
        pass  # other users' processes can't be seen everywhere; the port is in use all the same
    return None
