"""The moderation engine: scores texts, in chunks of windows, and images, one by one.

Requests are computed in turn, one chunk of work each. Knows nothing of the categories in an answer, or of HTTP.
"""

import itertools
from collections.abc import Generator, Iterator, Mapping, Sequence
from pathlib import Path

import msgspec
import numpy as np

from homeport.domain.content import ImagePart, TextPart
from homeport.domain.errors import Unavailable
from homeport.domain.events import (
    Admitted,
    CategoryScore,
    Done,
    Event,
    ModerationVerdict,
    Usage,
)
from homeport.domain.models import LoadedModel
from homeport.domain.moderation import CATEGORIES, ModerationPart, ModerationRequest
from homeport.domain.ports.engine import Engine
from homeport.domain.worker_messages import EngineSpec
from homeport.engines.engine_options import read_options
from homeport.engines.llama import encoder
from homeport.engines.llama.encoder import EmbeddingEncoder, EncoderOptions
from homeport.engines.moderation import head, image_classifier, windows
from homeport.engines.moderation.head import ClassifierHead, Floats
from homeport.engines.moderation.image_classifier import NsfwClassifier
from homeport.engines.moderation.toxicity_model import ToxicityModel
from homeport.engines.round_robin import ActiveRequest, GeneratorWork, RoundRobinEngine

EMBEDDING_WEIGHTS = "multilingual-e5-small/weights"
"""The role of the embedding model's file; the head was trained on its vectors."""

_PREFIX = "query: "  # that model's prefix for texts that are compared with each other
_IMAGE_CATEGORIES = frozenset({"sexual"})  # the categories that images are scored for


class ModerationOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The options of the engine. `library`: the path of llama.cpp's kernels; `gpu_layers`: layers on GPUs.

    None: the encoder's default.
    """

    threads: int | None = None
    library: str | None = None
    gpu_layers: int | None = None

    @classmethod
    def read(cls, options: Mapping[str, str | int | float | bool | None]) -> "ModerationOptions":
        """Check and convert options. Raises Unavailable that names the invalid one."""
        return read_options(cls, options, "moderation", not_negative=("gpu_layers",))


def load(spec: EngineSpec) -> Engine:
    """Load the models that a spec names. Raises Unavailable if one does not load or an option is invalid."""
    options = ModerationOptions.read(spec.options)
    for role in ("weights", "images", EMBEDDING_WEIGHTS):
        if role not in spec.paths:
            raise Unavailable(f"{spec.model} has no file `{role}`.")
    toxicity = ToxicityModel(spec.paths["weights"])
    classifier = NsfwClassifier(spec.paths["images"], options.threads)
    library = Path(options.library) if options.library else None
    embedder = encoder.load(
        spec.paths[EMBEDDING_WEIGHTS],
        EncoderOptions(threads=options.threads, library=library, gpu_layers=options.gpu_layers),
    )
    moderator = Moderator(FeatureExtractor(embedder, toxicity), head.load_built_in(), classifier)
    loaded = LoadedModel(
        model=spec.model,
        kernels=f"{embedder.kernels}; onnxruntime",
        device=embedder.device,
        device_bytes=embedder.device_bytes,
    )
    work = GeneratorWork(moderator.moderate, embedder.close)
    return RoundRobinEngine(loaded, ModerationRequest, work, lambda: embedder.device_bytes)


class Window(msgspec.Struct, frozen=True):
    """A window of text, and its tokens for the embedding model."""

    text: str
    ids: tuple[int, ...]


class FeatureExtractor:
    """Computes the features of windows of text, the input of the classifier head."""

    def __init__(self, embedder: EmbeddingEncoder, toxicity: ToxicityModel) -> None:
        self._embedder = embedder
        self._toxicity = toxicity

    def count(self, piece: str) -> int:
        """Return the number of tokens of a piece of text by itself."""
        return len(self._embedder.tokenize(piece, whole=False))

    def window(self, text: str) -> Window:
        """Return a text as one window, which must fit the embedding model."""
        return Window(text, tuple(self._embedder.tokenize(_PREFIX + text)))

    def windows(self, text: str) -> Iterator[Window | None]:
        """Iterate over the windows of a text that are not blank; sometimes None, while it is being split."""
        for piece in windows.split_windows(text, self.count):
            if piece is None:
                yield None
            elif piece.strip():
                yield self.window(piece)

    def chunks(self, windows: Sequence[Window]) -> Iterator[Sequence[Window]]:
        """Split windows into chunks that are computed together, in about 50 ms each."""
        batch, sequences = self._embedder.batch, self._embedder.sequences
        start = tokens = 0
        for index, window in enumerate(windows):
            if index > start and (tokens + len(window.ids) > batch or index - start == sequences):
                yield windows[start:index]
                start, tokens = index, 0
            tokens += len(window.ids)
        if windows:
            yield windows[start:]

    def features(self, chunk: Sequence[Window]) -> Floats:
        """Return one row of features for each window of a chunk."""
        vectors = self._embedder.encode([window.ids for window in chunk])
        return head.features(vectors, self._toxicity.judge([window.text for window in chunk]))


class Moderator:
    """Produces the events of requests."""

    def __init__(
        self, extractor: FeatureExtractor, classifier_head: ClassifierHead, image_classifier: NsfwClassifier
    ) -> None:
        self._extractor = extractor
        self._head = classifier_head
        self._images = image_classifier

    def moderate(self, active: ActiveRequest[ModerationRequest]) -> Iterator[Event | None]:
        """Iterate over a request's events, None if a chunk of work has none. Raises InvalidRequest for invalid images.

        Images are scored before the request is admitted, so that an invalid one is an error before the answer begins.
        """
        inputs = active.request.inputs
        image_scores: list[float | None] = []
        text_windows: list[list[Window]] = []
        for parts in inputs:
            image_scores.append((yield from self._score_images(parts)))
            text_windows.append((yield from self._split_text(parts)))
        all_windows = [window for each in text_windows for window in each]
        usage = Usage(sum(len(window.ids) for window in all_windows))
        yield Admitted(usage.prompt_tokens)
        ends = list(itertools.accumulate(map(len, text_windows)))
        worst = np.zeros((len(inputs), len(CATEGORIES)), np.float32)
        input_of_window = np.repeat(np.arange(len(inputs)), [len(each) for each in text_windows])
        n_done = n_scored = 0
        for chunk in [[], *self._extractor.chunks(all_windows)]:
            if chunk:
                np.maximum.at(worst, input_of_window[n_scored : n_scored + len(chunk)], self._scores(chunk))
                n_scored += len(chunk)
            yield None
            while n_done < len(inputs) and ends[n_done] <= n_scored:
                has_text = any(isinstance(part, TextPart) for part in inputs[n_done])
                scores = self._category_scores(worst[n_done], has_text=has_text, image=image_scores[n_done])
                yield ModerationVerdict(n_done, scores)
                n_done += 1
        yield Done(usage)

    def _scores(self, chunk: Sequence[Window]) -> Floats:
        return self._head.judge(self._extractor.features(chunk), [window.text for window in chunk])

    def _score_images(self, parts: tuple[ModerationPart, ...]) -> Generator[None, None, float | None]:
        worst: float | None = None
        for part in parts:
            if isinstance(part, ImagePart):
                worst = max(worst or 0.0, self._images.judge(part.image.local_path, part.param))
                yield None
        return worst

    def _split_text(self, parts: tuple[ModerationPart, ...]) -> Generator[None, None, list[Window]]:
        text_windows: list[Window] = []
        for part in parts:
            if isinstance(part, TextPart):
                for window in self._extractor.windows(part.text):
                    if window is None:
                        yield None
                    else:
                        text_windows.append(window)
        return text_windows

    def _category_scores(self, scores: Floats, *, has_text: bool, image: float | None) -> tuple[CategoryScore, ...]:
        result = []
        for category, score, threshold in zip(CATEGORIES, map(float, scores), self._head.thresholds, strict=True):
            input_types = ["text"] if has_text else []
            if image is not None and category in _IMAGE_CATEGORIES:
                input_types.append("image")
                score = max(score, image_classifier.rescale_probability(image, threshold))
            result.append(CategoryScore(category, score, score >= threshold, tuple(input_types)))
        return tuple(result)
