"""HTTP/1.1 at the front door: uvicorn's httptools protocol, with bounds and clocks.

uvicorn trusts what stands in front of it; this one is in front. A connection here is refused
once and for good (`_refuse`): the answer is in MLflow's error form, takes its turn behind the
answers to earlier requests, and nothing that follows on the connection is read as a request.
Every state a connection can wait in has a clock. Start at `GatewayProtocol.data_received`;
what a head may look like is in `framing`, one answer in `cycle`.
"""

from __future__ import annotations

import asyncio
import secrets
from asyncio import TimerHandle
from typing import cast
from urllib.parse import unquote

import httptools
from uvicorn.config import Config
from uvicorn.protocols.http.flow_control import HIGH_WATER_LIMIT
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState

from headgate.errors import ApiError, bad_request
from headgate.gateway import framing
from headgate.gateway.cycle import ConnectionEnd, Cycle, CycleHttp10, HeldFlow
from headgate.observation import Observe, RequestFinished

# Load balancers keep idle connections for 60 s; whoever closes first loses no request.
KEEP_ALIVE_SECONDS = 75
MAX_PIPELINED = 100
# With so many waiting we stop reading, and so would not hear that the client left.
PAUSE_PIPELINED = 8
# A client that takes nothing of its answer for so long is gone.
WRITE_STALL_SECONDS = 120.0
# After a refusal we read on for a moment: closing over unread bytes sends a reset, which may
# reach the client before our answer.
LINGER_SECONDS = 2.0
LINGER_BYTES = 4 * 2**20
# A connection that has sent nothing yet may have a request on its way when we stop.
DRAIN_GRACE_SECONDS = 1.0


class GatewayProtocol(HttpToolsProtocol):
    """One client's connection."""

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        *,
        request_seconds: float,
        observe: Observe,
    ) -> None:
        super().__init__(config, server_state, {}, asyncio.get_running_loop())
        # uvicorn answers the first of two requests when the first said `Connection: close`;
        # what follows such a request is not to be read at all.
        self.parser.set_dangerous_leniencies(lenient_data_after_close=False)
        self._request_seconds = request_seconds
        self._observe = observe
        self._end: ConnectionEnd
        self._held: HeldFlow
        self._running: Cycle | None = None
        self._once: dict[bytes, bytes] = {}
        self._reading_head = False
        self._got_body = False
        self._arriving = 0
        self._head_bytes = 0
        self._head_arrived = 0
        self._wrapping_bytes = 0
        self._trailer_bytes = 0
        self._refusal: ApiError | None = None
        self._deaf = False  # what arrives is dropped
        self._ended = False  # nothing more is answered
        self._discarded = 0
        self._draining = False
        self._clock: TimerHandle | None = None
        self._write_clock: TimerHandle | None = None

    # The connection

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's
        super().connection_made(transport)
        self.flow = self._held = HeldFlow(transport)
        self._end = ConnectionEnd(transport, close=self._close_politely)
        self._start_clock()

    def connection_lost(self, exc: Exception | None) -> None:
        self._deaf = True
        # uvicorn tells only the newest request; those waiting before it must hear it too.
        for cycle in (self._running, *(waiting for waiting, _ in self.pipeline)):
            if cycle is not None and not cycle.response_complete:
                cycle.disconnected = True
                cycle.message_event.set()
        self.pipeline.clear()
        super().connection_lost(exc)
        self._unset_keepalive_if_required()
        self._stop_clock()
        self.resume_writing()

    def pause_writing(self) -> None:
        super().pause_writing()
        if self._write_clock is None:
            self._write_clock = self.loop.call_later(WRITE_STALL_SECONDS, self._end.abort)

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._write_clock is not None:
            self._write_clock.cancel()
            self._write_clock = None

    def shutdown(self) -> None:
        """Finish what is under way; close at once what is idle.

        Bytes that wait in the kernel are a request that we have not read yet, so such a
        connection is not idle.
        """
        self._draining = True
        if self._answering or self._reading_head:
            if self.cycle is not None:
                self.cycle.keep_alive = False
        elif self._deaf:
            pass  # it is closing already
        elif self.cycle is None or self._end.has_unread():
            self.loop.call_later(DRAIN_GRACE_SECONDS, self._close_unless_busy)
        else:
            self.transport.close()

    def abort(self) -> None:
        """Drop the connection and whatever is under way on it."""
        self._end.abort()

    # What arrives

    def data_received(self, data: bytes) -> None:
        if self._deaf:
            self._discard(len(data))
            return
        self._unset_keepalive_if_required()
        self._arriving = len(data)
        self._got_body = False
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._deaf = True  # the head is answered as usual; what follows is no HTTP of ours
            return
        except httptools.HttpParserError as error:
            cause = error.__context__
            self._refuse(cause if isinstance(cause, ApiError) else framing.malformed())
            return
        if self._reading_head:
            self._count_head(len(data))
        elif self.cycle is not None and self.cycle.more_body:
            self._count_wrapping(len(data))
        if (self._reading_head or not self._answering) and self.timeout_keep_alive_task is None:
            self._start_clock()  # only the client can bring this connection forward

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._once = {}
        self._reading_head = True
        self._head_bytes = self._head_arrived = self._wrapping_bytes = self._trailer_bytes = 0

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self._reading_head:
            # A trailer. The request is being answered; it can't be given other headers now.
            self._trailer_bytes += len(name) + len(value) + 4
            if self._trailer_bytes > framing.MAX_HEAD_BYTES:
                raise framing.head_too_large()
            return
        name = name.lower()
        if name in framing.ONCE:
            if name in self._once:
                raise framing.repeated(name)
            self._once[name] = value
        self.headers.append((name, value))

    def on_headers_complete(self) -> None:
        # What arrived since the head began is at least the head: mostly nothing need be measured.
        arrived = self._head_arrived + self._arriving
        if len(self.headers) > framing.MAX_HEADERS or (
            arrived > framing.MAX_HEAD_BYTES < framing.head_size(self.url, self.headers)
        ):
            raise framing.head_too_large()
        version = self.parser.get_http_version()
        method, upgrade = self.parser.get_method(), self.parser.should_upgrade()
        framing.check_head(
            method=method, target=self.url, version=version, once=self._once, upgrade=upgrade
        )
        if len(self.pipeline) >= MAX_PIPELINED:
            raise bad_request("Too many requests were sent without awaiting answers.", close=True)
        self._reading_head = False
        self._stop_clock()
        self._begin(method, version, upgrade)

    def on_body(self, body: bytes) -> None:
        self._got_body = True
        cycle = self.cycle
        if cycle.response_complete:
            return
        cycle.body += body
        if len(cycle.body) > HIGH_WATER_LIMIT:
            if cycle is self._running:
                self.flow.pause_reading()
            else:
                self._held.hold()  # nobody takes it yet
        cycle.message_event.set()

    def on_message_complete(self) -> None:
        # Whether or not it was answered already: the next byte belongs to another request.
        cycle = self.cycle
        cycle.more_body = False
        cycle.message_event.set()
        if cycle.response_complete and not self._deaf:
            self._stop_clock()
            self._start_keep_alive()

    # Requests and answers

    def _begin(self, method: bytes, version: str, upgrade: bool) -> None:
        raw_path, _, query = self.url.partition(b"?")
        path = raw_path.decode("ascii")
        scope = self.scope
        scope["method"] = method.decode("ascii")
        scope["http_version"] = version
        scope["path"] = unquote(path) if "%" in path else path
        scope["raw_path"] = raw_path
        scope["query_string"] = query
        kind = Cycle if version == "1.1" else CycleHttp10
        earlier = self.cycle
        self.cycle = cycle = kind(
            scope=scope,
            transport=cast(asyncio.Transport, self._end),
            flow=self.flow,
            logger=self.logger,
            access_logger=self.access_logger,
            access_log=False,
            default_headers=self.server_state.default_headers,
            message_event=asyncio.Event(),
            expect_100_continue=b"expect" in self._once and version == "1.1",
            keep_alive=(
                version == "1.1"
                and self.parser.should_keep_alive()
                and not upgrade
                and not self._draining
            ),
            on_response=self.on_response_complete,
        )
        cycle.observe = self._observe
        if earlier is None or earlier.response_complete:
            self._start(cycle)
        else:
            self.pipeline.appendleft((cycle, self.app))
            if len(self.pipeline) >= PAUSE_PIPELINED:
                self._held.hold()

    def _start(self, cycle: Cycle) -> None:
        self._running = cycle
        self._start_asgi_task(cycle, self.app)

    def on_response_complete(self) -> None:
        self.server_state.total_requests += 1
        self._running = None
        if self._ended or self.transport.is_closing():
            return
        self._unset_keepalive_if_required()
        if self.pipeline:
            cycle, _ = self.pipeline.pop()
            if not self.pipeline:
                self._held.let_go()
            self._start(cast(Cycle, cycle))
        elif self._refusal is not None:
            self._write_refusal(self._refusal)
        elif not self._deaf:
            self.flow.resume_reading()
            if self._reading_head or self.cycle.more_body:
                self._start_clock()
            else:
                self._start_keep_alive()

    @property
    def _answering(self) -> bool:
        return self._running is not None and not self._running.response_complete

    # Refusing

    def _refuse(self, error: ApiError) -> None:
        """Answer `error` when its turn comes, and nothing after it."""
        newest = self.cycle
        in_body = newest is not None and newest.more_body and not self._reading_head
        self._deaf = True
        self._reading_head = False
        self._stop_clock()
        if in_body and newest.response_complete:
            self._close_politely()  # it has its answer; only the rest of its body was broken
        elif in_body:
            self._refuse_body(newest, error)
        elif self._answering:
            self._refusal = error
        else:
            self._write_refusal(error)

    def _refuse_body(self, broken: RequestResponseCycle, error: ApiError) -> None:
        """Whoever reads the body of `broken` must not take it as whole."""
        if self.pipeline and self.pipeline[0][0] is broken:
            self.pipeline.popleft()
            self._refusal = error
            return
        broken.disconnected = True
        broken.message_event.set()
        if broken.response_started:
            self._end.abort()
        else:
            self._running = None
            self._write_refusal(error)

    def _write_refusal(self, error: ApiError) -> None:
        request_id = secrets.token_hex(8)
        answer = framing.render(error, request_id, self.server_state.default_headers)
        self._refusal = None
        self.transport.write(answer)
        self._close_politely(rest_expected=True)
        self._observe(
            RequestFinished(
                request_id=request_id,
                method="-",
                path="-",
                route="refused",
                status=error.status,
                seconds=0.0,
                sent_bytes=len(answer),
                client=self.client[0] if self.client else "",
                username=None,
            )
        )

    def _close_politely(self, *, rest_expected: bool = False) -> None:
        """Close so that the client can read the answer, even if it is still sending."""
        self._deaf = self._ended = True
        self._stop_clock()
        if self.transport.is_closing():
            return
        unread = self.cycle is not None and self.cycle.more_body
        if not rest_expected and not unread:
            self.transport.close()
            return
        self._held.let_go()
        self.flow.resume_reading()
        if self.transport.can_write_eof():
            self.transport.write_eof()
        self._clock = self.loop.call_later(LINGER_SECONDS, self.transport.close)

    def _discard(self, size: int) -> None:
        self._discarded += size
        if self._discarded > LINGER_BYTES and not self._answering:
            self.transport.close()

    # Bounds and clocks

    def _count_head(self, size: int) -> None:
        """Bound what the parser gathers; `on_headers_complete` judges the whole head."""
        self._head_arrived += size
        # Where the head began in the middle of `size`, the headers seen so far are all we know.
        seen = framing.head_size(self.url, self.headers)
        self._head_bytes = seen if self._head_bytes == 0 else max(seen, self._head_bytes + size)
        if self._head_bytes > framing.MAX_HEAD_BYTES:
            self._refuse(framing.head_too_large())

    def _count_wrapping(self, size: int) -> None:
        """Bound what wraps a chunked body: chunk extensions, and trailers not yet complete."""
        self._wrapping_bytes = 0 if self._got_body else self._wrapping_bytes + size
        if self._wrapping_bytes > framing.MAX_HEAD_BYTES:
            self._refuse(framing.head_too_large())

    def _start_clock(self) -> None:
        if self._clock is None:
            self._clock = self.loop.call_later(self._request_seconds, self._out_of_time)

    def _stop_clock(self) -> None:
        if self._clock is not None:
            self._clock.cancel()
            self._clock = None

    def _out_of_time(self) -> None:
        self._clock = None
        if self._reading_head:
            self._refuse(framing.timed_out("The request's headers"))
        else:
            self._close_politely()

    def _start_keep_alive(self) -> None:
        self.timeout_keep_alive_task = self.loop.call_later(
            KEEP_ALIVE_SECONDS, self.timeout_keep_alive_handler
        )

    def _close_unless_busy(self) -> None:
        if not (self._answering or self._reading_head or self._deaf):
            self.transport.close()
