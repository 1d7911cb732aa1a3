"""The engine on its real weights, stepped by the test: order, chunks, admission, images."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from homeport.domain.content import Attachment, ImagePart, TextPart, attach
from homeport.domain.embeddings import EmbeddingRequest
from homeport.domain.errors import InvalidRequest, Unavailable
from homeport.domain.events import (
    Admitted,
    Done,
    Event,
    Failed,
    ModerationVerdict,
)
from homeport.domain.moderation import CATEGORIES, ModerationRequest
from homeport.domain.text import TextPrompt
from homeport.domain.worker_messages import EngineSpec
from homeport.engines.moderation.engine import load
from homeport.engines.round_robin import RoundRobinEngine

Engine = RoundRobinEngine[ModerationRequest]


@pytest.fixture(scope="module")
def engine(moderation: dict[str, Path]) -> Iterator[Engine]:
    loaded = load(
        EngineSpec("moderation", "homeport-moderation", attach(moderation), "", {"threads": 2, "library": None})
    )
    assert isinstance(loaded, RoundRobinEngine)
    yield loaded
    loaded.close()
    loaded.run(lambda _: None)


def run(engine: Engine, request: ModerationRequest, id: int) -> list[Event]:
    """Return all events in order."""
    events: list[Event] = []
    work = engine._work
    engine.open(id, request, 100)
    while not any(isinstance(event, Done | Failed) for event in events):
        events += [event for _, event in engine._filter_events(list(work.step(engine._ready())))]
    return events


def texts(*given: str) -> ModerationRequest:
    return ModerationRequest(tuple((TextPart(each),) for each in given))


def test_every_input_has_its_verdict(engine: Engine) -> None:
    """First the admission with the tokens, then one verdict per input in order, then the usage."""
    events = run(engine, texts("Good morning!", "I will kill you, you idiot.", ""), 1)
    admitted, *verdicts, done = events
    assert isinstance(admitted, Admitted)
    assert isinstance(done, Done)
    assert done.usage.prompt_tokens == admitted.prompt_tokens > 5
    assert [v.index for v in verdicts if isinstance(v, ModerationVerdict)] == [0, 1, 2]
    fine, threat, nothing = (v for v in verdicts if isinstance(v, ModerationVerdict))
    assert tuple(each.category for each in threat.scores) == CATEGORIES
    assert not any(each.is_flagged for each in fine.scores)
    assert any(each.is_flagged for each in threat.scores)
    assert all(each.score == 0 for each in nothing.scores)


def test_one_harmful_sentence_is_found_in_a_long_text(engine: Engine) -> None:
    """Each window is scored by itself, so a threat is found wherever it is in a text."""
    calm = "The committee met on Tuesday and spoke about the budget of the harbour. " * 20
    for at, text in enumerate((f"I will find you and kill you. {calm}", f"{calm} I will find you and kill you.")):
        events = run(engine, texts(text), 10 + at)
        verdict = next(event for event in events if isinstance(event, ModerationVerdict))
        assert any(each.is_flagged and each.category == "harassment/threatening" for each in verdict.scores)
    events = run(engine, texts(calm), 20)
    verdict = next(event for event in events if isinstance(event, ModerationVerdict))
    assert not any(each.is_flagged for each in verdict.scores)


def test_other_inputs_change_nothing(engine: Engine) -> None:
    """Other inputs of a request change a verdict only by the kernels' rounding."""
    line = "You are a worthless idiot."
    alone = next(e for e in run(engine, texts(line), 30) if isinstance(e, ModerationVerdict))
    among = next(e for e in run(engine, texts("Hello", line), 31) if isinstance(e, ModerationVerdict) and e.index == 1)
    for one, other in zip(alone.scores, among.scores, strict=True):
        assert one.score == pytest.approx(other.score, abs=0.02)


def test_images_are_scored_for_sexual_only(engine: Engine, tmp_path: Path) -> None:
    """An image is scored for `sexual` only, text for all categories; there is one verdict for both."""
    file = tmp_path / "grey.png"
    Image.new("RGB", (64, 64), "grey").save(file)
    events = run(engine, ModerationRequest(((TextPart("Hello"), ImagePart(Attachment(file))),)), 40)
    (verdict,) = (event for event in events if isinstance(event, ModerationVerdict))
    assert {each.category: each.inputs for each in verdict.scores}["sexual"] == ("text", "image")
    assert all(each.inputs == ("text",) for each in verdict.scores if each.category != "sexual")
    events = run(engine, ModerationRequest(((ImagePart(Attachment(file)),),)), 41)
    (verdict,) = (event for event in events if isinstance(event, ModerationVerdict))
    assert {each.inputs for each in verdict.scores} == {(), ("image",)}


def test_an_invalid_image_fails_the_request_before_it_is_admitted(engine: Engine, tmp_path: Path) -> None:
    """The only event is the failure, which names the part."""
    (tmp_path / "odd").write_bytes(b"odd")
    (failed,) = run(
        engine,
        ModerationRequest(((TextPart("x" * 500), ImagePart(Attachment(tmp_path / "odd"), param="input[1]")),)),
        50,
    )
    assert isinstance(failed, Failed)
    assert failed.fault.param == "input[1]"


def test_other_requests_and_missing_files_are_refused(engine: Engine, moderation: dict[str, Path]) -> None:
    """A request of another kind, a missing file and an unknown option are refused by name."""
    with pytest.raises(InvalidRequest, match="homeport-moderation"):
        engine.open(99, EmbeddingRequest((TextPrompt("x"),)), 1)
    for role in moderation:
        with pytest.raises(Unavailable, match=role):
            load(EngineSpec("moderation", "m", attach({r: f for r, f in moderation.items() if r != role}), "", {}))
    with pytest.raises(Unavailable, match="colour"):
        load(EngineSpec("moderation", "m", attach(moderation), "", {"colour": 1}))
