"""The music engine on a fixed tune: formats, pieces, seeds, songs, turns and cancellation."""

import io
import itertools
import threading
from collections.abc import Sequence

import av
import numpy as np
import pytest

from homeport.domain.errors import InvalidRequest
from homeport.domain.events import Admitted, AudioChunk, Done, Event, Failed, MusicFinished, MusicProgress
from homeport.domain.models import LoadedModel
from homeport.domain.music import MUSIC_FORMATS, MusicFormat, MusicRequest
from homeport.engines.music.engine import MusicGenerator
from homeport.engines.music.output import key_name
from homeport.engines.music.sampler.instruments import RATE
from homeport.engines.music.score import Key
from homeport.engines.music.singing.melody_lines import INTRO_BARS
from homeport.engines.round_robin import ActiveRequest, GeneratorWork, RoundRobinEngine
from tests.engines.music.fixed_tune import FixedComposer, ToneSinger, plan_of
from tests.engines.sniffing import sniff

JIG = MusicRequest("a jig", 7, 120.0, 8.0, format="pcm")
SONG = "Row your boat\nGently\nDown the stream"


def generator() -> MusicGenerator:
    """All parts, with the fixed tune and the tones."""
    return MusicGenerator(plan_of, FixedComposer(), ToneSinger())


def made(request: MusicRequest) -> list[Event]:
    """Return all events of one request."""
    return [event for event in generator().make(ActiveRequest(1, request, 99)) if event is not None]


def data_of(events: Sequence[Event]) -> bytes:
    """Join the audio of events."""
    return b"".join(event.data for event in events if isinstance(event, AudioChunk))


def stereo(events: Sequence[Event]) -> np.ndarray:
    """Decode raw samples, [samples, 2]."""
    return np.frombuffer(data_of(events), "<i2").reshape(-1, 2).astype(np.float32) / 32768


def replaced(request: MusicRequest, **changes: object) -> MusicRequest:
    """Return a request with some fields changed."""
    fields = {name: getattr(request, name) for name in request.__struct_fields__}
    return MusicRequest(**{**fields, **changes})


def test_a_piece_has_sound_and_says_what_it_is() -> None:
    """Progress grows to the end, the sound is stereo, as long as told and not silent; usage is 40 tokens a second."""
    events = made(JIG)
    assert events[0] == Admitted(0)
    progress = [event for event in events if isinstance(event, MusicProgress)]
    assert [event.bars for event in progress] == [1, 2, 3, 4, 4]
    assert progress[0].total_seconds == 8.0
    assert [event.seconds for event in progress] == sorted(event.seconds for event in progress)
    finished, done = events[-2:]
    assert isinstance(finished, MusicFinished)
    assert isinstance(done, Done)
    sound = stereo(events)
    assert finished == MusicFinished(0, round(len(sound) / RATE, 3), 7, "reel", "D major", 120.0, "4/4")
    assert 8.0 < finished.seconds < 16.0
    assert done.usage.completion_tokens == round(finished.seconds * 40)
    assert all(np.max(np.abs(sound[start : start + RATE])) > 0.01 for start in range(0, 8 * RATE, RATE))
    assert np.max(np.abs(sound)) < 1


@pytest.mark.parametrize("format", MUSIC_FORMATS)
def test_each_format_is_valid(format: MusicFormat) -> None:
    """Files begin as their format does and decode to the same length; MIDI holds notes."""
    data = data_of(made(replaced(JIG, format=format)))
    if format == "midi":
        assert data[:4] == b"MThd"
        assert data.count(b"MTrk") > 2
        return
    assert sniff(data) == format
    if format != "pcm":
        with av.open(io.BytesIO(data), "r") as container:
            frames = list(container.decode(audio=0))
        assert frames[0].layout.nb_channels == 2
        length = sum(frame.samples for frame in frames) / frames[0].sample_rate
        assert length == pytest.approx(len(stereo(made(JIG))) / RATE, abs=0.1)


def test_the_same_seed_is_the_same_music() -> None:
    """The same seed gives the same bytes, another one others; the second piece is that of the next seed."""
    assert data_of(made(JIG)) == data_of(made(JIG))
    both = made(replaced(JIG, n=2))
    first = both[: next(at for at, event in enumerate(both) if isinstance(event, MusicFinished))]
    assert data_of(first) == data_of(made(JIG))
    assert data_of(both)[len(data_of(first)) :] == data_of(made(replaced(JIG, seed=8))) != data_of(first)
    seeds = [(event.index, event.seed) for event in both if isinstance(event, MusicFinished)]
    assert seeds == [(0, 7), (1, 8)]
    last = made(replaced(JIG, seed=2**32 - 1, n=2))
    assert [event.seed for event in last if isinstance(event, MusicFinished)] == [2**32 - 1, 0]


def test_lyrics_are_sung_where_they_belong() -> None:
    """The voice sounds in the bars of its phrases and not after them, and all bars are played."""
    sung, played = stereo(made(replaced(JIG, seconds=24.0, lyrics=SONG))), stereo(made(replaced(JIG, seconds=24.0)))
    assert len(sung) >= len(played)
    for second, is_sung in ((0, False), (8, True), (10, False), (12, True), (16, True), (22, False)):
        window = sung[second * RATE : (second + 1) * RATE, 0]
        spectrum = np.abs(np.fft.rfft(window))
        voice = spectrum[2990:3010].max() / spectrum.max()
        assert (voice > 0.5) == is_sung, (second, voice)


def test_a_song_is_as_long_as_its_lyrics() -> None:
    """Without `seconds` it has the bars that its lyrics take, within the limit; with `seconds` it ends there."""
    lyrics = "la\n" * 20  # 44 bars with the intro, 88 seconds
    for seconds, most, expected in ((None, 120.0, 88), (None, 40.0, 32), (8.0, 120.0, 8), (None, 10.0, 10)):
        events = made(replaced(JIG, seconds=seconds, max_seconds=most, lyrics=lyrics, format="pcm"))
        last = [event for event in events if isinstance(event, MusicProgress)][-2]
        assert last.seconds == expected


def test_an_unknown_voice_is_refused() -> None:
    """It is refused before any work."""
    with pytest.raises(InvalidRequest) as refused:
        made(replaced(JIG, lyrics=SONG, voice="nobody"))
    assert refused.value.param == "voice"


def test_an_intro_sounds_before_anything_is_sung() -> None:
    """The bars before the first phrase are played before the singer begins."""
    singer = ToneSinger()
    events = MusicGenerator(plan_of, FixedComposer(), singer).make(
        ActiveRequest(1, replaced(JIG, seconds=24.0, lyrics=SONG), 99)
    )
    heard = [event for event in itertools.takewhile(lambda _: not singer.n_sung, events) if event is not None]
    assert len(stereo(heard)) == (INTRO_BARS - 1) * 2 * RATE


@pytest.mark.parametrize("field", ["key", "keyscale"])
def test_an_unknown_key_is_refused_by_the_callers_name(field: str) -> None:
    """The error names the field as the caller calls it."""
    with pytest.raises(InvalidRequest, match="no key of H") as refused:
        made(replaced(JIG, key="H", key_field=field))
    assert refused.value.param == field


def test_work_stops_with_the_caller() -> None:
    """A closed generator closes the composer and the singer, who have done no more than was asked for."""
    composer, singer = FixedComposer(), ToneSinger()
    song = replaced(JIG, seconds=60.0, lyrics=SONG)
    events = MusicGenerator(plan_of, composer, singer).make(ActiveRequest(1, song, 99))
    while singer.n_sung < 2:
        next(events)
    events.close()  # type: ignore[attr-defined]
    assert (composer.is_closed, singer.is_closed, singer.n_sung, composer.composed) == (True, True, 2, 8)


def test_requests_take_turns_and_a_canceled_one_stops() -> None:
    """A later short request ends before a long one; the long one, canceled, emits nothing more."""
    engine = RoundRobinEngine(LoadedModel("tunes", "none"), MusicRequest, GeneratorWork(generator().make))
    received: list[tuple[int, Event]] = []

    def receive(events: Sequence[tuple[int, Event]]) -> None:
        received.extend(events)
        kinds = [(id, type(event)) for id, event in received]
        if kinds[-1] == (1, AudioChunk) and (2, Admitted) not in kinds:
            engine.open(2, JIG, 99)
        if (2, Done) in kinds:
            engine.cancel(1)
            engine.close()

    engine.open(1, replaced(JIG, seconds=120.0), 9999)
    worker = threading.Thread(target=engine.run, args=(receive,))
    worker.start()
    worker.join(60)
    assert not worker.is_alive()
    assert (2, Done) in [(id, type(event)) for id, event in received]
    assert not [event for id, event in received if id == 1 and isinstance(event, Done | Failed)]


@pytest.mark.parametrize(
    ("key", "name"),
    [(Key(10, "major"), "Bb major"), (Key(1, "minor"), "C# minor"), (Key(3, "mixolydian"), "Eb mixolydian")],
)
def test_keys_are_written_as_musicians_write_them(key: Key, name: str) -> None:
    """Major keys with flats have flats, minor ones with sharps sharps."""
    assert key_name(key) == name
