"""`/admin/v1/logs`: the latest lines of the server's log, and each new one as a server-sent event.

Knows nothing of how lines are collected.
"""

from collections.abc import AsyncGenerator, Callable, Iterator
from typing import NamedTuple

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from homeport.api import json_codec
from homeport.api.json_response import JsonResponse
from homeport.api.log_lines import LEVELS, LogLine, LogLines
from homeport.api.query_params import read_query
from homeport.api.recent_items import ItemRange
from homeport.api.services import services
from homeport.api.streaming import sse_event
from homeport.api.watched_access import stream_while_allowed
from homeport.domain import validation
from homeport.domain.errors import Unavailable

MAX_LINES = 2000
_MAX_ID = 2**53


class LogQuery(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """The query parameters of log lines: from `level` up, of loggers whose names begin with `logger`.

    `after`: only lines after the one with this id. Without it, the latest `limit` lines, or for a stream the next ones.
    """

    level: str = "debug"
    logger: str = ""
    after: int | None = None


class LogPageQuery(LogQuery, forbid_unknown_fields=True, kw_only=True):
    """The query parameters of a page of log lines."""

    limit: int = 200


class LogLineObject(msgspec.Struct, kw_only=True):
    """One line. `id`: its number since the start; `trace`: the traceback, if there is one."""

    object: str = "log.line"
    id: int
    time: float
    level: str
    logger: str
    message: str
    trace: str | None


class LogPageBody(msgspec.Struct, kw_only=True):
    """Log lines, the oldest first. `missed`: how many lines after `after` are no longer in memory.

    `last_id`: where the next page, or a stream, continues.
    """

    object: str = "list"
    data: list[LogLineObject]
    last_id: int
    has_more: bool
    missed: int


class MissedLinesObject(msgspec.Struct, kw_only=True):
    """The event of a stream whose reader was too slow: this many lines are left out here."""

    object: str = "log.missed"
    missed: int


class _Numbered(NamedTuple):
    id: int
    line: LogLine


async def list_lines(request: Request) -> Response:
    """List log lines, the oldest first."""
    query = read_query(request, LogPageQuery)
    _check(query)
    validation.check_integer("limit", query.limit, 1, MAX_LINES)
    found = _log_lines(request).after(_known(query, _log_lines(request)))
    selected = list(_select(found, _filter(query)))
    cut = selected[-query.limit :] if query.after is None else selected[: query.limit]
    has_more = query.after is not None and len(cut) < len(selected)
    newest = found.first + len(found.items) - 1
    return JsonResponse(
        LogPageBody(
            data=[_render(each) for each in cut],
            last_id=cut[-1].id if has_more else newest,
            has_more=has_more,
            missed=found.n_missed if query.after is not None else 0,
        )
    )


async def stream_lines(request: Request) -> Response:
    """Stream log lines until the server or the access ends."""
    query, lines = read_query(request, LogQuery), _log_lines(request)
    _check(query)
    number = lines.last if query.after is None else _known(query, lines)
    return stream_while_allowed(request, _events(lines, query, number))


async def _events(lines: LogLines, query: LogQuery, number: int) -> AsyncGenerator[bytes, None]:
    yield b""  # so that the headers are sent before the next line
    is_selected = _filter(query)
    async for found in lines.follow(number):
        if found.n_missed:
            yield sse_event(json_codec.encode(MissedLinesObject(missed=found.n_missed)))
        for each in _select(found, is_selected):
            yield sse_event(json_codec.encode(_render(each)))


def _known(query: LogQuery, lines: LogLines) -> int:
    """Return the id after which lines are asked for; 0 if it is of an earlier start of the server."""
    return 0 if query.after is None or query.after > lines.last else query.after


def _select(found: ItemRange[LogLine], is_selected: Callable[[LogLine], bool]) -> Iterator[_Numbered]:
    return (_Numbered(id, line) for id, line in enumerate(found.items, found.first) if is_selected(line))


def _filter(query: LogQuery) -> Callable[[LogLine], bool]:
    levels = LEVELS[LEVELS.index(query.level) :]
    return lambda line: line.level in levels and line.logger.startswith(query.logger)


def _render(each: _Numbered) -> LogLineObject:
    line = each.line
    return LogLineObject(
        id=each.id, time=line.at, level=line.level, logger=line.logger, message=line.message, trace=line.trace or None
    )


def _check(query: LogQuery) -> None:
    validation.check_choice("level", query.level, LEVELS)
    validation.check_length("logger", query.logger, validation.LABEL_CHARS)
    validation.check_integer("after", query.after, 0, _MAX_ID)


def _log_lines(request: Request) -> LogLines:
    lines = services(request).log_lines
    if lines is None:
        raise Unavailable("This server keeps no log lines.")
    return lines
