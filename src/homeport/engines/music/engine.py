"""The music engine: requests in, encoded music or MIDI files out, bar after bar.

Several requests are computed in turn, one bar or one sung phrase each. Knows nothing of HTTP.
"""

from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Protocol

import msgspec
import numpy as np
import onnxruntime

from homeport.domain.errors import Unavailable
from homeport.domain.events import Admitted, Done, Event, MusicFinished, MusicProgress, Usage
from homeport.domain.models import LoadedModel
from homeport.domain.music import TOKENS_PER_SECOND, MusicRequest
from homeport.domain.ports.engine import Engine
from homeport.domain.worker_messages import EngineSpec
from homeport.engines.audio_encoder import AudioEncoder, AudioProfile, encoder
from homeport.engines.engine_options import read_options
from homeport.engines.llama.encoder import EncoderOptions
from homeport.engines.music.arrangement import Arranger
from homeport.engines.music.midi_tracks import midi_file
from homeport.engines.music.other_models import EMBEDDING_WEIGHTS, VOICE_MODEL, LazySinger, PromptEmbedder
from homeport.engines.music.output import BITS_PER_S, USUAL_S, callers_fields, chunks, key_name
from homeport.engines.music.parts import Part
from homeport.engines.music.performance import PlayedBar, SungPhrase, play, play_and_sing
from homeport.engines.music.planning import PlanFields, plan_tune
from homeport.engines.music.sampler.instruments import RATE
from homeport.engines.music.score import Bar, TunePlan
from homeport.engines.music.singing.melody_lines import INTRO_BARS
from homeport.engines.music.singing.singer import Singer
from homeport.engines.music.tunes.composer import Composer
from homeport.engines.music.tunes.layout import SECTION_BARS
from homeport.engines.round_robin import ActiveRequest, GeneratorWork, RoundRobinEngine

PROFILE = AudioProfile(RATE, 2, BITS_PER_S)
DEFAULT_VOICE = "alloy"
_SEEDS = 2**32


class MusicOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The options of the engine. `library`: the path of llama.cpp's kernels; `gpu_layers`: layers on GPUs.

    None: the default of the model that reads prompts, or sings.
    """

    threads: int | None = None
    library: str | None = None
    gpu_layers: int | None = None


def load(spec: EngineSpec) -> Engine:
    """Load the engine, as `build_generator` does. Raises Unavailable."""
    generator, embed = build_generator(spec)
    loaded = LoadedModel(spec.model, kernels=f"NumPy {np.__version__}; ONNX Runtime {onnxruntime.__version__}")
    work = GeneratorWork(generator.make, embed.close)
    return RoundRobinEngine(loaded, MusicRequest, work, lambda: embed.device_bytes)


def build_generator(spec: EngineSpec) -> tuple["MusicGenerator", PromptEmbedder]:
    """Load the composer; the models that read prompts and sing are loaded when they are first needed.

    Files by role: `weights`, those of kokoro-82m, and the weights of multilingual-e5-small. The caller closes the
    embedder. Raises Unavailable.
    """
    options = read_options(MusicOptions, spec.options, "music", not_negative=("gpu_layers",))
    voices = {role.removeprefix(VOICE_MODEL): path for role, path in spec.paths.items() if role.startswith(VOICE_MODEL)}
    for role in ("weights", EMBEDDING_WEIGHTS, f"{VOICE_MODEL}weights", f"{VOICE_MODEL}vocabulary"):
        if role not in spec.paths:
            raise Unavailable(f"{spec.model} has no file `{role}`: pull it again.")
    library = Path(options.library) if options.library else None
    embed = PromptEmbedder(
        spec.paths[EMBEDDING_WEIGHTS],
        EncoderOptions(threads=options.threads, library=library, gpu_layers=options.gpu_layers),
    )
    singer = LazySinger(lambda: Singer(voices, options.threads or 0))
    return MusicGenerator(partial(_plan, embed), Composer(spec.paths["weights"]), singer), embed


def _plan(embed: PromptEmbedder, request: MusicRequest, seed: int) -> TunePlan:
    fields = PlanFields(
        prompt=request.prompt,
        seconds=request.seconds or min(USUAL_S, request.max_seconds),
        seed=seed,
        genre=request.genre,
        bpm=request.bpm,
        key=request.key,
    )
    return plan_tune(fields, embed)


class TuneComposer(Protocol):
    """Composes a melody bar by bar; the last bar `is_last`."""

    def compose(self, plan: TunePlan, seed: int) -> Iterator[Bar]:
        """Iterate over the bars."""
        ...


class LyricsSinger(Protocol):
    """Sings lyrics to a melody."""

    def bars(self, lyrics: str, plan: TunePlan, voice: str) -> int:
        """Return how many bars the lyrics take. Raises InvalidRequest for an unknown voice or nothing to sing."""
        ...

    def sing(self, lyrics: str, melody: Iterable[Bar], plan: TunePlan, voice: str) -> Iterator[SungPhrase]:
        """Iterate over the phrases in the order of their starts, the first after `INTRO_BARS` whole bars."""
        ...


class MusicGenerator:
    """All that makes music: `plan` decides what a piece is to be, `composer` writes it, `singer` sings it."""

    def __init__(
        self, plan: Callable[[MusicRequest, int], TunePlan], composer: TuneComposer, singer: LyricsSinger
    ) -> None:
        self._plan = plan
        self._composer = composer
        self._singer = singer

    def make(self, active: ActiveRequest[MusicRequest]) -> Iterator[Event | None]:
        """Iterate over the events of one request. Usage: `TOKENS_PER_SECOND` of music."""
        request = active.request
        plan = self._planned(request, request.seed)
        yield Admitted(0)
        seconds = 0.0
        for index in range(request.n):
            seed = (request.seed + index) % _SEEDS
            piece = _Piece(index, seed, plan if index == 0 else self._planned(request, seed))
            bars = self._composer.compose(piece.plan, seed)
            if request.format == "midi":
                yield from _midi(piece, bars)
            else:
                yield from _sound(encoder(request.format, PROFILE), self._played(piece, bars, request), piece)
            seconds += piece.seconds
            yield piece.finished()
        yield Done(Usage(0, round(seconds * TOKENS_PER_SECOND)))

    def _planned(self, request: MusicRequest, seed: int) -> TunePlan:
        with callers_fields(request):
            plan = self._plan(request, seed)
        return self._lengthened(plan, request) if request.lyrics else plan

    def _lengthened(self, plan: TunePlan, request: MusicRequest) -> TunePlan:
        """Return the plan with as many bars as the lyrics take, if the caller does not say how long it shall be."""
        needed = self._singer.bars(request.lyrics, plan, request.voice or DEFAULT_VOICE)
        most = int(request.max_seconds / plan.seconds(SECTION_BARS * plan.metre.bar_length)) * SECTION_BARS
        if request.seconds is not None or needed <= plan.bars:
            return plan
        return msgspec.structs.replace(plan, bars=max(plan.bars, min(needed, most)))

    def _played(
        self, piece: "_Piece", bars: Iterator[Bar], request: MusicRequest
    ) -> Generator[PlayedBar | None, None, None]:
        plan, lyrics, voice = piece.plan, request.lyrics, request.voice or DEFAULT_VOICE
        if not lyrics:
            return (yield from play(plan, bars, piece.seed))

        def sing(melody: Iterable[Bar]) -> Generator[SungPhrase, None, None]:
            yield from self._singer.sing(lyrics, melody, plan, voice)

        return (yield from play_and_sing(plan, bars, piece.seed, sing, INTRO_BARS - 1))


class _Piece(msgspec.Struct):
    """One piece of a request. `seconds`: of what has been played."""

    index: int
    seed: int
    plan: TunePlan
    seconds: float = 0.0

    def progress(self, bars: int) -> MusicProgress:
        expected = self.plan.seconds(self.plan.bars * self.plan.metre.bar_length)
        return MusicProgress(self.index, bars, round(self.seconds, 3), round(max(expected, self.seconds), 3))

    def finished(self) -> MusicFinished:
        plan = self.plan
        return MusicFinished(
            index=self.index,
            seconds=round(self.seconds, 3),
            seed=self.seed,
            genre=plan.genre,
            key=key_name(plan.key),
            bpm=round(plan.bpm, 1),
            time_signature=f"{plan.metre.count}/{plan.metre.unit}",
        )


def _sound(
    audio: AudioEncoder, played: Generator[PlayedBar | None, None, None], piece: _Piece
) -> Iterator[Event | None]:
    with closing(played):
        for block in played:
            if block is None:
                yield None
                continue
            data = audio.feed(block.samples)
            piece.seconds += len(block.samples) / RATE
            yield piece.progress(block.bars)
            yield from chunks(data)
    yield from chunks(audio.end())


def _midi(piece: _Piece, bars: Iterator[Bar]) -> Iterator[Event]:
    arranger = Arranger(piece.plan, piece.seed)
    parts: list[Part] = []
    end = Fraction(0)
    for number, bar in enumerate(bars, 1):
        parts += arranger.arrange(bar)
        end = bar.start + bar.length
        piece.seconds = piece.plan.seconds(end)
        yield piece.progress(number)
    yield from chunks(midi_file(parts, piece.plan, piece.plan.genre))
