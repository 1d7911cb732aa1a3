"""Loads the models that judge, and puts them to work: windows of texts some at a time, pictures one by one.

Requests take turns, a chunk of work each. Knows nothing of category names that an answer has or lacks, nor of HTTP.
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
from homeport.engines.llama import encoder
from homeport.engines.llama.encoder import EmbeddingEncoder, EncoderOptions
from homeport.engines.moderation import head, image_classifier, windows
from homeport.engines.moderation.head import ClassifierHead, Floats
from homeport.engines.moderation.image_classifier import NsfwClassifier
from homeport.engines.moderation.toxicity_model import ToxicityModel
from homeport.engines.round_robin import ActiveRequest, GeneratorWork, RoundRobinEngine

EMBEDDING_WEIGHTS = "multilingual-e5-small/weights"
"""The file, of another model of the catalogue, whose vectors the head was trained on."""

_PREFIX = "query: "  # what that model wants in front of texts that are compared with each other
_IMAGE_CATEGORIES = frozenset({"sexual"})  # the categories that a picture says anything about


class ModerationOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The options of a job. `library`: where llama.cpp's kernels are; None leaves the choice to the encoder."""

    threads: int | None = None
    library: str | None = None

    @classmethod
    def read(cls, options: Mapping[str, str | int | float | bool | None]) -> "ModerationOptions":
        """Check a job's options. Raises Unavailable naming what is wrong."""
        try:
            return msgspec.convert(dict(options), cls)
        except msgspec.ValidationError as error:
            raise Unavailable(f"The moderation engine's options are wrong: {error}.") from error


def load(job: EngineSpec) -> Engine:
    """Load the models a job names. Raises Unavailable where one does not load or an option is wrong."""
    options = ModerationOptions.read(job.options)
    for role in ("weights", "images", EMBEDDING_WEIGHTS):
        if role not in job.paths:
            raise Unavailable(f"{job.model} has no file `{role}`.")
    words = ToxicityModel(job.paths["weights"])
    classifier = NsfwClassifier(job.paths["images"], options.threads)
    library = Path(options.library) if options.library else None
    vectors = encoder.load(job.paths[EMBEDDING_WEIGHTS], EncoderOptions(threads=options.threads, library=library))
    judge = Moderator(FeatureExtractor(vectors, words), head.built_in(), classifier)
    loaded = LoadedModel(model=job.model, kernels=f"{vectors.kernels}; onnxruntime")
    return RoundRobinEngine(loaded, ModerationRequest, GeneratorWork(judge.moderate, vectors.close))


class Window(msgspec.Struct, frozen=True):
    """A piece of text, and its tokens as the vectors' model wants them."""

    text: str
    ids: tuple[int, ...]


class FeatureExtractor:
    """Makes of windows of text what the head reads."""

    def __init__(self, vectors: EmbeddingEncoder, words: ToxicityModel) -> None:
        self._vectors = vectors
        self._words = words

    def count(self, piece: str) -> int:
        """Tokens of a piece of text by itself."""
        return len(self._vectors.tokenize(piece, whole=False))

    def window(self, text: str) -> Window:
        """A text as one window, which must fit the vectors' model."""
        return Window(text, tuple(self._vectors.tokenize(_PREFIX + text)))

    def windows(self, text: str) -> Iterator[Window | None]:
        """The windows of a text that say anything, and None now and then while it is measured."""
        for piece in windows.split_windows(text, self.count):
            if piece is None:
                yield None
            elif piece.strip():
                yield self.window(piece)

    def chunks(self, given: Sequence[Window]) -> Iterator[Sequence[Window]]:
        """The same windows in order, as many together as are computed at once: some 50 ms."""
        start = tokens = 0
        for at, window in enumerate(given):
            if at > start and (tokens + len(window.ids) > self._vectors.batch or at - start == self._vectors.sequences):
                yield given[start:at]
                start, tokens = at, 0
            tokens += len(window.ids)
        if given:
            yield given[start:]

    def features(self, chunk: Sequence[Window]) -> Floats:
        """One row for each window of a chunk."""
        vectors = self._vectors.encode([window.ids for window in chunk])
        return head.features(vectors, self._words.judge([window.text for window in chunk]))


class Moderator:
    """Makes the events of one request after the other."""

    def __init__(self, reader: FeatureExtractor, trained: ClassifierHead, classifier: NsfwClassifier) -> None:
        self._reader = reader
        self._head = trained
        self._pictures = classifier

    def moderate(self, turn: ActiveRequest[ModerationRequest]) -> Iterator[Event | None]:
        """Give a request's events, None where a chunk of work brought none. Raises InvalidRequest for bad pictures.

        Pictures are judged before the request is admitted, so that a bad one is told before the answer begins.
        """
        inputs = turn.request.inputs
        seen: list[float | None] = []
        cut: list[list[Window]] = []
        for parts in inputs:
            seen.append((yield from self._score_images(parts)))
            cut.append((yield from self._split_text(parts)))
        usage = Usage(sum(len(window.ids) for found in cut for window in found))
        yield Admitted(usage.prompt_tokens)
        ends = list(itertools.accumulate(map(len, cut)))
        worst = np.zeros((len(inputs), len(CATEGORIES)), np.float32)
        owners = np.repeat(np.arange(len(inputs)), [len(found) for found in cut])
        done = read = 0
        for chunk in [[], *self._reader.chunks([window for found in cut for window in found])]:
            if chunk:
                np.maximum.at(worst, owners[read : read + len(chunk)], self._scores(chunk))
                read += len(chunk)
            yield None
            while done < len(inputs) and ends[done] <= read:
                has_text = any(isinstance(part, TextPart) for part in inputs[done])
                yield ModerationVerdict(done, self._judgements(worst[done], has_text=has_text, picture=seen[done]))
                done += 1
        yield Done(usage)

    def _scores(self, chunk: Sequence[Window]) -> Floats:
        return self._head.judge(self._reader.features(chunk), [window.text for window in chunk])

    def _score_images(self, parts: tuple[ModerationPart, ...]) -> Generator[None, None, float | None]:
        worst: float | None = None
        for part in parts:
            if isinstance(part, ImagePart):
                worst = max(worst or 0.0, self._pictures.judge(part.image.local_path, part.param))
                yield None
        return worst

    def _split_text(self, parts: tuple[ModerationPart, ...]) -> Generator[None, None, list[Window]]:
        found: list[Window] = []
        for part in parts:
            if isinstance(part, TextPart):
                for window in self._reader.windows(part.text):
                    if window is None:
                        yield None
                    else:
                        found.append(window)
        return found

    def _judgements(self, scores: Floats, *, has_text: bool, picture: float | None) -> tuple[CategoryScore, ...]:
        found = []
        for category, score, threshold in zip(CATEGORIES, map(float, scores), self._head.thresholds, strict=True):
            applied = ["text"] if has_text else []
            if picture is not None and category in _IMAGE_CATEGORIES:
                applied.append("image")
                score = max(score, image_classifier.rescale_probability(picture, threshold))
            found.append(CategoryScore(category, score, score >= threshold, tuple(applied)))
        return tuple(found)
