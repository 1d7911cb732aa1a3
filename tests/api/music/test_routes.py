"""Music in process: engine requests, files as bytes, as events and as JSON, and refusals by field."""

import base64
import json
from typing import Any

import pytest

from homeport.api.application import build_application
from homeport.api.in_process_dispatcher import InProcessDispatcher
from homeport.api.metrics import Metrics
from homeport.api.music.render import media_type
from homeport.api.services import Limits
from homeport.domain.errors import EngineFailed, InvalidRequest, ModelNotFound
from homeport.domain.events import Admitted, AudioChunk, Done, MusicFinished, MusicProgress, Usage
from homeport.domain.keys import LOCAL_PROJECT
from homeport.domain.music import MUSIC_FORMATS, MusicRequest
from tests.api.asgi import AsgiResponse, call
from tests.api.fakes import FakeRegistry, FakeServing, Script, installed, services

FIRST = MusicFinished(0, 12.5, 7, "jig", "D major", 110.0, "6/8")
PLAYED: Script = [
    [Admitted(0)],
    [MusicProgress(0, 1, 0.0, 12.0), AudioChunk(b"abc")],
    [AudioChunk(b"de"), AudioChunk(b"f")],
    [FIRST],
    [Done(Usage(0, 500))],
]
TWO: Script = [
    *PLAYED[:-1],
    [AudioChunk(b"xyz")],
    [MusicFinished(1, 10.0, 8, "reel", "G major", 100.0, "4/4")],
    PLAYED[-1],
]
PIECE = {"seed": 7, "genre": "jig", "key": "D major", "bpm": 110.0, "time_signature": "6/8"}
SONG = "Row, row, row your boat\nGently down the stream"


async def post(
    serving: FakeServing | None = None,
    path: str = "/v1/audio/music",
    plain: dict[str, Any] | None = None,
    **changes: Any,
) -> AsgiResponse:
    """Send the plain body with some fields changed; `...` omits a field."""
    body = {**(plain or {"model": "tunes", "prompt": "a jig"}), **changes}
    registry = FakeRegistry(
        [installed("homeport-tunes", ("music",)), installed("tunes", ("music",)), installed("tiny")]
    )
    serving = serving or FakeServing(lambda _: PLAYED)
    app = build_application(services(serving, registry=registry, limits=Limits(music_s=120.0)))
    given = {key: value for key, value in body.items() if value is not ...}
    return await call(app, "POST", path, json.dumps(given).encode())


async def post_sound(serving: FakeServing | None = None, **changes: Any) -> AsgiResponse:
    """Send LocalAI's plain body with some fields changed."""
    return await post(serving, "/v1/sound-generation", {"text": "a jig"}, **changes)


async def sent_request(**changes: Any) -> MusicRequest:
    """Return the engine request that a body becomes."""
    serving = FakeServing(lambda _: PLAYED)
    response = await post(serving, **changes)
    assert response.status == 200, response.body
    ((_, request),) = serving.requests
    assert isinstance(request, MusicRequest)
    return request


def events(response: AsgiResponse) -> list[dict[str, Any]]:
    """Decode the events of a stream."""
    return [json.loads(frame.removeprefix("data: ")) for frame in response.body.decode().split("\n\n")[:-1]]


async def test_body_fields_reach_the_engine() -> None:
    """Every field reaches the engine; what is absent is left to the model, but for length, format and number."""
    assert await sent_request(seed=7) == MusicRequest("a jig", 7, 120.0)
    assert await sent_request(
        genre="waltz", lyrics=SONG, seconds=20, bpm=90, key="D minor", voice="nova", seed=3, response_format="opus"
    ) == MusicRequest("a jig", 3, 120.0, 20.0, "waltz", 90.0, "D minor", SONG, "nova", 1, "opus")
    assert (await sent_request(artist="A. N. Other")).prompt == "a jig\nA. N. Other"
    assert await sent_request(seed=7, instrumental=True) == await sent_request(seed=7, lyrics=" \n")
    assert (await sent_request(seed=7, lyrics=SONG, instrumental=False)).lyrics == SONG


async def test_pieces_share_the_servers_limit() -> None:
    """The model may lengthen a song for its lyrics, but all pieces together not beyond the server's limit."""
    assert (await sent_request(lyrics=SONG)).max_seconds == 120.0
    serving = FakeServing(lambda _: TWO)
    await post(serving, n=2, stream_format="json")
    ((_, request),) = serving.requests
    assert isinstance(request, MusicRequest)
    assert (request.max_seconds, request.seconds) == (60.0, None)


async def test_seeds_are_random_and_told() -> None:
    """Without a seed two requests have different ones, and the header names the seed that was used."""
    serving = FakeServing(lambda _: PLAYED)
    told = [(await post(serving)).headers["x-homeport-seed"] for _ in range(2)]
    assert told == [str(request.seed) for _, request in serving.requests if isinstance(request, MusicRequest)]
    assert told[0] != told[1]
    assert (await post(seed=5)).headers["x-homeport-seed"] == "5"


@pytest.mark.parametrize("format", MUSIC_FORMATS)
async def test_a_file_is_sent_as_it_arrives(format: Any) -> None:
    """Each batch of audio is one send, with the format's content type; a header names the model."""
    response = await post(response_format=format)
    assert response.headers["content-type"] == media_type(format)
    assert response.headers["x-homeport-model"] == "tunes"
    assert response.parts == [b"abc", b"def", b""]


async def test_events_carry_progress_sound_and_what_it_is() -> None:
    """`stream_format: sse` sends progress, deltas in base64, and an end for each piece with its facts and length."""
    response = await post(FakeServing(lambda _: TWO), stream_format="sse", n=2)
    assert response.headers["content-type"] == "text/event-stream; charset=utf-8"
    progress, *deltas, first, third, second = events(response)
    assert progress == {"type": "music.progress", "index": 0, "bars": 1, "seconds": 0.0, "total_seconds": 12.0}
    assert {(delta["type"], delta["index"]) for delta in deltas} == {("music.audio.delta", 0)}
    assert b"".join(base64.b64decode(delta["audio"]) for delta in deltas) == b"abcdef"
    usage = {"seconds": 12.5, "type": "duration"}
    assert first == {"type": "music.audio.done", "index": 0, **PIECE, "usage": usage}
    assert (third["index"], base64.b64decode(third["audio"]), second["index"]) == (1, b"xyz", 1)


async def test_json_has_all_pieces() -> None:
    """`stream_format: json` is one answer: each piece's file in base64, what it is, and the length of all."""
    answer = (await post(FakeServing(lambda _: TWO), stream_format="json", n=2, response_format="wav")).json
    first, second = answer["data"]
    assert first == {"b64_json": base64.b64encode(b"abcdef").decode(), "format": "wav", "seconds": 12.5, **PIECE}
    assert (base64.b64decode(second["b64_json"]), second["seed"]) == (b"xyz", 8)
    assert answer["usage"] == {"seconds": 22.5, "type": "duration"}
    assert answer["model"] == "tunes"


async def test_a_model_is_found_without_its_name() -> None:
    """Without `model` the bundled model answers."""
    response = await post(model=...)
    assert (response.status, response.headers["x-homeport-model"]) == (200, "homeport-tunes")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("prompt", ""),
        ("prompt", "  \n"),
        ("prompt", "x" * 4097),
        ("prompt", 7),
        ("genre", "x" * 65),
        ("genre", ""),
        ("artist", "x" * 4097),
        ("lyrics", "la " * 350_000),
        ("lyrics", "啦" * 3_400),
        ("seconds", 0),
        ("seconds", 4.9),
        ("seconds", 36_000),
        ("seconds", "long"),
        ("bpm", 29),
        ("bpm", 301),
        ("key", ""),
        ("key", "x" * 65),
        ("instrumental", "yes"),
        ("instrumental", False),
        ("voice", "nova"),
        ("seed", -1),
        ("seed", 2**32),
        ("n", 0),
        ("n", 2),
        ("n", 5),
        ("response_format", "ogg"),
        ("stream_format", "chunks"),
        ("model", "tiny"),
        ("volume", 11),
    ],
)
async def test_bad_values_are_refused_by_name(field: str, value: Any) -> None:
    """A value out of range, of another type or without effect is a 400 that names its field, before any work."""
    serving = FakeServing(lambda _: PLAYED)
    response = await post(serving, **{field: value})
    assert (response.status, response.error["param"]) == (400, field)
    assert not serving.requests


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"lyrics": SONG, "instrumental": True}, "instrumental"),
        ({"lyrics": SONG, "response_format": "midi"}, "response_format"),
        ({"lyrics": SONG, "voice": ""}, "voice"),
        ({"seconds": 60, "n": 3, "stream_format": "json"}, "n"),
    ],
)
async def test_fields_that_contradict_are_refused(fields: dict[str, Any], param: str) -> None:
    """Lyrics that nobody sings, a voice without a name, and pieces that are too long together are 400s."""
    response = await post(None, **fields)
    assert (response.status, response.error["param"]) == (400, param)


async def test_a_missing_prompt_is_named() -> None:
    """Without a prompt the error names the field."""
    response = await post(prompt=...)
    assert response.status == 400
    assert "prompt" in response.error["message"]


async def test_sound_generation_takes_localais_names() -> None:
    """Its fields become those of music; text and caption are the prompt."""
    serving = FakeServing(lambda _: PLAYED)
    fields = {"caption": "slow", "duration_seconds": 20, "bpm": 80, "keyscale": "Am", "lyrics": SONG, "seed": 1}
    nothing = {"instrumental": False, "language": "", "do_sample": True, "think": False, "model_id": "tunes"}
    assert (await post_sound(serving, **fields, **nothing)).status == 200
    ((model, request),) = serving.requests
    assert model.facts.name == "tunes"
    assert request == MusicRequest("a jig\nslow", 1, 120.0, 20.0, None, 80.0, "Am", SONG, key_field="keyscale")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("text", " "),
        ("duration_seconds", 0),
        ("keyscale", "x" * 65),
        ("caption", "x" * 4097),
        ("bpm", 1),
        ("language", "en"),
        ("vocal_language", "zh"),
        ("timesignature", "3/4"),
        ("prompt_influence", 0.5),
        ("do_sample", False),
        ("think", True),
        ("loop", True),
    ],
)
async def test_sound_generation_names_its_own_fields(field: str, value: Any) -> None:
    """What is wrong or has no effect is a 400 with LocalAI's name of the field."""
    response = await post_sound(**{field: value})
    assert (response.status, response.error["param"]) == (400, field)


@pytest.mark.parametrize("param", ["genre", "key", "voice"])
async def test_what_the_engine_refuses_is_an_ordinary_error(param: str) -> None:
    """An unknown genre, key or voice, which only the engine recognizes, is a 400 before any audio."""
    response = await post(FakeServing(lambda _: [InvalidRequest("No such one.", param=param)]))
    assert (response.status, response.error["param"]) == (400, param)


async def test_sound_that_breaks_off_is_never_ended_cleanly() -> None:
    """An error after the first bytes closes the connection, in a stream of events it is an event, in JSON a 500."""
    broken: Script = [*PLAYED[:2], EngineFailed("It broke.")]
    serving = FakeServing(lambda _: broken)
    with pytest.raises(EngineFailed):
        await post(serving)
    assert serving.streams[0].closed.is_set()
    response = await post(FakeServing(lambda _: broken), stream_format="sse")
    assert b"It broke." in response.body
    assert b"music.audio.done" not in response.body
    assert (await post(FakeServing(lambda _: broken), stream_format="json")).status == 500


async def test_a_model_that_is_not_there_is_a_404() -> None:
    """An unknown model is refused before anything else is checked."""
    response = await post(model="nobody", seconds=0)
    assert (response.status, response.error["code"]) == (404, ModelNotFound.default_code)


async def test_a_line_of_a_batch_is_json() -> None:
    """In a batch the answer is JSON without asking, and bytes or events are refused by name."""
    registry = FakeRegistry([installed("tunes", ("music",))])
    app = build_application(services(FakeServing(lambda _: PLAYED), registry=registry))
    dispatch = InProcessDispatcher(app, lambda: "localhost:8080")
    body = {"model": "tunes", "prompt": "a jig"}
    response = await dispatch(LOCAL_PROJECT, "", "/v1/audio/music", json.dumps(body).encode())
    assert response.status == 200, response.body
    assert json.loads(response.body)["data"][0]["genre"] == "jig"
    for stream_format in ("audio", "sse"):
        body["stream_format"] = stream_format
        response = await dispatch(LOCAL_PROJECT, "", "/v1/audio/music", json.dumps(body).encode())
        assert (response.status, json.loads(response.body)["error"]["param"]) == (400, "stream_format")


async def test_usage_counts_tokens_for_the_keys_limits() -> None:
    """The tokens of the music, 40 a second, are counted in the metrics under the endpoint's name."""
    metrics = Metrics()
    registry = FakeRegistry([installed("homeport-tunes", ("music",))])
    app = build_application(services(FakeServing(lambda _: PLAYED), registry=registry, metrics=metrics))
    assert (await call(app, "POST", "/v1/audio/music", b'{"prompt": "a jig"}')).status == 200
    page = metrics.render().decode()
    assert 'vllm:generation_tokens_total{model_name="homeport-tunes"} 500.0' in page
