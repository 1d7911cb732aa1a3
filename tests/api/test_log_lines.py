"""The latest lines of the log: which there are, and that no secret is among them."""

import logging
import sys

import pytest

from homeport.api.log_lines import WORKER_LOGGER, LogLine, LogLines, LogLinesHandler


def logged(message: str, *arguments: object, secrets: tuple[str, ...] = (), **record: object) -> LogLine:
    """Pass one record to a handler; return the line."""
    lines = LogLines()
    given = {"name": "homeport.x", "levelno": logging.INFO, "levelname": "INFO", **record}
    LogLinesHandler(lines, secrets).emit(logging.makeLogRecord({"msg": message, "args": arguments, **given}))
    [line] = lines.after().items
    return line


@pytest.mark.parametrize(
    ("message", "secret"),
    [
        ("the admin key is own-secret-of-tests", "own-secret-of-tests"),
        ("created sk-abcdefghijklmnopqrstuvwxyz", "fghijklmnop"),
        ("sent hf_abcdefghijklmnopqrs", "fghijklm"),
        ("headers: Authorization: Bearer aVeryOwnToken", "VeryOwnT"),
        ("connects to postgresql://me:passw0rd@host/name", "passw0rd"),
        ("sent ms-01234567-89ab-cdef-0123-456789abcdef", "4567-89ab"),
        ("a short one: tiny1.", "tiny1"),
    ],
)
def test_secrets_are_masked(message: str, secret: str) -> None:
    """Keys of the settings, and what looks like a key, a token or a password in a URL, are not in the lines."""
    line = logged(message, secrets=("own-secret-of-tests", "tiny1", ""))
    assert secret not in line.message
    assert "***" in line.message


def test_a_secret_in_a_traceback_is_masked() -> None:
    """Tracebacks are kept beside the message, and masked as it is."""
    try:
        raise ValueError("sk-abcdefghijklmnopqrstuvwxyz")
    except ValueError:
        line = logged("failed", exc_info=sys.exc_info())
    assert line.trace.startswith("Traceback")
    assert "fghij" not in line.trace


def test_a_secret_at_the_cut_of_a_long_text_is_masked() -> None:
    """Where a text is too long, no part of a secret is left at its end, even if masks have shortened the rest."""
    secret = "own-secret-of-tests"
    many = "sk-" + "a" * 495 + ". "
    for n_chars in range(4985, 5001):
        line = logged((many * 10)[: n_chars - 2] + ". " + secret + "x" * 5000, secrets=(secret,))
        assert "own" not in line.message


def test_names_are_not_secrets() -> None:
    """Names of models that begin as keys do are shown."""
    for name in ("ms-marco-minilm-l6-v2", "hf-internal-testing", "sk-small"):
        assert logged("loaded %s", name).message == f"loaded {name}"


def test_a_short_secret_is_no_part_of_words() -> None:
    """A short key is masked as a word only, so that it does not blot out the log."""
    assert logged("loading load", secrets=("load",)).message == "loading ***"


@pytest.mark.parametrize(
    ("message", "level"),
    [
        ("tiny[12]: ERROR homeport.engines: it broke", "error"),
        ("tiny[12]: CRITICAL x: y", "error"),
        ("ft:tiny:homeport::1[12]: WARNING x: y", "warning"),
        ("tiny[12]: llama_context: n_ctx = 64", "debug"),
    ],
)
def test_a_workers_line_has_its_own_level(message: str, level: str) -> None:
    """A line that a worker logged has the level that it begins with; what native code prints has the lowest."""
    line = logged(message, name=WORKER_LOGGER, levelno=logging.DEBUG, levelname="DEBUG")
    assert (line.level, line.logger) == (level, WORKER_LOGGER)


def test_lines_are_bounded() -> None:
    """One line has at most 4,000 characters, all together 500,000 and 2,000 lines."""
    assert len(logged("x" * 100_000).message) == 4000
    lines = LogLines()
    handler = LogLinesHandler(lines)
    for at in range(2500):
        handler.emit(logging.makeLogRecord({"msg": f"line {at}", "name": "homeport.x", "levelname": "INFO"}))
    assert len(lines.after().items) == 2000
    for _ in range(300):
        handler.emit(logging.makeLogRecord({"msg": "x" * 4000, "name": "homeport.x", "levelname": "INFO"}))
    assert sum(len(line.message) for line in lines.after().items) <= 500_000


def test_control_characters_are_escaped() -> None:
    """A line cannot control the terminal of who reads it."""
    assert logged("name %s", "a\x1b[2J").message == "name a\\x1b[2J"
