"""The towers of homeport-glance-256: preprocessing, projections, and the real model on pictures it never saw."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from homeport.domain.errors import InvalidRequest, Unavailable
from homeport.engines import image_decoding
from homeport.engines.embeddings.dual_encoder import glance as towers
from homeport.engines.embeddings.dual_encoder import layouts, projection
from homeport.engines.embeddings.dual_encoder.projection import Projection
from homeport.engines.embeddings.dual_encoder.towers import DualEncoder, Vectors
from homeport.engines.embeddings.engine import EmbeddingOptions

PICTURES = Path(__file__).parents[3] / "data" / "glance"
KNOWN = {
    "dog": ("a dog", "一只狗", "ein Hund"),
    "car": ("a red car", "汽车", "ein Auto"),
    "elephant": ("an elephant", "大象", "ein Elefant"),
    "guitar": ("a guitar", "吉他", "eine Gitarre"),
    "apple": ("an apple", "苹果", "ein Apfel"),
}
"""Pictures that the model was trained on, with their names in English, Chinese and German."""
HELD_OUT = {
    "zebra": ("a zebra", "斑马", "ein Zebra"),
    "owl": ("an owl", "猫头鹰", "eine Eule"),
    "airplane": ("an airplane", "飞机", "ein Flugzeug"),
    "scissors": ("scissors", "剪刀", "eine Schere"),
    "trumpet": ("a trumpet", "小号", "eine Trompete"),
    "tomato": ("a tomato", "西红柿", "eine Tomate"),
    "bread": ("bread", "面包", "Brot"),
}
"""The same of things that it was not trained on."""


@pytest.fixture(scope="module")
def model(glance: Mapping[str, Path]) -> Iterator[DualEncoder]:
    """The model as a worker loads it."""
    loaded = layouts.load(glance, EmbeddingOptions(threads=1))
    yield loaded
    loaded.close()


def unit(rows: Vectors) -> Vectors:
    """Return rows of length 1."""
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), np.float32)


def embed_texts(model: DualEncoder, *texts: str) -> Vectors:
    """Return the vectors of texts."""
    return model.texts.encode([model.texts.tokenize(text) for text in texts])


def embed_pictures(model: DualEncoder, *names: str) -> Vectors:
    """Return the vectors of picture files."""
    decoded = [image_decoding.decode_rgb(PICTURES / f"{name}.webp", "input") for name in names]
    return model.images.encode([model.images.preprocess(each) for each in decoded])


def test_images_are_padded_with_white_and_scaled() -> None:
    """A wide black image becomes a square with white above and below, of values (v - 127) / 128."""
    pixels = towers.preprocess(Image.new("RGB", (520, 260), "black"))
    assert pixels.shape == (3, 260, 260)
    assert pixels.dtype == np.float32
    assert np.allclose(pixels[:, 130], -127 / 128)
    assert np.allclose(pixels[:, [0, 50, 210, 259]], 1)
    square = towers.preprocess(Image.new("RGB", (260, 260), (255, 127, 0)))
    assert np.allclose(square.mean((1, 2)), [1, 0, -127 / 128])


def test_the_class_names_are_mixed_in_by_their_share() -> None:
    """With untrained layers, the vector leans to the names of the probable classes, more with a greater share."""
    rng = np.random.default_rng(3)
    shapes = {"direct.kernel": (20, 4), "direct.bias": (4,), "hidden.kernel": (20, 2), "hidden.bias": (2,)}
    shapes |= {"output.kernel": (2, 4), "class.vectors": (15, 4), "features.mean": (5,)}
    weights = {name: rng.standard_normal(shape).astype(np.float16) for name, shape in shapes.items()}
    weights["features.spread"] = np.ones(5, np.float16)
    classes = np.full((1, 15), 0.01, np.float32)
    classes[0, 7] = 0.86
    name = weights["class.vectors"][7] / np.linalg.norm(weights["class.vectors"][7])
    near = []
    for share in (0.0, 0.5, 50.0):
        trained = Projection({**weights, "class.share": np.array(share, np.float16)})
        (row,) = trained.project_images(np.arange(5, dtype=np.float32)[None], classes)
        assert np.linalg.norm(row) == pytest.approx(1)
        near.append(float(row @ name))
    assert near[0] < near[1] < near[2]
    assert near[2] > 0.95


def test_texts_are_centered_and_mapped() -> None:
    """A text's vector is the map of its difference from the mean, of length 1."""
    weights = {"text.mean": np.ones(3, np.float16), "text.kernel": np.array([[0, 2], [2, 0], [0, 0]], np.float16)}
    rows = Projection(weights).project_texts(np.array([[4, 5, 9]], np.float32))
    assert np.allclose(rows, [[0.8, 0.6]])


def test_the_built_in_projections_fit_the_models() -> None:
    """They take the network's 1,280 features and 1,000 classes and the text model's 384 numbers, and give 256."""
    trained = projection.load_built_in()
    assert trained.dimensions == 256
    assert trained.project_images(np.ones((2, 1280), np.float32), np.full((2, 1000), 1e-3, np.float32)).shape == (
        2,
        256,
    )
    assert trained.project_texts(np.ones((2, 384), np.float32)).shape == (2, 256)


def test_a_missing_or_wrong_file_is_named(tmp_path: Path) -> None:
    """A model without its network, or with another file in its place, does not load."""
    other = {towers.TEXT_MODEL: tmp_path / "e5.gguf"}
    with pytest.raises(Unavailable, match="no file `weights`"):
        layouts.load(other, EmbeddingOptions())
    (tmp_path / "network.onnx").write_bytes(b"no network")
    with pytest.raises(Unavailable, match=r"network\.onnx does not load"):
        layouts.load({**other, "weights": tmp_path / "network.onnx"}, EmbeddingOptions())


def similarities(model: DualEncoder, names: Mapping[str, Sequence[str]], language: int) -> Vectors:
    """Return the cosines of pictures (rows) and their names (columns)."""
    texts = embed_texts(model, *(each[language] for each in names.values()))
    return np.asarray(unit(embed_pictures(model, *names)) @ unit(texts).T, np.float32)


@pytest.mark.parametrize("language", range(3))
def test_pictures_and_names_find_each_other(model: DualEncoder, language: int) -> None:
    """A picture of a known thing is nearer to its name than to others, and the name nearer to it than to others."""
    found = similarities(model, KNOWN, language)
    assert (found.argmax(1) == np.arange(len(KNOWN))).all(), found.round(2)
    assert (found.argmax(0) == np.arange(len(KNOWN))).all(), found.round(2)


@pytest.mark.parametrize("language", range(3))
def test_most_unknown_things_are_recognized(model: DualEncoder, language: int) -> None:
    """Of seven things that the model was not trained on, most have their own name nearest; by chance, one would."""
    found = similarities(model, HELD_OUT, language)
    assert (found.argmax(1) == np.arange(len(HELD_OUT))).sum() >= 4, found.round(2)
    assert np.diag(found).mean() > found.mean() + 0.1


def test_batches_change_no_vector(model: DualEncoder) -> None:
    """Long texts in one batch are computed in parts, and images together: the vectors are those of each alone."""
    texts = ["a dog " * 60, "a zebra", "a red car " * 40, "an owl"]
    alone = np.concatenate([embed_texts(model, text) for text in texts])
    together = embed_texts(model, *texts)
    assert np.abs(unit(together) - unit(alone)).max() < 0.02  # the text model's weights have 4 bits
    pictures = np.concatenate([embed_pictures(model, name) for name in ("owl", "bread")])
    assert np.allclose(embed_pictures(model, "owl", "bread"), pictures, atol=1e-4)


def test_ids_are_completed_like_texts(model: DualEncoder) -> None:
    """Ids of the text model's vocabulary, bare or with the tokens around a text, give the ids of the text itself."""
    whole = list(model.texts.tokenize("a dog"))
    first, *_, last = whole
    prefix = list(model.texts.tokenize(""))[1:-1]
    inner = whole[1 + len(prefix) : -1]
    assert list(model.texts.complete(inner)) == whole
    assert list(model.texts.complete([first, *inner, last])) == whole
    assert model.texts.tokenize("query: a dog") == whole
    with pytest.raises(InvalidRequest, match="not in this model's vocabulary"):
        model.texts.complete([10**7])
    with pytest.raises(InvalidRequest, match="control token"):
        model.texts.complete([first, first, last])


def test_the_loaded_model_states_its_facts(model: DualEncoder) -> None:
    """It has 256 dimensions, a window of 512 tokens, and an image counts as the 81 places of the last layer."""
    assert (model.dimensions, model.texts.window, model.images.patches) == (256, 512, 81)
    assert "ONNX Runtime" in model.kernels
