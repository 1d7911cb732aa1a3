"""The engine of ACE-Step on a tiny random pipeline: the real library, whose music is noise; for `make music-test`."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import psutil
import pytest

from homeport.domain.content import attach
from homeport.domain.errors import InvalidRequest, Unavailable
from homeport.domain.events import Admitted, AudioChunk, Done, Event, MusicFinished, MusicProgress
from homeport.domain.music import MUSIC_FORMATS, MusicFormat, MusicRequest
from homeport.domain.worker_messages import EngineSpec
from homeport.engines.music.diffusion.engine import DiffusionMusic, link_files, load
from homeport.engines.round_robin import ActiveRequest
from tests.conftest import NewChildren
from tests.engines.music.diffusion import tiny_pipeline
from tests.engines.sniffing import sniff

pytest.importorskip("diffusers", reason="the extra `music` is not installed")
pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning")  # diffusers uses functions that PyTorch will remove
STEPS = 8
SONG = MusicRequest("a song", 7, 60.0, seconds=5.0, format="pcm", lyrics="la la la")


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Path]:
    """The tiny pipeline's files by role."""
    return tiny_pipeline.make(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="module")
def music(files: Mapping[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[DiffusionMusic]:
    """The loaded model."""
    folder = tmp_path_factory.mktemp("linked")
    link_files(files, folder)
    model = DiffusionMusic(folder, 1)
    yield model
    model.close()


def begin(music: DiffusionMusic, request: MusicRequest) -> Iterator[Event | None]:
    """Begin a request."""
    return music.make(ActiveRequest(1, request, 99))


def events_of(music: DiffusionMusic, request: MusicRequest) -> list[Event]:
    """Return all events of one request."""
    return [event for event in begin(music, request) if event is not None]


def data_of(events: list[Event]) -> bytes:
    """Join the audio of events."""
    return b"".join(event.data for event in events if isinstance(event, AudioChunk))


def changed(**fields: object) -> MusicRequest:
    """Return the song with other fields."""
    values = {name: getattr(SONG, name) for name in SONG.__struct_fields__}
    return MusicRequest(**{**values, **fields})


def test_a_song_is_reported_step_by_step(music: DiffusionMusic) -> None:
    """All steps are reported, then the recording has the requested length and says what it is."""
    events = events_of(music, SONG)
    assert isinstance(events[0], Admitted)
    steps = [(event.step, event.steps) for event in events if isinstance(event, MusicProgress)]
    assert steps == [(step, STEPS) for step in range(1, STEPS + 1)]
    samples = np.frombuffer(data_of(events), "<i2").reshape(-1, 2)
    assert len(samples) == 5 * tiny_pipeline.RATE
    assert np.abs(samples).max() > 0
    assert events[-2] == MusicFinished(0, 5.0, 7, None, None, None, None)
    done = events[-1]
    assert isinstance(done, Done)
    assert done.usage.completion_tokens == 200


def test_the_seed_and_each_field_change_the_music(music: DiffusionMusic) -> None:
    """The same request gives the same bytes; another seed, prompt, genre, tempo, key or lyrics other ones."""
    first = data_of(events_of(music, SONG))
    assert data_of(events_of(music, SONG)) == first
    others: list[dict[str, object]] = [
        {"seed": 8},
        {"prompt": "x"},
        {"genre": "jazz"},
        {"bpm": 90.0},
        {"key": "D minor"},
        {"lyrics": ""},
    ]
    results = [data_of(events_of(music, changed(**other))) for other in others]
    assert len({first, *results}) == len(others) + 1


def test_pieces_follow_each_other(music: DiffusionMusic) -> None:
    """Two pieces have two seeds and two ends."""
    finished = [event for event in events_of(music, changed(n=2)) if isinstance(event, MusicFinished)]
    assert [(event.index, event.seed) for event in finished] == [(0, 7), (1, 8)]


@pytest.mark.parametrize("format", [each for each in MUSIC_FORMATS if each != "midi"])
def test_all_formats_of_sound(music: DiffusionMusic, format: MusicFormat) -> None:
    """Each format of sound is what it is called."""
    assert sniff(data_of(events_of(music, changed(format=format)))) in (format, "pcm")


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"format": "midi"}, "response_format"),
        ({"voice": "nova"}, "voice"),
        ({"key": "H"}, "key"),
        ({"key": "H", "key_field": "keyscale"}, "keyscale"),
        ({"lyrics": "la " * 1000}, "lyrics"),
        ({"prompt": "x" * 500}, "prompt"),
    ],
)
def test_what_it_cannot_do_is_refused_by_name(music: DiffusionMusic, fields: dict[str, object], param: str) -> None:
    """Notes, voices, unknown keys, and texts longer than it reads are errors that name the field."""
    with pytest.raises(InvalidRequest) as error:
        events_of(music, changed(**fields))
    assert error.value.info.param == param


def test_a_canceled_song_stops_at_its_next_step(music: DiffusionMusic) -> None:
    """A closed request interrupts the process, which keeps its model and generates the next one."""
    running = begin(music, changed(seconds=60.0))
    next(event for event in running if isinstance(event, MusicProgress))
    running.close()  # type: ignore[attr-defined]
    assert data_of(events_of(music, SONG)) == data_of(events_of(music, SONG))


def test_two_at_once_wait_for_each_other(music: DiffusionMusic) -> None:
    """While one recording is generated, the other request yields nothing but its admission; then it has its turn."""
    first, second = begin(music, SONG), begin(music, changed(seed=9))
    next(event for event in first if isinstance(event, MusicProgress))
    assert isinstance(next(second), Admitted)
    assert next(second) is None
    assert isinstance([event for event in first if event is not None][-1], Done)
    assert isinstance([event for event in second if event is not None][-1], Done)


def test_a_killed_process_fails_its_request_and_is_started_again(
    files: Mapping[str, Path], tmp_path: Path, new_children: NewChildren
) -> None:
    """If the process is killed, the request fails, and the next one has a new process."""
    link_files(files, tmp_path)
    music = DiffusionMusic(tmp_path, 1)
    running = begin(music, SONG)
    next(event for event in running if isinstance(event, MusicProgress))
    for child in new_children():
        psutil.Process(child.pid).kill()
    with pytest.raises(Exception, match="worker process ended"):
        list(running)
    assert isinstance(events_of(music, SONG)[-1], Done)
    music.close()
    assert new_children() == []


def test_files_that_cannot_be_loaded_say_so(files: Mapping[str, Path]) -> None:
    """A pipeline that lacks a part is Unavailable with the library's reason; so is one without an index."""
    broken = {role: path for role, path in files.items() if "vae" not in role}
    with pytest.raises(Unavailable, match="diffusers cannot load the model"):
        load(EngineSpec("music-diffusion", "tiny", attach(broken), "d", {"threads": 1}))
    with pytest.raises(Unavailable, match=r"model_index\.json"):
        load(EngineSpec("music-diffusion", "tiny", {}, "d", {}))


def test_no_file_is_put_outside_the_folder(tmp_path: Path) -> None:
    """A path that leaves the folder is refused."""
    (tmp_path / "folder").mkdir()
    roles = {"pipeline/model_index.json": tmp_path, "pipeline/../evil.json": tmp_path}
    with pytest.raises(Unavailable, match="cannot be used"):
        link_files(roles, tmp_path / "folder")
