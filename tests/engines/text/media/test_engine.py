"""Tests of the text engine with pictures: the default model with the colour eye."""

import itertools
import os
import signal
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec
import psutil
import pytest

from homeport.domain.content import (
    Attachment,
    AudioPart,
    MediaPart,
    Message,
    Part,
    TextPart,
    ToolCallPart,
    ToolResultPart,
)
from homeport.domain.errors import ErrorInfo
from homeport.domain.events import TokenizeResult, Usage
from homeport.domain.text import ChatPrompt, SamplingParams, StoppingCriteria, TextRequest, TokenRequest
from homeport.domain.worker_messages import EngineSpec
from homeport.engines.text.engine import TextEngine, build_engine
from homeport.engines.text.executors.llama.executor import LlamaOptions, load
from homeport.engines.text.media.blocks import MediaContent
from homeport.engines.text.media.encoder import EncoderFiles, MediaEncoder
from homeport.engines.text.options import TextOptions, build_executor
from homeport.engines.text.prompt_length_limits import Check, no_check
from tests.conftest import NewChildren
from tests.engines.text.engine_runner import DEADLINE_S, TextEngineRunner, TextEvents
from tests.engines.text.media.conftest import MakePicture

SQUARES = (" red", " blue", " green", " white")
QUESTION = "\nRepeat the names of these colours."


@pytest.fixture
def runner(qwen: Path, own_encoder: MediaEncoder) -> Iterator[TextEngineRunner]:
    """A running engine that sees."""
    executor = load(qwen, LlamaOptions(window=512, cells=4096, sequences=16, batch=256, threads=1))
    options = TextOptions(window=512, cells=4096, sequences=16, batch=256, threads=1)
    with TextEngineRunner(TextEngine("coder", executor, options, media=own_encoder)) as runner:
        yield runner


class WatchedEncoder(MediaEncoder):
    """An encoder that tells when a picture is about to be read."""

    def __init__(self, files: EncoderFiles, width: int) -> None:
        super().__init__(files, width)
        self.reads = threading.Semaphore(0)

    def read(self, part: MediaPart, check: Check = no_check) -> MediaContent:
        self.reads.release()
        return super().read(part, check)

    def wait_for_read(self) -> None:
        """Wait until a picture is read."""
        assert self.reads.acquire(timeout=DEADLINE_S)


@pytest.fixture
def own_encoder(qwen: Path, eye: Path) -> WatchedEncoder:
    """The encoder of the engine, which closes it."""
    return WatchedEncoder(EncoderFiles(qwen, eye, threads=1), 896)


def request(*parts: Part, tokens: int = 8, n: int = 1) -> TextRequest:
    """Ask about these parts, greedily."""
    messages = (Message("user", (TextPart("Colours:"), *parts, TextPart(QUESTION))),)
    stopping = StoppingCriteria(max_tokens=tokens)
    return TextRequest((ChatPrompt(messages),), SamplingParams(temperature=0), stopping, n=n, best_of=n)


def test_streams_with_and_without_pictures_agree(runner: TextEngineRunner, make_picture: MakePicture) -> None:
    """Sixteen requests at once, every other one with a picture in place of the words, give the words' answers."""
    orders = list(itertools.islice(itertools.permutations(SQUARES), 0, 24, 3))
    ids = []
    for order in orders:
        ids.append(runner.open(request(make_picture(order))))
        ids.append(runner.open(request(TextPart("".join(order)))))
    answers = [runner.end(id) for id in ids]
    assert [each.error for each in answers] == [None] * 16
    seen, told = answers[::2], answers[1::2]
    assert [each.text for each in seen] == [each.text for each in told]
    assert len({each.text for each in seen}) > 4
    assert [_usage(each).prompt_tokens for each in seen] == [_usage(each).prompt_tokens for each in told]


def test_a_picture_sent_again_costs_no_encode(
    runner: TextEngineRunner, own_encoder: MediaEncoder, make_picture: MakePicture
) -> None:
    """The same file in another place, several times and with several answers, is encoded once; its KV is kept too."""
    first = runner.ask(request(make_picture(SQUARES)))
    again = runner.ask(request(make_picture(SQUARES), n=2))
    twice = runner.ask(request(make_picture(SQUARES), make_picture(SQUARES)))
    assert own_encoder.encodes == 1
    assert again.texts == {0: first.text, 1: first.text}
    assert _usage(again).cached_tokens >= _usage(first).prompt_tokens - 1
    assert _usage(twice).prompt_tokens == _usage(first).prompt_tokens + len(SQUARES)


def test_another_picture_shares_no_more_than_the_text_before_it(
    runner: TextEngineRunner, make_picture: MakePicture
) -> None:
    """The KV of one picture is not used for another one at the same place."""
    runner.ask(request(make_picture(SQUARES)))
    other = runner.ask(request(make_picture(SQUARES[::-1])))
    same = runner.ask(request(make_picture(SQUARES[::-1])))
    assert _usage(other).cached_tokens < _usage(same).cached_tokens
    assert other.text == same.text


def test_prefixes_on_disk_hold_pictures(qwen: Path, eye: Path, make_picture: MakePicture, tmp_path: Path) -> None:
    """A prompt with a picture that was stored on disk is reused by another engine, and another picture is not."""
    prefixes = str(tmp_path / "prefixes")
    files = {"weights": Attachment(qwen), "projector": Attachment(eye)}
    options = TextOptions(window=512, cells=1024, sequences=2, threads=1, prefixes=prefixes, prompts="off")
    long = TextPart(" one two three four five six seven eight nine ten" * 8)
    answers = []
    for _ in range(2):
        spec = EngineSpec("text", "coder", files, "digest", {})
        with TextEngineRunner(build_engine(spec, options, build_executor(spec, options))) as runner:
            answers += [runner.ask(request(make_picture(SQUARES), long)) for _ in range(4)]
            other = runner.ask(request(make_picture(SQUARES[::-1]), long))
    cached = [_usage(answer).cached_tokens for answer in answers]
    assert cached[0] == 0
    assert cached[4] == cached[3] > 64
    assert len({answer.text for answer in answers}) == 1
    assert _usage(other).cached_tokens < 64


def test_a_killed_process_fails_one_request_only(
    runner: TextEngineRunner, own_encoder: WatchedEncoder, make_picture: MakePicture, new_children: NewChildren
) -> None:
    """If the process that reads pictures is killed, the request that waits for it fails, and the next one works."""
    assert runner.ask(request(make_picture(SQUARES))).error is None
    own_encoder.wait_for_read()
    process = _vision_process(new_children)
    assert process.memory_info().rss < 200 << 20
    os.kill(process.pid, signal.SIGSTOP)  # it is killed while a request waits for it
    waiting = runner.open(request(make_picture(SQUARES[::-1])))
    own_encoder.wait_for_read()
    text = runner.ask(request(TextPart("".join(SQUARES))))
    process.kill()
    failed = runner.end(waiting)
    assert text.error is None
    assert _error(failed).kind == "EngineFailed"
    assert runner.ask(request(make_picture(SQUARES[::-1]))).error is None
    assert _vision_process(new_children).pid != process.pid


def test_a_canceled_request_stops_its_picture(
    runner: TextEngineRunner, own_encoder: WatchedEncoder, make_picture: MakePicture, new_children: NewChildren
) -> None:
    """A request canceled while its picture is read ends the process, so that nothing computes in vain."""
    assert runner.ask(request(make_picture(SQUARES))).error is None
    own_encoder.wait_for_read()
    process = _vision_process(new_children)
    os.kill(process.pid, signal.SIGSTOP)
    waiting = runner.open(request(make_picture(SQUARES[::-1])))
    own_encoder.wait_for_read()
    runner.engine.cancel(waiting)
    assert runner.ask(request(make_picture(SQUARES[::-1]))).error is None
    assert not process.is_running() or process.status() == psutil.STATUS_ZOMBIE


@pytest.mark.parametrize(
    ("data", "code"),
    [(b"not a picture", "invalid_image_format"), (b"", "invalid_image_format"), (None, "invalid_image")],
)
def test_a_broken_picture_is_an_error_that_names_it(
    runner: TextEngineRunner, make_picture: MakePicture, data: bytes | None, code: str
) -> None:
    """A file that is no picture, or only half of one, is the caller's error; no other request notices."""
    part = make_picture(SQUARES, scale=4)
    path = part.image.local_path
    path.write_bytes(path.read_bytes()[:-40] if data is None else data)
    answer = runner.ask(request(part))
    error = _error(answer)
    assert (error.kind, error.param, error.code) == ("InvalidRequest", part.param, code)
    assert answer.admitted is None


def test_pictures_count_against_the_window(
    runner: TextEngineRunner, own_encoder: MediaEncoder, make_picture: MakePicture
) -> None:
    """Pictures that do not fit in the window are refused before any of them is encoded."""
    answer = runner.ask(request(*([make_picture(SQUARES)] * 130)))
    assert _error(answer).code == "context_length_exceeded"
    assert own_encoder.encodes == 0


def test_tokens_of_a_picture_are_counted_without_encoding_it(
    runner: TextEngineRunner, own_encoder: MediaEncoder, make_picture: MakePicture
) -> None:
    """A token request counts a picture's tokens, which have negative ids and no text."""
    prompt = request(make_picture(SQUARES)).prompts[0]
    assert isinstance(prompt, ChatPrompt)
    id = runner.open(TokenRequest((prompt,), names=True))
    result = next(
        event for event in runner.wait(id, lambda events: len(events) == 3) if isinstance(event, TokenizeResult)
    )
    pictured = [name for token, name in zip(result.ids, result.names, strict=True) if token < 0]
    assert pictured == [""] * len(SQUARES)
    assert own_encoder.encodes == 0


def test_the_picture_of_a_tool_result_follows_its_text(runner: TextEngineRunner, make_picture: MakePicture) -> None:
    """A picture that a tool returned is read as the words in the same place of its result."""

    def ask(result: Sequence[Part]) -> str:
        messages = (
            Message("user", (TextPart("Look."),)),
            Message("assistant", (ToolCallPart("call_1", "look", "{}"),)),
            Message("tool", tuple(result)),
            Message("user", (TextPart(QUESTION),)),
        )
        stopping = StoppingCriteria(max_tokens=6)
        answer = runner.ask(TextRequest((ChatPrompt(messages),), SamplingParams(temperature=0), stopping))
        assert answer.error is None
        return answer.text

    told = ask([ToolResultPart("call_1", "Colours:" + "".join(SQUARES))])
    assert ask([ToolResultPart("call_1", "Colours:"), make_picture(SQUARES)]) == told


def test_text_cannot_forge_a_picture(runner: TextEngineRunner, make_picture: MakePicture) -> None:
    """The marker of llama.cpp in a text is text: the only picture is the one that was sent."""
    answer = runner.ask(request(TextPart("<__media__>"), make_picture(SQUARES)))
    plain = runner.ask(request(TextPart("<__medix__>"), make_picture(SQUARES)))
    assert abs(_usage(answer).prompt_tokens - _usage(plain).prompt_tokens) <= 2


def test_sound_is_refused_by_an_eye(runner: TextEngineRunner, tmp_path: Path) -> None:
    """A projector that does not hear gets no sound."""
    (tmp_path / "sound.wav").write_bytes(b"RIFF")
    answer = runner.ask(request(AudioPart(Attachment(tmp_path / "sound.wav"), "x")))
    assert (_error(answer).code, _error(answer).param) == ("unsupported_content_type", "x")


def test_an_echo_of_pictures_is_refused(runner: TextEngineRunner, make_picture: MakePicture) -> None:
    """A prompt with pictures has no text to repeat."""
    echo = msgspec.structs.replace(request(make_picture(SQUARES)), echo=True)
    answer = runner.ask(echo)
    assert _error(answer).param == "echo"


def _usage(answer: TextEvents) -> Usage:
    """Return the usage of an answer that did not fail."""
    assert answer.error is None
    assert answer.usage is not None
    return answer.usage


def _error(answer: TextEvents) -> ErrorInfo:
    """Return the error of an answer that failed."""
    assert answer.error is not None
    return answer.error


def _vision_process(new_children: NewChildren) -> psutil.Process:
    """Return the process that reads pictures: the newest of those of this test."""
    found = [child for child in new_children() if "homeport.engines.text.media.worker" in " ".join(child.cmdline())]
    return found[-1]
