"""Requests packed into batches in fair turns, on an encoder of some kilobytes."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest

from homeport.domain.embeddings import EmbeddingRequest
from homeport.domain.errors import EngineFailed
from homeport.domain.events import (
    Admitted,
    Done,
    EmbeddingVectors,
    Event,
    Failed,
    Usage,
)
from homeport.domain.text import TextPrompt, TokenPrompt
from homeport.engines.embeddings.batching import EmbeddingBatcher
from homeport.engines.embeddings.families import EmbeddingFamily
from homeport.engines.embeddings.tokenization import InputTokenizer
from homeport.engines.llama import encoder
from homeport.engines.llama.encoder import EmbeddingEncoder, EncoderOptions, Ids
from homeport.engines.llama.encoder import Vectors as Rows
from homeport.engines.round_robin import ActiveRequest
from tests import tiny_encoders as tiny

BATCH = 64


class Watched:
    """An encoder that remembers the lengths of each batch's inputs, and fails where it is told to."""

    def __init__(self, model: EmbeddingEncoder) -> None:
        self.model = model
        self.batches: list[list[int]] = []
        self.breaks = False
        self._encode = model.encode
        model.encode = self.encode  # type: ignore[method-assign]

    def encode(self, sequences: Sequence[Ids]) -> Rows:
        """As the encoder does."""
        self.batches.append([len(each) for each in sequences])
        if self.breaks:
            raise EngineFailed("told to")
        return self._encode(sequences)


class Floor:
    """Batches, and the turns that are open."""

    def __init__(self, model: EmbeddingEncoder, family: EmbeddingFamily) -> None:
        self.watched = Watched(model)
        self.work = EmbeddingBatcher(model, InputTokenizer(model, family))
        self.turns: dict[int, ActiveRequest[EmbeddingRequest]] = {}
        self.told: dict[int, list[Event]] = {}

    def open(self, *texts: str, dimensions: int | None = None, is_query: bool = False) -> int:
        return self.send(EmbeddingRequest(tuple(TextPrompt(text) for text in texts), dimensions, is_query=is_query))

    def send(self, request: EmbeddingRequest) -> int:
        id = len(self.told) + 1
        self.turns[id] = ActiveRequest(id, request, credit=100)
        self.told[id] = []
        return id

    def step(self) -> None:
        for id, event in self.work.step(list(self.turns.values())):
            self.told[id].append(event)
            if isinstance(event, Done | Failed):
                self.leave(id)

    def leave(self, id: int) -> None:
        del self.turns[id]
        self.work.drop(id)

    def finish(self) -> None:
        for _ in range(200):
            if not self.turns:
                return
            self.step()
        raise AssertionError(self.turns)

    def rows(self, id: int) -> Rows:
        found = [event for event in self.told[id] if isinstance(event, EmbeddingVectors)]
        assert [event.index for event in found] == [sum(e.count for e in found[:at]) for at in range(len(found))]
        return np.concatenate([np.frombuffer(event.data, "<f4").reshape(event.count, -1) for event in found])

    def fault(self, id: int) -> Failed:
        (event,) = self.told[id]
        assert isinstance(event, Failed)
        return event


Make = Callable[..., Floor]


@pytest.fixture
def floors(tmp_path: Path) -> Iterator[Make]:
    made: list[Floor] = []

    def make(family: EmbeddingFamily | None = None, sequences: int = 8) -> Floor:
        tiny.bert(tmp_path / "tiny.gguf")
        options = EncoderOptions(batch=BATCH, sequences=sequences, threads=1)
        made.append(Floor(encoder.load(tmp_path / "tiny.gguf", options), family or EmbeddingFamily()))
        return made[-1]

    yield make
    for floor in made:
        floor.work.close()


def test_a_request_gives_a_vector_for_each_input_in_order(floors: Make) -> None:
    """Admitted with all tokens first, then vectors in order over several batches, then the usage."""
    floor = floors()
    texts = [" ".join(["the", "cat", "dog"][: 1 + at % 3]) for at in range(20)]
    id = floor.open(*texts)
    floor.finish()
    first, *_, last = floor.told[id]
    tokens = sum(len(floor.watched.model.tokenize(text)) for text in texts)
    assert (first, last) == (Admitted(tokens), Done(Usage(tokens)))
    alone = np.concatenate([floor.watched.model.encode([floor.watched.model.tokenize(text)]) for text in texts])
    assert np.abs(floor.rows(id) - alone).max() < 2e-3


def test_batches_are_filled_by_tokens_and_sequences(floors: Make) -> None:
    """Inputs of several requests share a batch, within its tokens and its sequences."""
    floor = floors()
    for _ in range(3):
        floor.open(*["the cat"] * 10)
    floor.finish()
    assert floor.watched.batches == [[4] * 8] * 3 + [[4] * 6]
    floor.open(*[" ".join(["the"] * 28)] * 3)
    floor.finish()
    assert floor.watched.batches[4:] == [[30, 30], [30]]


def test_a_long_request_holds_no_short_one_up(floors: Make) -> None:
    """One that comes later is done within two batches, however many inputs the first one has left."""
    floor = floors()
    long = floor.open(*[" ".join(["the"] * 60)] * 100)
    floor.step()
    while not any(isinstance(event, Admitted) for event in floor.told[long]):
        floor.step()
    short = floor.open("the cat")
    for _ in range(3):
        if short in floor.turns:
            floor.step()
    assert isinstance(floor.told[short][-1], Done)
    assert long in floor.turns


def test_two_long_requests_take_turns(floors: Make) -> None:
    """Where each input fills a batch, batches alternate."""
    floor = floors()
    first, second = (floor.open(*[" ".join(["the"] * size)] * 4) for size in (60, 50))
    floor.finish()
    assert {first, second} <= set(floor.told)
    assert floor.watched.batches == [[62], [52]] * 4 or floor.watched.batches == [[52], [62]] * 4


def test_a_cancelled_request_takes_no_part(floors: Make) -> None:
    """After a drop nothing of a request is computed any more."""
    floor = floors()
    gone, kept = floor.open(*["the cat dog"] * 50), floor.open("the cat")
    floor.step()
    floor.leave(gone)
    floor.finish()
    assert sum(map(len, floor.watched.batches)) <= 1 + 2 * 8
    assert isinstance(floor.told[kept][-1], Done)


def test_a_batch_that_breaks_fails_those_in_it(floors: Make) -> None:
    """Its requests end with the error, and the next one is computed."""
    floor = floors()
    floor.watched.breaks = True
    id = floor.open("the cat")
    floor.finish()
    assert isinstance(floor.told[id][-1], Failed)
    floor.watched.breaks = False
    id = floor.open("the cat")
    floor.finish()
    assert isinstance(floor.told[id][-1], Done)


@pytest.mark.parametrize(("text", "size"), [("the " * 127, 129), ("the" * 9000, None)])
def test_an_input_over_the_window_is_refused_with_both_numbers(floors: Make, text: str, size: int | None) -> None:
    """The error says the window and the size, names the input, and nothing was computed."""
    floor = floors()
    id = floor.open("the cat", text)
    floor.finish()
    fault = floor.fault(id).fault
    assert (fault.kind, fault.code, fault.param) == ("ContextOverflow", "context_length_exceeded", "input[1]")
    assert "128 tokens" in fault.message
    assert size is None or f"requested {size} tokens" in fault.message
    assert not floor.watched.batches


def test_an_input_of_the_whole_window_is_taken(floors: Make) -> None:
    """126 words and the two tokens around them fill a window of 128, which is longer than a batch."""
    floor = floors()
    id = floor.open("the " * 126, "the cat")
    floor.finish()
    assert floor.told[id][0] == Admitted(128 + 4)
    assert floor.rows(id).shape == (2, tiny.WIDTH)


def test_documents_and_queries_get_their_prefix_once(floors: Make) -> None:
    """A text's vector depends on its side; one that has a prefix of the family already keeps it."""
    floor = floors(EmbeddingFamily("the dog ", "the cat "))
    plain, query = floor.open("dog"), floor.open("dog", is_query=True)
    own, other = floor.open("the cat dog"), floor.open("the dog dog")
    floor.finish()
    assert np.abs(floor.rows(plain) - floor.rows(query)).max() > 1e-3
    assert np.abs(floor.rows(own) - floor.rows(query)).max() < 1e-3
    assert np.abs(floor.rows(other) - floor.rows(plain)).max() < 1e-3


def test_dimensions_are_cut_only_where_a_family_allows_it(floors: Make) -> None:
    """Vectors of a family that shortens are cut and have length 1 again; others are refused, naming the field."""
    floor = floors(EmbeddingFamily(min_dimensions=8))
    whole, cut = floor.open("the cat"), floor.open("the cat", dimensions=16)
    floor.finish()
    expected = floor.rows(whole)[0, :16]
    assert floor.rows(cut)[0] == pytest.approx(expected / np.linalg.norm(expected), abs=1e-5)
    for wanted in (7, tiny.WIDTH + 1):
        id = floor.open("the cat", dimensions=wanted)
        floor.finish()
        assert floor.fault(id).fault.param == "dimensions"
    floor = floors()
    refused, own = floor.open("the cat", dimensions=16), floor.open("the cat", dimensions=tiny.WIDTH)
    floor.finish()
    assert floor.fault(refused).fault.param == "dimensions"
    assert floor.rows(own).shape == (1, tiny.WIDTH)


def test_own_ids_are_the_text(floors: Make) -> None:
    """The model's own ids, bare or with what stands around them, give the text's vector, prefixed too."""
    floor = floors(EmbeddingFamily("the "))
    ids = tiny.tokens("cat", "dog")
    text = floor.open("cat dog")
    bare, whole = (floor.send(EmbeddingRequest((TokenPrompt(tuple(each)),))) for each in (ids[1:-1], ids))
    floor.finish()
    assert np.abs(floor.rows(bare) - floor.rows(text)).max() < 1e-3
    assert np.abs(floor.rows(whole) - floor.rows(text)).max() < 1e-3


@pytest.mark.parametrize(
    ("ids", "encoding", "says"),
    [
        ((5, 9999), None, "9999 is not in"),
        ((-1,), None, "-1 is not in"),
        ((5, 1, 5), None, "control token"),
        ((100257,), "cl100k_base", "special token"),
        ((100256,), "cl100k_base", "does not exist"),
    ],
)
def test_ids_that_say_nothing_are_refused(floors: Make, ids: tuple[int, ...], encoding: str | None, says: str) -> None:
    """Unknown ids and control tokens are an error that names the input."""
    floor = floors()
    id = floor.send(EmbeddingRequest((TokenPrompt((4,)), TokenPrompt(ids)), encoding=encoding))
    floor.finish()
    assert floor.fault(id).fault.param == "input[1]"
    assert says in floor.fault(id).fault.message
