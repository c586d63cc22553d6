"""What `headgate up` and `headgate serve` share: the gateway, its log, its address."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from urllib.parse import urlsplit

from headgate.cli import output
from headgate.cli.progress import Held
from headgate.cli.server_file import read_server_file, server_file
from headgate.gateway.access_log import make_access_log
from headgate.gateway.compose import compose
from headgate.gateway.log_writer import write_to_standard_error
from headgate.gateway.server import serve
from headgate.gateway.upstream import Upstream
from headgate.keys import installation_key
from headgate.observation import Draining, Event, Observe
from headgate.settings import Settings


async def serve_gateway(
    settings: Settings,
    upstream: Upstream,
    observe: Observe,
    *,
    on_listening: Callable[[str], None],
    stop: asyncio.Event,
) -> None:
    """Serve until a signal comes or `stop` is set; other commands find us meanwhile."""
    key = installation_key(settings.key_path(), settings.secret_key_secret)
    with ExitStack() as stack:

        def listening(address: str) -> None:
            local, public = addresses(settings, address)
            stack.enter_context(server_file(settings, local, public))
            on_listening(public)

        async with compose(settings, key=key, upstream=upstream, observe=observe) as gateway:
            await serve(
                gateway.app,
                settings=settings,
                observe=gateway.observe,
                on_listening=listening,
                metrics_app=gateway.metrics_app,
                stop=stop,
            )


def addresses(settings: Settings, bound: str) -> tuple[str, str]:
    """Where this machine's commands find a server bound to `bound`, and where clients do."""
    parts = urlsplit(bound)
    host = "127.0.0.1" if settings.host in ("0.0.0.0", "::", "") else settings.host  # noqa: S104 - compared
    if ":" in host and not host.startswith("["):
        host = f"[{host}]"
    local = f"{parts.scheme}://{host}:{parts.port}"
    names = [name for name in settings.allowed_hosts if not name.startswith("*")]
    reached_by_name = settings.listens_beyond_loopback() or settings.serves_tls()
    public = f"{parts.scheme}://{names[0]}:{parts.port}" if names and reached_by_name else local
    return local, public


@contextmanager
def logging(settings: Settings) -> Iterator[tuple[Observe, Held]]:
    """The log, written to its end, and what can hold its lines back."""
    held = Held(write_to_standard_error)
    log = make_access_log(settings.log_format, held)
    try:
        yield log, held
    finally:
        log.close()


class Stopwatch:
    """An `Observe` that knows how long ago the draining began."""

    def __init__(self, observe: Observe) -> None:
        self._observe = observe
        self._began: float | None = None

    def __call__(self, event: Event) -> None:
        if isinstance(event, Draining):
            self._began = time.monotonic()
        self._observe(event)

    @property
    def seconds(self) -> float:
        """Since the draining began; 0 before."""
        return time.monotonic() - self._began if self._began is not None else 0.0


def welcome(settings: Settings) -> None:
    """Tell a person where to go and as whom, and how to point an MLflow client here."""
    server = read_server_file(settings)
    if server is None:
        return
    password_file = settings.admin_password_path()
    kept = password_file.exists()
    password = f'"$(cat {password_file})"' if kept else "…"
    output.data(
        f"MLflow is ready at {server.public_url}\n"
        "\n"
        f"  user name  {settings.admin_username}\n"
        f"  password   {f'in {password_file}' if kept else 'the one that you set'}\n"
        "\n"
        "Point an MLflow client here:\n"
        "\n"
        f"  export MLFLOW_TRACKING_URI={server.public_url}\n"
        f"  export MLFLOW_TRACKING_USERNAME={settings.admin_username}\n"
        f"  export MLFLOW_TRACKING_PASSWORD={password}\n"
        "\n"
        "Ctrl-C stops it."
    )
