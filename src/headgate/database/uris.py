"""Database URIs: which driver one means, what of it may be shown.

A URI may hold a password; only `redact` makes text of one that people may see.
"""

from __future__ import annotations

import re
from urllib.parse import unquote

from headgate.errors import SettingsError

# What people write -> the dialect and the driver that our extras install.
_DRIVERS = {
    "sqlite": "sqlite",
    "postgresql": "postgresql+psycopg",
    "postgres": "postgresql+psycopg",
    "mysql": "mysql+pymysql",
    "mariadb": "mysql+pymysql",
}
_SECRET_ARGUMENT = re.compile(
    r"([?&][^=&#]*(?:password|passwd|passphrase|secret|token|sslkey)[^=&#]*=)[^&#]*", re.IGNORECASE
)


def normal_uri(uri: str) -> str:
    """The same database with its driver named, as SQLAlchemy and MLflow then agree on it.

    Raises `SettingsError` for a scheme that we do not serve.
    """
    scheme, separator, rest = uri.partition("://")
    if not separator or scheme == "file":
        raise SettingsError(
            "The backend store must be a database, such as sqlite:///mlflow.db.",
            hint="A folder of MLflow's file store becomes a database with "
            "`mlflow migrate-filestore`.",
        )
    dialect, _, driver = scheme.partition("+")
    if dialect not in _DRIVERS:
        raise SettingsError(
            f"No driver for scheme {scheme!r}. Use sqlite, postgresql or mysql.",
        )
    if driver and dialect != "postgres":
        return uri
    return f"{_DRIVERS[dialect]}://{rest}"


def kind(uri: str) -> str:
    """`sqlite`, `postgresql` or `mysql`."""
    return normal_uri(uri).partition("://")[0].partition("+")[0].replace("mariadb", "mysql")


def redact(uri: str) -> str:
    """The URI with stars for its password and for secret arguments; works on broken ones too."""
    scheme, separator, rest = uri.partition("://")
    # A password may hold an unescaped `/`, `?` or `@`: all up to the last `@` is the user's.
    userinfo, at, address = rest.rpartition("@")
    if at and ":" in userinfo:
        userinfo = userinfo.partition(":")[0] + ":***"
    return _SECRET_ARGUMENT.sub(r"\1***", f"{scheme}{separator}{userinfo}{at}{address}")


def secrets_of(uri: str) -> list[str]:
    """The secrets in a URI, as written and as decoded, the longest first."""
    userinfo = uri.partition("://")[2].rpartition("@")[0]
    written = {userinfo.partition(":")[2]}
    written |= {found.group(0).partition("=")[2] for found in _SECRET_ARGUMENT.finditer(uri)}
    spellings = written | {unquote(secret) for secret in written}
    return sorted((secret for secret in spellings if secret), key=len, reverse=True)


def without_secrets(text: str, *uris: str) -> str:
    """`text` with stars wherever it repeats a secret of `uris`."""
    for uri in uris:
        for secret in secrets_of(uri):
            text = text.replace(secret, "***")
    return text
