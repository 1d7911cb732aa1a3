"""`/admin/v1/metrics/series`: the metrics of the last 15 minutes, and each new sample as a server-sent event.

Knows nothing of how they are sampled.
"""

import math
from array import array
from collections.abc import AsyncGenerator, Sequence

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from homeport.api import json_codec
from homeport.api.json_response import JsonResponse
from homeport.api.metric_series import INTERVAL_S, MODEL_FIELDS, SERVER_FIELDS, SPAN_S, MetricSeries, Sample
from homeport.api.query_params import read_query
from homeport.api.services import services
from homeport.api.streaming import sse_event
from homeport.api.watched_access import stream_while_allowed
from homeport.domain import validation
from homeport.domain.errors import Unavailable

Numbers = dict[str, Sequence[float | None]]


class SeriesQuery(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """The query parameters of a series. `after`: only samples after this time, in seconds since 1970."""

    after: float | None = None


class SeriesObject(msgspec.Struct, kw_only=True):
    """Samples in columns: each list has a number for each of the `times`, null where it does not apply.

    `models`: for each model that was loaded or used, its name as `model`, and its columns.
    """

    object: str = "metrics.series"
    interval_s: float = INTERVAL_S
    span_s: int = SPAN_S
    times: list[float]
    server: Numbers
    models: list[dict[str, str | Sequence[float | None]]]


class SampleObject(msgspec.Struct, kw_only=True):
    """One sample."""

    object: str = "metrics.sample"
    time: float
    server: dict[str, float | None]
    models: list[dict[str, str | float | None]]


async def get_series(request: Request) -> Response:
    """Return the samples of the last 15 minutes, the oldest first."""
    query = _read_query(request)
    samples = _series(request).recent.after().items
    return JsonResponse(render_series([each for each in samples if query.after is None or each.at > query.after]))


async def stream_samples(request: Request) -> Response:
    """Stream the samples after a time, by default each new one, until the server or the access ends."""
    query, recent = _read_query(request), _series(request).recent
    known = recent.after()
    first = recent.last
    if query.after is not None:
        first -= sum(sample.at > query.after for sample in known.items)
    return stream_while_allowed(request, _events(_series(request), first))


def render_series(samples: Sequence[Sample]) -> SeriesObject:
    """Render samples in columns."""
    names = dict.fromkeys(name for sample in samples for name in sample.models)
    return SeriesObject(
        times=[sample.at for sample in samples],
        server=_columns(SERVER_FIELDS, [sample.server for sample in samples]),
        models=[
            {"model": name, **_columns(MODEL_FIELDS, [sample.models.get(name) for sample in samples])} for name in names
        ],
    )


def render_sample(sample: Sample) -> SampleObject:
    """Render one sample."""
    return SampleObject(
        time=sample.at,
        server=_row(SERVER_FIELDS, sample.server),
        models=[{"model": name, **_row(MODEL_FIELDS, values)} for name, values in sample.models.items()],
    )


async def _events(series: MetricSeries, number: int) -> AsyncGenerator[bytes, None]:
    yield b""  # so that the headers are sent before the next sample
    async for found in series.recent.follow(number):
        for sample in found.items:
            yield sse_event(json_codec.encode(render_sample(sample)))


def _columns(names: Sequence[str], rows: "Sequence[array[float] | None]") -> Numbers:
    return {
        name: [None if row is None or math.isnan(row[at]) else row[at] for row in rows] for at, name in enumerate(names)
    }


def _row(names: Sequence[str], values: "array[float]") -> dict[str, float | None]:
    return {name: None if math.isnan(value) else value for name, value in zip(names, values, strict=True)}


def _read_query(request: Request) -> SeriesQuery:
    query = read_query(request, SeriesQuery)
    validation.check_number("after", query.after)
    return query


def _series(request: Request) -> MetricSeries:
    series = services(request).series
    if series is None:
        raise Unavailable("This server keeps no series of metrics.")
    return series
