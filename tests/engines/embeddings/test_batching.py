"""Requests packed into batches in fair order, on an encoder of some kilobytes."""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from homeport.domain.embeddings import EmbeddingRequest
from homeport.domain.errors import EngineFailed
from homeport.domain.events import (
    Admitted,
    Done,
    EmbeddingVectors,
    Failed,
    TokenCounts,
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
from tests.engines.embeddings.request_driver import RequestDriver
from tests.samples import tiny_encoders as tiny

BATCH = 64


class RecordingEncoder:
    """An encoder that records the lengths of each batch's inputs, and fails on request.

    `alone`: batches that all threads compute; `aside`: those that one thread computes; `hold`: while it is locked,
    such a batch takes long if its first input has more than 50 tokens.
    """

    def __init__(self, model: EmbeddingEncoder) -> None:
        self.model = model
        self.batches: list[list[int]] = []
        self.alone: list[list[int]] = []
        self.aside: list[list[int]] = []
        self.breaks = False
        self.hold = threading.Lock()
        self._encode, self._encode_aside = model.encode, model._encode_aside
        model.encode = self.encode  # type: ignore[method-assign]
        model._encode_aside = self.encode_aside  # type: ignore[method-assign]

    def encode(self, sequences: Sequence[Ids]) -> Rows:
        """Encode with the real encoder, on all threads."""
        self._record(sequences, self.alone)
        return self._encode(sequences)

    def encode_aside(self, sequences: Sequence[Ids], contexts: Any) -> Rows:
        """Encode with the real encoder, on one thread."""
        self._record(sequences, self.aside)
        with self.hold if len(sequences[0]) > 50 else nullcontext():
            return self._encode_aside(sequences, contexts)

    def _record(self, sequences: Sequence[Ids], kind: list[list[int]]) -> None:
        lengths = [len(each) for each in sequences]
        self.batches.append(lengths)
        kind.append(lengths)
        if self.breaks:
            raise EngineFailed("fails on request")


class BatcherDriver(RequestDriver):
    """A batcher and its open requests."""

    def __init__(self, model: EmbeddingEncoder, family: EmbeddingFamily) -> None:
        self.watched = RecordingEncoder(model)
        super().__init__(EmbeddingBatcher(model, InputTokenizer(model, family)))

    def open(self, *texts: str, dimensions: int | None = None, is_query: bool = False) -> int:
        return self.send(EmbeddingRequest(tuple(TextPrompt(text) for text in texts), dimensions, is_query=is_query))

    def rows(self, id: int) -> Rows:
        found = [event for event in self.events[id] if isinstance(event, EmbeddingVectors)]
        assert [event.index for event in found] == [sum(e.count for e in found[:at]) for at in range(len(found))]
        return np.concatenate([np.frombuffer(event.data, "<f4").reshape(event.count, -1) for event in found])

    def fault(self, id: int) -> Failed:
        (event,) = self.events[id]
        assert isinstance(event, Failed)
        return event


Make = Callable[..., BatcherDriver]


@pytest.fixture
def make_driver(tmp_path: Path) -> Iterator[Make]:
    made: list[BatcherDriver] = []

    def make(
        family: EmbeddingFamily | None = None, sequences: int = 8, threads: int = 1, window: int = 128
    ) -> BatcherDriver:
        tiny.bert(tmp_path / "tiny.gguf", window=window)
        options = EncoderOptions(batch=BATCH, sequences=sequences, threads=threads)
        made.append(BatcherDriver(encoder.load(tmp_path / "tiny.gguf", options), family or EmbeddingFamily()))
        return made[-1]

    yield make
    for driver in made:
        driver.work.close()


def test_a_request_gives_a_vector_for_each_input_in_order(make_driver: Make) -> None:
    """First the admission with all tokens, then vectors in order over several batches, then the usage."""
    driver = make_driver()
    texts = [" ".join(["the", "cat", "dog"][: 1 + at % 3]) for at in range(20)]
    id = driver.open(*texts)
    driver.finish()
    first, *_, last = driver.events[id]
    tokens = sum(len(driver.watched.model.tokenize(text)) for text in texts)
    assert (first, last) == (Admitted(tokens), Done(Usage(tokens)))
    alone = np.concatenate([driver.watched.model.encode([driver.watched.model.tokenize(text)]) for text in texts])
    assert np.abs(driver.rows(id) - alone).max() < 2e-3


def test_batches_are_filled_by_tokens_and_sequences(make_driver: Make) -> None:
    """Inputs of several requests share a batch, within its tokens and its sequences."""
    driver = make_driver()
    for _ in range(3):
        driver.open(*["the cat"] * 10)
    driver.finish()
    assert driver.watched.batches == [[4] * 8] * 3 + [[4] * 6]
    driver.open(*[" ".join(["the"] * 28)] * 3)
    driver.finish()
    assert driver.watched.batches[4:] == [[30, 30], [30]]


def test_a_long_request_does_not_hold_up_a_short_one(make_driver: Make) -> None:
    """A later short request is done within two batches, however many inputs the first one has left."""
    driver = make_driver()
    long = driver.open(*[" ".join(["the"] * 60)] * 100)
    driver.step()
    while not any(isinstance(event, Admitted) for event in driver.events[long]):
        driver.step()
    short = driver.open("the cat")
    for _ in range(3):
        if short in driver.active:
            driver.step()
    assert isinstance(driver.events[short][-1], Done)
    assert long in driver.active


def test_two_long_requests_take_turns(make_driver: Make) -> None:
    """If each input fills a batch, batches alternate."""
    driver = make_driver()
    first, second = (driver.open(*[" ".join(["the"] * size)] * 4) for size in (60, 50))
    driver.finish()
    assert {first, second} <= set(driver.events)
    assert driver.watched.batches == [[62], [52]] * 4 or driver.watched.batches == [[52], [62]] * 4


def test_as_many_batches_as_threads_are_computed_at_once(make_driver: Make) -> None:
    """A request whose inputs are in several batches gets its vectors in order, as each thread takes the next batch."""
    driver = make_driver(threads=2)
    texts = [" ".join(["the", "cat", "dog"][at % 3] for _ in range(40 + at)) for at in range(5)]
    id, other = driver.open(*texts), driver.open("the cat")
    driver.finish()
    # The last batch has all threads if the others are done by then.
    assert len(driver.watched.alone) + len(driver.watched.aside) == 5
    assert len(driver.watched.alone) <= 1
    kinds = [type(event) for event in driver.events[id]]
    assert kinds == [Admitted, *[EmbeddingVectors] * kinds.count(EmbeddingVectors), Done]
    alone = np.concatenate([driver.watched.model.encode([driver.watched.model.tokenize(text)]) for text in texts])
    assert np.abs(driver.rows(id) - alone).max() < 2e-3
    assert isinstance(driver.events[other][-1], Done)


def test_no_thread_waits_for_the_batch_of_another_one(make_driver: Make) -> None:
    """While one batch takes long, the other thread computes all others; vectors wait for those of earlier inputs."""
    driver = make_driver(threads=2)
    with driver.watched.hold:
        long = driver.open(" ".join(["the"] * 60), *[" ".join(["cat"] * 40)] * 2)
        others = [driver.open(" ".join(["dog"] * 40)) for _ in range(3)]
        while any(other in driver.active for other in others) or len(driver.watched.aside) < 6:
            driver.step()
        assert [type(event) for event in driver.events[long]] == [Admitted]
    driver.finish()
    assert driver.rows(long).shape == (3, tiny.WIDTH)


def test_the_only_batch_is_computed_by_all_threads(make_driver: Make) -> None:
    """A single query does not wait for one thread while the others have nothing to do."""
    driver = make_driver(threads=2)
    id = driver.open("the cat")
    driver.finish()
    assert (driver.watched.alone, driver.watched.aside) == ([[4]], [])
    assert isinstance(driver.events[id][-1], Done)


def test_texts_follow_those_that_were_counted(make_driver: Make) -> None:
    """After texts were counted, one thread computes the first of them, so that the others can begin with the next."""
    driver = make_driver(threads=2)
    driver.send(EmbeddingRequest((TextPrompt("the cat"),), counts_only=True))
    driver.finish()
    id = driver.open("the cat")
    driver.finish()
    assert (driver.watched.alone, driver.watched.aside) == ([], [[4]])
    assert isinstance(driver.events[id][-1], Done)


def test_a_long_input_waits_until_it_has_all_threads(make_driver: Make) -> None:
    """It is computed after the batches that run, before any later ones, and the order of its request is kept."""
    driver = make_driver(threads=2, window=2048)
    texts = [" ".join(["the"] * size) for size in (60, 600, 50, 40)]
    id = driver.open(*texts)
    driver.finish()
    assert driver.watched.batches == [[62], [602], [52], [42]]
    assert driver.watched.alone[0] == [602]
    alone = np.concatenate([driver.watched.model.encode([driver.watched.model.tokenize(text)]) for text in texts])
    assert np.abs(driver.rows(id) - alone).max() < 2e-3


def test_a_request_that_is_dropped_while_it_is_computed_gets_nothing(make_driver: Make) -> None:
    """Its vectors are not sent, also not to a request that has its number since."""
    driver = make_driver(threads=2)
    with driver.watched.hold:
        id, other = driver.open(" ".join(["the"] * 60)), driver.open(" ".join(["cat"] * 40))
        while other in driver.active:
            driver.step()
        driver.drop(id)
        driver.active[id] = ActiveRequest(id, EmbeddingRequest((TextPrompt("dog"),)), credit=100)
        driver.events[id].clear()
        driver.step()
    driver.finish()
    assert np.abs(driver.rows(id) - driver.watched.model.encode([tiny.tokens("dog")])).max() < 2e-3


def test_batches_that_fail_at_once_fail_all_their_requests(make_driver: Make) -> None:
    """Each request of the failed batches ends once, with the error, and the next one is computed."""
    driver = make_driver(threads=2)
    driver.watched.breaks = True
    ids = [driver.open(*[" ".join(["the"] * 50)] * 2) for _ in range(2)]
    driver.finish()
    assert [[type(event) for event in driver.events[id]] for id in ids] == [[Admitted, Failed]] * 2
    driver.watched.breaks = False
    id = driver.open("the cat")
    driver.finish()
    assert isinstance(driver.events[id][-1], Done)


def test_a_canceled_request_is_not_computed(make_driver: Make) -> None:
    """After a drop nothing of a request is computed."""
    driver = make_driver()
    canceled, other = driver.open(*["the cat dog"] * 50), driver.open("the cat")
    driver.step()
    driver.drop(canceled)
    driver.finish()
    assert sum(map(len, driver.watched.batches)) <= 1 + 2 * 8
    assert isinstance(driver.events[other][-1], Done)


def test_a_failed_batch_fails_its_requests(make_driver: Make) -> None:
    """Its requests end with the error, and the next one is computed."""
    driver = make_driver()
    driver.watched.breaks = True
    id = driver.open("the cat")
    driver.finish()
    assert isinstance(driver.events[id][-1], Failed)
    driver.watched.breaks = False
    id = driver.open("the cat")
    driver.finish()
    assert isinstance(driver.events[id][-1], Done)


@pytest.mark.parametrize(("text", "size"), [("the " * 127, 129), ("the" * 9000, None)])
def test_an_input_over_the_window_is_refused_with_both_numbers(make_driver: Make, text: str, size: int | None) -> None:
    """The error has the window and the size, names the input, and nothing is computed."""
    driver = make_driver()
    id = driver.open("the cat", text)
    driver.finish()
    fault = driver.fault(id).fault
    assert (fault.kind, fault.code, fault.param) == ("ContextOverflow", "context_length_exceeded", "input[1]")
    assert "128 tokens" in fault.message
    assert size is None or f"requested {size} tokens" in fault.message
    assert not driver.watched.batches


def test_an_input_of_the_whole_window_is_accepted(make_driver: Make) -> None:
    """126 words and the two tokens around them fill a window of 128, which is longer than a batch."""
    driver = make_driver()
    id = driver.open("the " * 126, "the cat")
    driver.finish()
    assert driver.events[id][0] == Admitted(128 + 4)
    assert driver.rows(id).shape == (2, tiny.WIDTH)


def test_documents_and_queries_get_their_prefix_once(make_driver: Make) -> None:
    """A text's vector depends on its side; a text that has a prefix of the family keeps it."""
    driver = make_driver(EmbeddingFamily("the dog ", "the cat "))
    plain, query = driver.open("dog"), driver.open("dog", is_query=True)
    own, other = driver.open("the cat dog"), driver.open("the dog dog")
    driver.finish()
    assert np.abs(driver.rows(plain) - driver.rows(query)).max() > 1e-3
    assert np.abs(driver.rows(own) - driver.rows(query)).max() < 1e-3
    assert np.abs(driver.rows(other) - driver.rows(plain)).max() < 1e-3


def test_tokens_are_counted_without_computing(make_driver: Make) -> None:
    """Counts are those of the texts themselves, also beyond the window; a text of the most tokens can be embedded."""
    driver = make_driver(EmbeddingFamily(document="the ", query="a "))
    texts = ["cat dog", "", " ".join(["the"] * 100)]
    id = driver.send(EmbeddingRequest(tuple(map(TextPrompt, texts)), counts_only=True))
    driver.finish()
    first, counts, last = driver.events[id]
    assert (first, last) == (Admitted(0), Done(Usage(0)))
    assert isinstance(counts, TokenCounts)
    assert counts.counts == (2, 0, 100)
    assert driver.watched.batches == []
    fits = driver.open(" ".join(["cat"] * counts.most))
    exceeds = driver.open(" ".join(["cat"] * (counts.most + 1)))
    driver.finish()
    assert isinstance(driver.events[fits][-1], Done)
    assert driver.fault(exceeds).fault.code == "context_length_exceeded"


def test_only_texts_are_counted(make_driver: Make) -> None:
    """Token ids cannot be counted, which is an error that names the input."""
    driver = make_driver()
    id = driver.send(EmbeddingRequest((TextPrompt("a"), TokenPrompt((4,))), counts_only=True))
    driver.finish()
    assert driver.fault(id).fault.param == "input[1]"


def test_dimensions_are_cut_only_if_a_family_supports_it(make_driver: Make) -> None:
    """Vectors of a family that supports it are cut and normalized; others are refused, with the field."""
    driver = make_driver(EmbeddingFamily(min_dimensions=8))
    whole, cut = driver.open("the cat"), driver.open("the cat", dimensions=16)
    driver.finish()
    expected = driver.rows(whole)[0, :16]
    assert driver.rows(cut)[0] == pytest.approx(expected / np.linalg.norm(expected), abs=1e-5)
    for wanted in (7, tiny.WIDTH + 1):
        id = driver.open("the cat", dimensions=wanted)
        driver.finish()
        assert driver.fault(id).fault.param == "dimensions"
    driver = make_driver()
    refused, own = driver.open("the cat", dimensions=16), driver.open("the cat", dimensions=tiny.WIDTH)
    driver.finish()
    assert driver.fault(refused).fault.param == "dimensions"
    assert driver.rows(own).shape == (1, tiny.WIDTH)


def test_own_ids_give_the_texts_vector(make_driver: Make) -> None:
    """The model's own ids, with or without the tokens around a text, give the text's vector, with its prefix."""
    driver = make_driver(EmbeddingFamily("the "))
    ids = tiny.tokens("cat", "dog")
    text = driver.open("cat dog")
    bare, whole = (driver.send(EmbeddingRequest((TokenPrompt(tuple(each)),))) for each in (ids[1:-1], ids))
    driver.finish()
    assert np.abs(driver.rows(bare) - driver.rows(text)).max() < 1e-3
    assert np.abs(driver.rows(whole) - driver.rows(text)).max() < 1e-3


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
def test_ids_without_text_are_refused(make_driver: Make, ids: tuple[int, ...], encoding: str | None, says: str) -> None:
    """Unknown ids and control tokens are errors that name the input."""
    driver = make_driver()
    id = driver.send(EmbeddingRequest((TokenPrompt((4,)), TokenPrompt(ids)), encoding=encoding))
    driver.finish()
    assert driver.fault(id).fault.param == "input[1]"
    assert says in driver.fault(id).fault.message
