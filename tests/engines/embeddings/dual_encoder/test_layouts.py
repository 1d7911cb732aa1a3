"""Models in both layouts, loaded and computed, against the same computation in numpy."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from homeport.domain.errors import InvalidRequest, Unavailable
from homeport.engines.embeddings.dual_encoder import layouts
from homeport.engines.embeddings.dual_encoder.onnx_towers import IMAGE_BATCH, TEXT_BATCH
from homeport.engines.embeddings.dual_encoder.text_tokenizer import canonicalize
from homeport.engines.embeddings.dual_encoder.towers import DualEncoder
from homeport.engines.embeddings.engine import EmbeddingOptions
from tests.samples import tiny_towers as tiny

OPTIONS = EmbeddingOptions(threads=1)
Make = Callable[[Path], tiny.TinyModel]


@pytest.fixture(params=tiny.LAYOUTS)
def make(request: pytest.FixtureRequest) -> Make:
    """Write a model in one of the layouts."""
    return tiny.LAYOUTS[request.param]


def load(model: tiny.TinyModel) -> DualEncoder:
    return layouts.load(model.paths, OPTIONS)


def edit(path: Path, **changes: Any) -> None:
    """Change a configuration; None removes a value."""
    values = json.loads(path.read_text()) | changes
    path.write_text(json.dumps({key: value for key, value in values.items() if value is not None}))


def test_images_are_what_the_graph_computes(tmp_path: Path, make: Make) -> None:
    """An image's vector is that of its preprocessed pixels; its patches are counted as the configuration says."""
    model = make(tmp_path)
    loaded = load(model)
    images = [Image.effect_noise((20, 30), 90).convert("RGB"), Image.new("RGB", (9, 9), "navy")]
    pixels = [loaded.images.preprocess(image) for image in images]
    for size in (1, min(2, loaded.images.batch)):
        rows = loaded.images.encode(pixels[:size])
        np.testing.assert_allclose(
            rows, [each.mean((1, 2)) @ model.pixels for each in pixels[:size]], rtol=1e-4, atol=1e-5
        )
    assert loaded.images.patches == tiny.PATCHES
    assert loaded.dimensions == tiny.WIDTH


def test_open_clip_fills_the_window(tmp_path: Path) -> None:
    """Texts are padded to the window with the token that the tokenizer's configuration names."""
    model = tiny.open_clip(tmp_path)
    loaded = load(model)
    assert (loaded.texts.batch, loaded.texts.window) == (1, tiny.WINDOW)
    ids = loaded.texts.tokenize("red  CAR!")
    assert list(ids) == tiny.ids("red", "car")
    padded = [*ids, *[0] * (tiny.WINDOW - len(ids))]
    np.testing.assert_allclose(loaded.texts.encode([ids]), [model.words[padded].sum(0)], rtol=1e-4, atol=1e-5)


def test_transformers_masks_padding(tmp_path: Path) -> None:
    """Texts of different lengths are computed together, each as if it were alone."""
    model = tiny.transformers(tmp_path)
    loaded = load(model)
    texts = [loaded.texts.tokenize(text) for text in ("red car", "the blue sky a car", "")]
    assert list(texts[2]) == [1, 2]
    rows = loaded.texts.encode(texts)
    np.testing.assert_allclose(rows, [model.words[list(ids)].sum(0) for ids in texts], rtol=1e-4, atol=1e-5)


def test_quantized_inputs_are_computed_alone(tmp_path: Path) -> None:
    """Where the range of a batch quantizes activations, each input is computed alone: its vector never changes."""
    loaded = load(tiny.transformers(tmp_path / "8 bits", is_quantized=True))
    assert (loaded.texts.batch, loaded.images.batch) == (1, 1)
    pixels = [loaded.images.preprocess(Image.new("RGB", (9, 9), color)) for color in ("navy", "white")]
    together = loaded.images.encode(pixels)
    assert np.abs(together[0] - loaded.images.encode(pixels[:1])[0]).max() > 1e-3
    whole = load(tiny.transformers(tmp_path / "32 bits"))
    assert (whole.texts.batch, whole.images.batch) == (TEXT_BATCH, IMAGE_BATCH)


def test_models_that_read_padding_receive_it(tmp_path: Path) -> None:
    """SigLIP in transformers' layout is padded to its window, with the window and patches of its kind."""
    model = tiny.transformers(tmp_path)
    edit(model.paths["config"], model_type="siglip", vision_config={"patch_size": None}, text_config={})
    edit(model.paths["tokenizer_config"], model_max_length=10**30, pad_token={"content": "</s>"})
    loaded = load(model)
    assert loaded.texts.window == 64
    assert loaded.images.patches == 1


def test_a_preprocessing_is_known_by_its_words(tmp_path: Path) -> None:
    """In transformers' layout, too, open_clip's configuration of images is followed as open_clip does."""
    model = tiny.transformers(tmp_path)
    image = Image.effect_noise((30, 20), 90).convert("RGB")
    squashed = {"size": tiny.EDGE, "resize_mode": "squash", "mean": tiny.MEAN, "std": tiny.STD}
    model.paths["preprocessor"].write_text(json.dumps(squashed))
    pixels = np.asarray(image.resize((tiny.EDGE, tiny.EDGE), Image.Resampling.BICUBIC)) / 255
    golden = ((pixels - tiny.MEAN) / tiny.STD).transpose(2, 0, 1)
    np.testing.assert_allclose(load(model).images.preprocess(image), golden, rtol=0, atol=1e-5)


def test_a_text_has_no_special_tokens(tmp_path: Path, make: Make) -> None:
    """The name of a special token in a text is text."""
    loaded = load(make(tmp_path))
    inner = list(loaded.texts.tokenize("red </s> car"))[1:-1]
    assert not {0, 1, 2} & set(inner)


def test_ids_are_completed(tmp_path: Path, make: Make) -> None:
    """Ids of the model's own vocabulary get the tokens around a text, unless they have them; others are refused."""
    loaded = load(make(tmp_path))
    whole = tiny.ids("red", "car")
    assert loaded.texts.complete(whole[1:-1]) == whole
    assert loaded.texts.complete(whole) == whole
    with pytest.raises(InvalidRequest, match="vocabulary of 11"):
        loaded.texts.complete([11])
    with pytest.raises(InvalidRequest, match="control token"):
        loaded.texts.complete([4, 0, 5])


def test_long_texts_are_not_tokenized_whole(tmp_path: Path, make: Make) -> None:
    """A text of a million words is found to be too long by its beginning."""
    loaded = load(make(tmp_path))
    assert tiny.WINDOW < len(loaded.texts.tokenize("red " * 1_000_000)) < 1000
    assert list(loaded.texts.tokenize(" " * 100_000 + "red"))[-2:] == tiny.ids("red")[1:]


def test_siglips_texts_are_canonical() -> None:
    """Case and punctuation are removed as in open_clip, underscores become spaces."""
    assert canonicalize(" A red_car,  isn't IT? ") == "a red car isnt it"


@pytest.mark.parametrize("role", layouts.ROLES)
def test_missing_and_broken_files_are_named(tmp_path: Path, make: Make, role: str) -> None:
    """A model without one of its files, or with a broken one, does not load, and the message says which."""
    model = make(tmp_path)
    file = model.paths.pop(role)
    with pytest.raises(Unavailable, match=f"`{role}`"):
        load(model)
    model.paths[role] = file
    file.write_bytes(b"broken")
    with pytest.raises(Unavailable, match=file.name):
        load(model)


@pytest.mark.parametrize(
    ("role", "changes", "message"),
    [
        ("tokenizer_config", {"pad_token": None}, "names no padding token"),
        ("tokenizer_config", {"pad_token": "<none>"}, "lacks the padding token '<none>'"),
        ("preprocessor", {"size": 20, "crop_size": {"height": 20, "width": 20}}, "reads images of 16x16, not 20x20"),
    ],
)
def test_what_does_not_fit_is_refused(
    tmp_path: Path, make: Make, role: str, changes: dict[str, Any], message: str
) -> None:
    """A configuration that contradicts the files is a reason not to load."""
    model = make(tmp_path)
    edit(model.paths[role], **changes)
    with pytest.raises(Unavailable, match=message):
        load(model)


def test_swapped_towers_are_refused(tmp_path: Path, make: Make) -> None:
    """A graph of images in the place of that of texts does not load."""
    model = make(tmp_path)
    model.paths["weights"] = model.paths["images"]
    with pytest.raises(Unavailable, match=r"visual-model\.onnx has unsupported inputs"):
        load(model)
