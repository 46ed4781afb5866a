"""One trace from the door to the ERP: who called whom for which message. Traces leave the house only when an address is set."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from opentelemetry import propagate, trace
from opentelemetry.context import Context
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

from workers.settings import Settings

if TYPE_CHECKING:  # a door that only keeps needs neither
    import httpx

    from workers.trace_passing import PassesTraceOn

_provider: trace.TracerProvider | None = None


class _Ids(trace.Tracer):
    """Spans that nobody is sent: they have their ids, which is all that our journal, our log and who we call need of them."""

    def start_span(self, name: str, context: Context | None = None, *_: Any, **__: Any) -> trace.Span:
        before = trace.get_current_span(context).get_span_context()
        known = before.is_valid
        ids = trace.SpanContext(
            before.trace_id if known else random.getrandbits(128),
            random.getrandbits(64),
            is_remote=False,
            trace_flags=before.trace_flags if known else trace.TraceFlags(trace.TraceFlags.SAMPLED),
            trace_state=before.trace_state,
        )
        return trace.NonRecordingSpan(ids)

    @contextmanager
    def start_as_current_span(  # type: ignore[override]
        self, name: str, context: Context | None = None, *_: Any, **__: Any
    ) -> Iterator[trace.Span]:
        span = self.start_span(name, context)
        with trace.use_span(span, record_exception=False, set_status_on_exception=False):
            yield span


class _IdsOnly(trace.TracerProvider):
    def get_tracer(self, *_: Any, **__: Any) -> trace.Tracer:
        return _Ids()


def start(settings: Settings, process: str) -> trace.TracerProvider:
    """Give this process a tracer, once; every span has an id whether or not it is exported."""
    global _provider  # noqa: PLW0603 (OpenTelemetry allows one provider per process)
    if _provider is None:
        if settings.otlp_endpoint:
            from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

            exported = TracerProvider(resource=Resource.create({"service.name": f"fascia-{process}"}))
            exported.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint=settings.otlp_endpoint)))
            _provider = exported
        else:
            _provider = _IdsOnly()
        trace.set_tracer_provider(_provider)
    return _provider


def stop() -> None:
    """Send what is still held back."""
    if isinstance(_provider, TracerProvider):
        _provider.shutdown()


def through_temporal() -> PassesTraceOn:
    """Carries the trace from a door into the case and on into its steps."""
    from workers.trace_passing import PassesTraceOn

    return PassesTraceOn()


def trace_id() -> str:
    """The id of the trace we are in, 32 hexadecimal digits; empty outside any."""
    context = trace.get_current_span().get_span_context()
    return f"{context.trace_id:032x}" if context.is_valid else ""


@contextmanager
def span(name: str, headers: Mapping[str, str] | None = None) -> Iterator[str]:
    """A span around a piece of work at a door or loop, continuing the caller's ``traceparent``; gives the trace id.

    Without a caller it begins a trace of its own, whatever this task was started from.
    """
    context = propagate.extract(dict(headers or {}), context=Context())
    with trace.get_tracer("fascia").start_as_current_span(
        name, context=context, record_exception=False, set_status_on_exception=False
    ):
        yield trace_id()


def passes_trace_on() -> Callable[[httpx.Request], Awaitable[None]]:
    """An httpx request hook that tells the other side which trace this call belongs to."""

    async def hook(request: httpx.Request) -> None:
        propagate.inject(request.headers)

    return hook
