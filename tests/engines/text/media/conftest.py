"""The colour eye on the default model, and pictures for it."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from homeport.domain.content import Attachment, ImagePart
from homeport.engines.text.executors.llama.executor import LlamaExecutor, LlamaOptions, load
from homeport.engines.text.media.encoder import EncoderFiles, MediaEncoder
from tests.samples import colour_eye

MakePicture = Callable[..., ImagePart]


@pytest.fixture(scope="session")
def model(qwen: Path) -> Iterator[LlamaExecutor]:
    """The default model with room for some sequences."""
    executor = load(qwen, LlamaOptions(window=512, cells=2048, sequences=4, batch=512, threads=1))
    yield executor
    executor.close()


@pytest.fixture(scope="session")
def words(model: LlamaExecutor) -> dict[str, int]:
    """The token of each word for a colour."""
    return {word: model.tokenize(word, special=False)[0] for word in colour_eye.COLORS}


@pytest.fixture(scope="session")
def eye(qwen: Path, words: dict[str, int], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The projector's file."""
    path = tmp_path_factory.mktemp("eye") / "mmproj-eye.gguf"
    return colour_eye.write_eye(path, qwen, list(words.values()))


@pytest.fixture
def encoder(qwen: Path, eye: Path, model: LlamaExecutor) -> Iterator[MediaEncoder]:
    """An encoder whose process has not been started."""
    encoder = MediaEncoder(EncoderFiles(qwen, eye, threads=1), model.traits.media_width)
    yield encoder
    encoder.close()


@pytest.fixture
def make_picture(tmp_path: Path) -> MakePicture:
    """Return a function that makes a picture of these words' colours and returns the part that refers to it."""
    count = 0

    def make(names: Sequence[str], *, detail: str = "auto", scale: int = 1, format: str = "PNG") -> ImagePart:
        nonlocal count
        count += 1
        path = tmp_path / f"{count}.{format.lower()}"
        path.write_bytes(colour_eye.picture(names, scale=scale, format=format))
        return ImagePart(Attachment(path), detail, param=f"messages[0].content[{count}].image_url.url")

    return make
