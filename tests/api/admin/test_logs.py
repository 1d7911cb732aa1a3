"""The log's tail over HTTP: selected by level, in pages, and each new line as an event."""

import asyncio
import logging
import socket
import tracemalloc
from typing import Any
from urllib.parse import urlencode, urlsplit

import pytest
from starlette.types import ASGIApp

from homeport.api.access_policy import AccessPolicy
from homeport.api.application import build_application
from homeport.api.log_lines import LogLine, LogLines, LogLinesHandler
from tests.api.asgi import AsgiResponse, call
from tests.api.event_reader import reading
from tests.api.fakes import services
from tests.api.live_server import served

ADMIN = "the-operators-own-key"
HEADERS = {"authorization": f"Bearer {ADMIN}"}
PATH = "/admin/v1/logs"


class LoggingApp:
    """An application with log lines of its own."""

    def __init__(self) -> None:
        self.lines = LogLines()
        access = AccessPolicy.from_keys(("sk-a-callers-own-key",), admin_keys=(ADMIN,))
        self.app: ASGIApp = build_application(services(log_lines=self.lines, access=access))

    def log(self, *messages: str, level: str = "info", logger: str = "homeport.x") -> None:
        """Add lines."""
        for message in messages:
            self.lines.append(LogLine(1.5, level, logger, message, ""), len(message))

    async def ask(self, key: str = ADMIN, **query: Any) -> AsgiResponse:
        """Ask for lines."""
        return await call(self.app, "GET", f"{PATH}?{urlencode(query)}", headers={"authorization": f"Bearer {key}"})

    async def messages(self, **query: Any) -> list[str]:
        """Return the messages of the lines that are selected."""
        return [line["message"] for line in (await self.ask(**query)).json["data"]]


@pytest.fixture
def logging_app() -> LoggingApp:
    return LoggingApp()


async def test_the_tail_has_the_latest_lines(logging_app: LoggingApp) -> None:
    """Without `after` a page has the latest lines, the oldest first, each with its time, level and logger."""
    logging_app.log("a", "b", "c")
    body = (await logging_app.ask(limit=2)).json
    assert body["data"] == [
        {
            "object": "log.line",
            "id": id,
            "time": 1.5,
            "level": "info",
            "logger": "homeport.x",
            "message": message,
            "trace": None,
        }
        for id, message in ((2, "b"), (3, "c"))
    ]
    assert (body["last_id"], body["has_more"], body["missed"]) == (3, False, 0)
    assert await logging_app.messages() == ["a", "b", "c"]


async def test_lines_are_selected_by_level_and_logger(logging_app: LoggingApp) -> None:
    """A level selects itself and those above it; a logger selects those below it."""
    logging_app.log("native", level="debug", logger="homeport.worker")
    logging_app.log("fine", logger="homeport.access")
    logging_app.log("odd", level="warning")
    logging_app.log("broken", level="error", logger="homeport.worker")
    assert await logging_app.messages(level="warning") == ["odd", "broken"]
    assert await logging_app.messages(level="info") == ["fine", "odd", "broken"]
    assert await logging_app.messages(logger="homeport.worker") == ["native", "broken"]
    assert await logging_app.messages(logger="homeport.worker", level="error") == ["broken"]


async def test_pages_follow_one_another(logging_app: LoggingApp) -> None:
    """`last_id` as the next `after` reads every line once, whatever is selected, and then new ones."""
    for at in range(5):
        logging_app.log(f"info {at}")
        logging_app.log(f"error {at}", level="error")
    seen: list[str] = []
    after, has_more = 0, True
    while has_more:
        body = (await logging_app.ask(after=after, limit=2, level="error")).json
        seen += [line["message"] for line in body["data"]]
        after, has_more = body["last_id"], body["has_more"]
    assert seen == [f"error {at}" for at in range(5)]
    assert await logging_app.messages(after=after) == []
    logging_app.log("new")
    assert await logging_app.messages(after=after) == ["new"]


async def test_lost_lines_are_counted(logging_app: LoggingApp) -> None:
    """A page says how many lines after `after` are gone; an id of an earlier start reads from the beginning."""
    logging_app.log(*(str(at) for at in range(2010)))
    body = (await logging_app.ask(after=4, limit=1)).json
    assert (body["missed"], body["data"][0]["message"]) == (6, "10")
    assert (await logging_app.messages(after=99_999))[0] == "10"


async def test_new_lines_are_events(logging_app: LoggingApp) -> None:
    """A stream has the lines that follow, selected as in a page, and ends with the server."""
    logging_app.log("old")
    async with reading(logging_app.app, f"{PATH}/events?level=warning", HEADERS) as (reader, task):
        logging_app.log("quiet")
        logging_app.log("loud", level="warning")
        event = await reader.take()
        assert (event["id"], event["message"]) == (3, "loud")
        logging_app.lines.close()
        async with asyncio.timeout(10):
            await task


async def test_a_stream_says_what_it_missed(logging_app: LoggingApp) -> None:
    """Where lines are gone, a stream has an event with their number before the next line."""
    logging_app.log(*(str(at) for at in range(2003)))
    async with reading(logging_app.app, f"{PATH}/events?after=1", HEADERS) as (reader, _):
        assert await reader.take() == {"object": "log.missed", "missed": 2}
        assert (await reader.take())["message"] == "3"


async def test_a_thread_may_log(logging_app: LoggingApp) -> None:
    """Lines that a thread logs through `logging` arrive in an open stream."""
    logger = logging.Logger("homeport.y")
    logger.addHandler(LogLinesHandler(logging_app.lines))
    async with reading(logging_app.app, f"{PATH}/events", HEADERS) as (reader, _):
        await asyncio.to_thread(logger.warning, "from %s", "a thread")
        assert (await reader.take())["message"] == "from a thread"


def test_a_slow_reader_costs_no_memory(logging_app: LoggingApp) -> None:
    """While a client reads nothing, 40 MB of lines pass without being held for it; then it learns of the gap."""
    with served(logging_app.app) as address, socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.settimeout(30)
        client.connect(("127.0.0.1", urlsplit(address).port))
        request = f"GET {PATH}/events HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {ADMIN}\r\n\r\n"
        client.sendall(request.encode())
        received = client.recv(200)
        assert received.startswith(b"HTTP/1.1 200")
        tracemalloc.start()
        try:
            for at in range(10_000):
                logging_app.log(f"{at} {'x' * 4000}")
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert peak < 6_000_000
        while b"log.missed" not in received:
            received = received[-20:] + client.recv(65536)


@pytest.mark.parametrize(
    ("query", "param"),
    [({"level": "loud"}, "level"), ({"after": -1}, "after"), ({"after": "x"}, "after"), ({"colour": 1}, "colour")],
)
async def test_a_wrong_question_is_named(logging_app: LoggingApp, query: dict[str, Any], param: str) -> None:
    """Other values and unknown parameters are refused by name, by the stream too."""
    stream = await call(logging_app.app, "GET", f"{PATH}/events?{urlencode(query)}", headers=HEADERS)
    for response in (await logging_app.ask(**query), stream):
        assert (response.status, response.error["param"]) == (400, param)
    assert (await logging_app.ask(limit=0)).error["param"] == "limit"


async def test_only_an_admin_reads_it(logging_app: LoggingApp) -> None:
    """For other keys the log does not exist; a server that keeps no lines says so."""
    assert (await logging_app.ask(key="sk-a-callers-own-key")).status == 404
    app = build_application(services(access=AccessPolicy.from_keys(admin_keys=(ADMIN,))))
    assert (await call(app, "GET", PATH, headers=HEADERS)).status == 503
