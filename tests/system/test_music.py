"""Music over real HTTP with the bundled model: the SDK's raw client, formats, songs, departures, crowds, restarts."""

import base64
import json
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import openai
import pytest

from homeport.domain.music import MUSIC_FORMATS
from homeport.domain.operations import NullProgress
from homeport.models.model_store import ModelStore
from homeport.models.pull import pull
from homeport.models.pull_options import PullOptions
from tests.engines.sniffing import sniff
from tests.system.raw_http import RawConnection
from tests.system.server import HttpAnswer, ServerProcess, running
from tests.system.speech_server import seconds

MODEL, PATH = "homeport-tunes", "/v1/audio/music"
SONG = "Row, row, row your boat\nGently down the stream"


@pytest.fixture(scope="module")
def music_server(
    tmp_path_factory: pytest.TempPathFactory, multilingual_e5: Path, kokoro: Mapping[str, Path]
) -> Iterator[ServerProcess]:
    """A server whose models are the bundled composer, installed offline, and the two that it needs."""
    folder = tmp_path_factory.mktemp("music_server")
    install(folder / "home", multilingual_e5.parent, kokoro["weights"].parent)
    with running(folder / "log", HOME=str(folder / "home")) as started:
        yield started


def install(home: Path, *needed: Path) -> None:
    """Install the composer in a home that shares the folders of the models that it needs."""
    store = ModelStore(home)
    for folder in needed:
        store.folder(folder.name).parent.mkdir(parents=True, exist_ok=True)
        store.folder(folder.name).symlink_to(folder, target_is_directory=True)
    pull(MODEL, store, PullOptions(offline=True), NullProgress())


@pytest.fixture
def client(music_server: ServerProcess) -> Iterator[openai.OpenAI]:
    """The current official client; it does not retry."""
    with openai.OpenAI(base_url=music_server.base, api_key="sk-test", max_retries=0, timeout=300) as made:
        yield made


def body(prompt: str = "a reel", **changes: Any) -> dict[str, Any]:
    """Return a plain request with some fields changed."""
    return {"prompt": prompt, "seconds": 5, "seed": 7, **changes}


def ask(server: ServerProcess, path: str = PATH, **changes: Any) -> HttpAnswer:
    """Send a plain request with some fields changed."""
    return server.call("POST", path, body(**changes))


def piece(server: ServerProcess, **changes: Any) -> dict[str, Any]:
    """Return the only piece of an answer in JSON."""
    answer = ask(server, stream_format="json", **changes)
    assert answer.status == 200, answer.body
    [made] = answer.json()["data"]
    assert isinstance(made, dict)
    return made


def test_the_sdk_gets_each_format(client: openai.OpenAI) -> None:
    """The client's raw method returns files of the requested format, all of the same length; MIDI has notes."""
    lengths = {}
    for format in MUSIC_FORMATS:
        data = client.post("/audio/music", body=body(response_format=format), cast_to=bytes)
        if format == "midi":
            assert data[:4] == b"MThd"
            continue
        assert sniff(data) == format
        lengths[format] = len(data) / 4 / 44_100 if format == "pcm" else seconds(data, format)
    assert max(lengths.values()) - min(lengths.values()) < 0.15, lengths
    assert min(lengths.values()) > 5


def test_the_model_is_listed_with_what_it_does(client: openai.OpenAI) -> None:
    """The list of models has it with its capability, and Jukebox's name says why it is not served."""
    [listed] = [model for model in client.models.list() if model.id == MODEL]
    assert "music" in listed.to_dict()["capabilities"]  # type: ignore[operator]
    with pytest.raises(openai.NotFoundError, match="non-commercial"):
        client.models.retrieve("jukebox")
    with pytest.raises(openai.NotFoundError, match="homeport-tunes"):
        client.post("/audio/music", body=body(model="jukebox"), cast_to=bytes)


def test_words_and_fields_decide_what_it_is(music_server: ServerProcess) -> None:
    """The prompt names genre and mood; genre, key and tempo take precedence; the length follows the seconds."""
    waltz = piece(music_server, prompt="a slow, sad waltz")
    assert (waltz["time_signature"], waltz["key"].endswith("minor")) == ("3/4", True)
    jig = piece(music_server, prompt="a slow, sad waltz", genre="jig", key="G major", bpm=112)
    assert (jig["genre"], jig["key"], jig["bpm"], jig["time_signature"]) == ("jig", "G major", 112.0, "6/8")
    assert piece(music_server, prompt="the cat sleeps in the sun")["genre"]
    assert 24 < piece(music_server, seconds=30)["seconds"] < 45


def test_events_hold_the_same_file(client: openai.OpenAI) -> None:
    """The SDK reads progress, audio in base64 and the end of each piece, which together are the same file."""
    whole = client.post("/audio/music", body=body(), cast_to=bytes)
    streamed = client.post("/audio/music", body=body(stream_format="sse", n=2), cast_to=bytes).decode()
    events = [json.loads(line.removeprefix("data: ")) for line in streamed.splitlines() if line.startswith("data: ")]
    kinds = [event["type"] for event in events]
    assert kinds[:2] == ["music.progress", "music.audio.delta"]
    assert [event["seed"] for event in events if event["type"] == "music.audio.done"] == [7, 8]
    deltas = [event for event in events if event["type"] == "music.audio.delta" and event["index"] == 0]
    assert b"".join(base64.b64decode(event["audio"]) for event in deltas) == whole


def test_lyrics_are_sung(music_server: ServerProcess) -> None:
    """A song differs by its voice and is repeatable; long lyrics lengthen it; an unknown voice is a 400."""
    alone = ask(music_server, lyrics=SONG, seconds=20).body
    assert ask(music_server, lyrics=SONG, seconds=20).body == alone
    assert ask(music_server, lyrics=SONG, seconds=20, voice="onyx").body != alone
    assert piece(music_server, lyrics="\n".join([SONG] * 6), seconds=None)["seconds"] > 60
    refused = ask(music_server, lyrics=SONG, voice="nobody")
    assert (refused.status, refused.error["param"]) == (400, "voice")


@pytest.mark.parametrize(
    ("changes", "param", "said"),
    [
        ({"seconds": 0}, "seconds", "minimum"),
        ({"seconds": 36_000}, "seconds", "maximum"),
        ({"lyrics": "la " * 350_000}, "lyrics", "10000"),
        ({"genre": "walz"}, "genre", "waltz"),
        ({"key": "H major"}, "key", "major"),
        ({"prompt": ""}, "prompt", "empty"),
        ({"instrumental": True, "lyrics": SONG}, "instrumental", "lyrics"),
    ],
)
def test_bad_input_is_refused_by_name(
    music_server: ServerProcess, changes: dict[str, Any], param: str, said: str
) -> None:
    """No seconds, ten hours, a megabyte of lyrics, and unknown names are 400s that say what would do."""
    answer = ask(music_server, **changes)
    assert (answer.status, answer.error["param"]) == (400, param)
    assert said in answer.error["message"]


def test_sound_generation_is_the_same_music(music_server: ServerProcess) -> None:
    """LocalAI's names give the same bytes, and an unknown key has LocalAI's name of the field."""
    made = music_server.call("POST", "/v1/sound-generation", {"text": "a reel", "duration_seconds": 5, "seed": 7})
    assert made.body == ask(music_server).body
    refused = music_server.call("POST", "/v1/sound-generation", {"text": "a reel", "keyscale": "H"})
    assert (refused.status, refused.error["param"]) == (400, "keyscale")


def test_a_caller_that_leaves_frees_the_worker(music_server: ServerProcess) -> None:
    """A disconnect during long music stops its work within one bar, in either kind of stream."""
    for stream_format in ("audio", "sse"):
        line = RawConnection(music_server, PATH, body(seconds=500, stream_format=stream_format))
        assert line.status() == 200
        assert line.line()
        line.hang_up()
        music_server.wait("idle after the hang-up", music_server.is_idle, 30)


def test_two_at_once_are_as_alone(music_server: ServerProcess) -> None:
    """Parallel requests each get the same bytes as alone, a song among them."""
    wanted: list[dict[str, Any]] = [{"seed": 1}, {"prompt": "a waltz"}, {"lyrics": SONG, "seconds": 12}]
    alone = [ask(music_server, **changes).body for changes in wanted]
    with ThreadPoolExecutor(3) as pool:
        together = list(pool.map(lambda changes: ask(music_server, **changes).body, wanted))
    assert together == alone
    assert len(set(alone)) == 3


def test_a_restarted_worker_composes_the_same(music_server: ServerProcess) -> None:
    """After its worker was killed, the next request works, and the same seed is still the same bytes."""
    before = ask(music_server).body
    for worker in music_server.workers():
        worker.kill()
    music_server.wait("an answer again", lambda: ask(music_server).status == 200, 60)
    assert ask(music_server).body == before
    assert music_server.gauge("vllm:generation_tokens_total") > 200
