"""The format of the log."""

import io
import json
import logging
from collections.abc import Iterator

import pytest

from homeport.api.log_lines import WORKER_LOGGER, LogLines
from homeport.app import log_setup
from homeport.settings import Settings


@pytest.fixture
def unchanged_logging() -> Iterator[None]:
    """Restore the handlers and levels afterwards."""
    root, loggers = logging.getLogger(), [logging.getLogger(name) for name in ("homeport", WORKER_LOGGER)]
    before, levels = root.handlers[:], [logger.level for logger in loggers]
    yield
    root.handlers[:] = before
    for logger, level in zip(loggers, levels, strict=True):
        logger.setLevel(level)


@pytest.mark.usefixtures("unchanged_logging")
@pytest.mark.parametrize("level", ["debug", "info", "error"])
def test_lines_in_memory_are_those_of_the_log_and_of_workers(level: str) -> None:
    """In memory are the lines of the log and, whatever its level is, what workers print, without secrets."""
    lines = LogLines()
    settings = Settings(admin_key="own-secret-of-tests", api_keys=("sk-own",))
    log_setup.configure_logging(level, "text", log_setup.lines_handler(settings, lines))
    written = io.StringIO()
    stream = next(each for each in logging.getLogger().handlers if isinstance(each, logging.StreamHandler))
    stream.setStream(written)
    logging.getLogger("homeport.x").info("with own-secret-of-tests and sk-own")
    logging.getLogger(WORKER_LOGGER).debug("tiny[1]: loaded")
    logging.getLogger("elsewhere").info("never")
    logging.getLogger("homeport.x").error("broken")
    found = [line.message for line in lines.after().items]
    masked = [] if level == "error" else ["with own-s***ts and ***"]
    assert found == [*masked, "tiny[1]: loaded", "broken"]
    assert ("tiny[1]" in written.getvalue()) == (level == "debug")
    assert ("own-secret" in written.getvalue()) == (level != "error")


@pytest.mark.parametrize("style", ["text", "json"])
def test_what_is_logged_steers_no_terminal_and_forges_no_line(style: str) -> None:
    """Control characters in a name are escaped, and a line end in it does not begin a new line."""
    root = logging.getLogger()
    before, level = root.handlers[:], logging.getLogger("homeport").level
    try:
        log_setup.configure_logging("info", style)
        written = io.StringIO()
        (handler,) = root.handlers
        assert isinstance(handler, logging.StreamHandler)
        handler.setStream(written)
        logging.getLogger("homeport.x").info("key %s", "a\x1b[2J\x9b\nINFO forged")
        try:
            raise ValueError("\x1b[2J")
        except ValueError:
            logging.getLogger("homeport.x").exception("failed")
    finally:
        root.handlers[:] = before
        logging.getLogger("homeport").setLevel(level)
    first, *rest = written.getvalue().splitlines()
    assert not set("\x1b\x9b") & set(written.getvalue())
    if style == "json":
        assert json.loads(first)["message"] == "key a\x1b[2J\x9b\nINFO forged"
    else:
        assert first.endswith("key a\\x1b[2J\\x9b\\x0aINFO forged")
        assert any(line.startswith("Traceback") for line in rest)
