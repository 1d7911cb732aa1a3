"""The format of the log."""

import io
import json
import logging

import pytest

from homeport.app import log_setup


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
