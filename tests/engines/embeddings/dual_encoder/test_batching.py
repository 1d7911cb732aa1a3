"""Requests of texts and images, computed in fair turns on towers of a few kilobytes."""

import io
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from homeport.domain.content import Attachment, ImagePart
from homeport.domain.embeddings import EmbeddingInput, EmbeddingRequest
from homeport.domain.errors import EngineFailed
from homeport.domain.events import Admitted, Done, EmbeddingVectors, Failed, Usage
from homeport.domain.text import TextPrompt, TokenPrompt
from homeport.engines.embeddings.dual_encoder import batching, layouts
from homeport.engines.embeddings.dual_encoder.batching import DualEncoderBatcher
from homeport.engines.embeddings.dual_encoder.towers import TokenIds, Vectors
from homeport.engines.embeddings.engine import EmbeddingOptions
from homeport.engines.round_robin import ActiveRequest
from tests.engines.embeddings.request_driver import RequestDriver
from tests.samples import photos
from tests.samples import tiny_towers as tiny


class BatcherDriver(RequestDriver):
    """A batcher on a tiny model, its open requests, and the size of each batch it computed."""

    def __init__(self, folder: Path, layout: str = "transformers") -> None:
        self.folder = folder
        model = layouts.load(tiny.LAYOUTS[layout](folder / "model").paths, EmbeddingOptions(threads=1))
        self.batches: list[tuple[str, int]] = []
        self.fails = False
        for kind, tower in (("texts", model.texts), ("images", model.images)):
            self._watch(kind, tower)
        super().__init__(DualEncoderBatcher(model))

    def _watch(self, kind: str, tower: Any) -> None:
        encode = tower.encode

        def encode_and_count(inputs: Sequence[Any]) -> Vectors:
            self.batches.append((kind, len(inputs)))
            if self.fails:
                raise EngineFailed("fails on request")
            rows: Vectors = encode(inputs)
            return rows

        tower.encode = encode_and_count

    def image(self, color: str, at: int = 0) -> ImagePart:
        path = tiny.picture(self.folder / f"{color}.png", color)
        return ImagePart(Attachment(path), param=f"input[{at}].image_url.url")

    def file(self, data: bytes, at: int = 0) -> ImagePart:
        path = self.folder / f"file-{len(data)}"
        path.write_bytes(data)
        return ImagePart(Attachment(path), param=f"input[{at}].image_url.url")

    def open(self, *inputs: EmbeddingInput, **fields: Any) -> int:
        return self.send(EmbeddingRequest(inputs, **fields))

    def vectors(self, id: int) -> Any:
        """Return the vectors of a request, in the order of its inputs."""
        rows = {}
        for event in self.events[id]:
            if isinstance(event, EmbeddingVectors):
                for at, row in enumerate(np.frombuffer(event.data, "<f4").reshape(event.count, -1)):
                    rows[event.index + at] = row
        return np.stack([rows[at] for at in range(len(rows))])

    def error(self, id: int) -> Any:
        failed = self.events[id][-1]
        assert isinstance(failed, Failed), self.events[id]
        return failed.fault


@pytest.fixture(params=tiny.LAYOUTS)
def driver(request: pytest.FixtureRequest, tmp_path: Path) -> BatcherDriver:
    return BatcherDriver(tmp_path, request.param)


@pytest.fixture
def batched(tmp_path: Path) -> BatcherDriver:
    """A model that computes several inputs at once."""
    return BatcherDriver(tmp_path)


def words(*texts: str) -> list[TextPrompt]:
    return [TextPrompt(text) for text in texts]


def test_mixed_inputs_keep_their_order(driver: BatcherDriver) -> None:
    """Texts, ids and images in one request have their vectors in order, of length 1, and all are counted."""
    ids = TokenPrompt(tuple(tiny.ids("blue")))
    inputs: list[EmbeddingInput] = [
        driver.image("green"),
        *words("red"),
        driver.image("blue"),
        ids,
        driver.image("red"),
        *words("green"),
    ]
    id = driver.open(*inputs)
    driver.finish()
    rows = driver.vectors(id)
    assert np.linalg.norm(rows, axis=1) == pytest.approx(1, abs=1e-6)
    colors = ["green", "red", "blue", "blue", "red", "green"]
    for one in range(6):
        for other in range(6):
            assert (rows[one] @ rows[other] > 0.9) == (colors[one] == colors[other])
    usage = 3 * tiny.PATCHES + 3 * 3
    assert driver.events[id][0] == Admitted(usage)
    assert driver.events[id][-1] == Done(Usage(usage))


def test_vectors_do_not_depend_on_their_batch(batched: BatcherDriver) -> None:
    """An input has the same vector alone and among others."""
    together = batched.open(*words("red car", "the blue sky a car", "a"), batched.image("red"), batched.image("blue"))
    batched.finish()
    alone = [batched.open(*words("red car")), batched.open(batched.image("blue"))]
    batched.finish()
    rows = batched.vectors(together)
    np.testing.assert_allclose(batched.vectors(alone[0])[0], rows[0], atol=1e-6)
    np.testing.assert_allclose(batched.vectors(alone[1])[0], rows[4], atol=1e-6)


def test_requests_take_turns(batched: BatcherDriver) -> None:
    """A request of one image shares the first batch of one with many, and texts need not wait for all images."""
    many = batched.open(*(batched.image("red", at) for at in range(12)))
    one, text = batched.open(batched.image("blue")), batched.open(*words("sky"))
    batched.step()
    batched.step()
    assert isinstance(batched.events[one][-1], Done)
    assert isinstance(batched.events[text][-1], Done)
    assert sum(event.count for event in batched.events[many] if isinstance(event, EmbeddingVectors)) < 8
    batched.finish()
    assert max(size for kind, size in batched.batches if kind == "images") == 4


def test_texts_fill_batches(batched: BatcherDriver) -> None:
    """Forty texts are computed in two batches, each answered by one event."""
    id = batched.open(*words(*["red"] * 40))
    batched.finish()
    assert batched.batches == [("texts", 32), ("texts", 8)]
    assert [event.count for event in batched.events[id] if isinstance(event, EmbeddingVectors)] == [32, 8]


def test_large_images_are_decoded_one_by_one(batched: BatcherDriver, monkeypatch: pytest.MonkeyPatch) -> None:
    """A batch decodes a limited number of pixels, so that no step takes long."""
    monkeypatch.setattr(batching, "_BATCH_PIXELS", 2500)
    batched.open(*(batched.image("red") for _ in range(4)))  # of 1200 pixels each
    batched.finish()
    assert batched.batches == [("images", 2), ("images", 2)]


def test_a_dropped_request_costs_nothing_more(batched: BatcherDriver) -> None:
    """After a disconnect no more images of a request are decoded, also in the batch that was begun."""
    many = batched.open(*(batched.image("red") for _ in range(12)))
    batched.step()
    batched.active[many].is_canceled = True
    batched.open(*words("sky"))
    batched.step()
    batched.step()
    assert [kind for kind, _ in batched.batches] == ["images", "texts"]
    batched.drop(many)
    batched.finish()
    assert len(batched.batches) == 2


def png() -> bytes:
    out = io.BytesIO()
    Image.effect_noise((64, 64), 90).save(out, "PNG")
    return out.getvalue()


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"not an image", "invalid_image_format"),
        (png()[:1000], "invalid_image"),
        (photos.bomb(50_000), "image_too_large"),
    ],
)
def test_wrong_images_fail_their_request_alone(batched: BatcherDriver, data: bytes, code: str) -> None:
    """A file that is no image, is cut off or has too many pixels is an error that names it; others are computed."""
    wrong = batched.open(batched.image("red"), batched.file(data, 1), *words("red"))
    right = batched.open(batched.image("blue"), *words("blue"))
    batched.finish()
    assert (batched.error(wrong).code, batched.error(wrong).param) == (code, "input[1].image_url.url")
    rows = batched.vectors(right)
    assert rows[0] @ rows[1] > 0.9


@pytest.mark.parametrize(
    ("inputs", "fields", "param"),
    [
        (words("red", "a " * 30), {}, "input[1]"),
        (words("a " * 30), {}, "input"),
        ([TokenPrompt((99,))], {}, "input"),
        ([TokenPrompt((4,)), TokenPrompt((0,))], {}, "input[1]"),
        (words("red"), {"dimensions": 8}, "dimensions"),
    ],
)
def test_what_the_model_cannot_read_is_refused(
    batched: BatcherDriver, inputs: Any, fields: dict[str, Any], param: str
) -> None:
    """Texts over the window, unknown ids and other dimensions are errors that name the field, before any work."""
    id = batched.open(*inputs, **fields)
    batched.finish()
    assert batched.error(id).kind in ("InvalidRequest", "ContextOverflow")
    assert batched.error(id).param == param
    assert not batched.batches


def test_its_own_dimensions_are_accepted(batched: BatcherDriver) -> None:
    """The number of dimensions that the model has changes nothing."""
    id = batched.open(*words("red"), dimensions=tiny.WIDTH)
    batched.finish()
    assert batched.vectors(id).shape == (1, tiny.WIDTH)


def test_foreign_ids_are_text(batched: BatcherDriver) -> None:
    """Ids of one of OpenAI's encodings have the vector of their text."""
    own, foreign = batched.open(*words("red")), batched.open(TokenPrompt((1171,)), encoding="cl100k_base")
    batched.finish()
    np.testing.assert_allclose(batched.vectors(foreign), batched.vectors(own), rtol=1e-4, atol=1e-6)


def test_a_batch_that_fails_fails_its_requests(batched: BatcherDriver) -> None:
    """If a graph fails, the requests of the batch fail, and the next ones are computed."""
    batched.fails = True
    one, other = batched.open(*words("red")), batched.open(batched.image("red"))
    batched.finish()
    assert {batched.error(one).kind, batched.error(other).kind} == {"EngineFailed"}
    batched.fails = False
    again = batched.open(*words("red"))
    batched.finish()
    assert isinstance(batched.events[again][-1], Done)


def test_vectors_without_direction_are_errors(tmp_path: Path) -> None:
    """Zeros or numbers that are not finite are an error of the engine, never a vector."""
    model = layouts.load(tiny.transformers(tmp_path).paths, EmbeddingOptions(threads=1))

    class Broken:
        window, batch = 8, 4

        def tokenize(self, text: str) -> TokenIds:
            return [1]

        def encode(self, inputs: Sequence[TokenIds]) -> Vectors:
            return np.zeros((len(inputs), tiny.WIDTH), np.float32)

    work = DualEncoderBatcher(replace(model, texts=Broken()))  # type: ignore[arg-type]
    active = ActiveRequest(1, EmbeddingRequest((TextPrompt("red"),)), 9)
    events = [event for _, event in work.step([active])]
    assert isinstance(events[-1], Failed)
    assert events[-1].fault.kind == "EngineFailed"
