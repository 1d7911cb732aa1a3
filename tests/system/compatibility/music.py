"""For every served field of the music endpoints: a value that changes the music, and the change to check."""

from collections.abc import Mapping

from tests.engines.sniffing import sniff
from tests.system.compatibility.field_trials import Effect, EndpointTrial, Probes
from tests.system.server import HttpAnswer

MODEL = "homeport-tunes"
LINE = "Gently down the stream"


def _made(trial: EndpointTrial, **changed: object) -> HttpAnswer:
    answer = trial.raw(**changed)
    assert answer.status == 200, answer.body
    return answer


def _piece(trial: EndpointTrial, **changed: object) -> dict[str, object]:
    """Return the facts of the first piece."""
    piece: dict[str, object] = _made(trial, **changed).json()["data"][0]
    return piece


def _sound(trial: EndpointTrial, **changed: object) -> str:
    return str(_piece(trial, **changed)["b64_json"])


def _model(field: str) -> Effect:
    def effect(trial: EndpointTrial) -> None:
        assert _made(trial, **{field: MODEL}).headers["x-homeport-model"] == MODEL
        answer = trial.raw(**{field: "jukebox"})
        assert answer.status == 404
        assert "non-commercial" in answer.error["message"]

    return effect


def _prompt(field: str) -> Effect:
    def effect(trial: EndpointTrial) -> None:
        assert _piece(trial, **{field: "a waltz"})["time_signature"] == "3/4"
        assert _piece(trial, **{field: "a jig"})["time_signature"] == "6/8"

    return effect


def _genre(trial: EndpointTrial) -> None:
    assert _piece(trial, genre="waltz")["genre"] == "waltz"
    refused = trial.raw(genre="walz").error
    assert (refused["param"], "waltz" in refused["message"]) == ("genre", True)


def _more_prompt(field: str) -> Effect:
    def effect(trial: EndpointTrial) -> None:
        assert _piece(trial, **{field: "a waltz, please"})["genre"] != _piece(trial)["genre"]

    return effect


def _lyrics(trial: EndpointTrial) -> None:
    assert _sound(trial, lyrics=LINE) != _sound(trial)
    assert trial.raw(lyrics="la " * 4_000).error["param"] == "lyrics"


def _seconds(field: str) -> Effect:
    def effect(trial: EndpointTrial) -> None:
        lengths = [_piece(trial, **{field: seconds})["seconds"] for seconds in (5, 60)]
        assert float(str(lengths[1])) > 2 * float(str(lengths[0]))
        for wrong in (0, 36_000):
            assert trial.raw(**{field: wrong}).error["param"] == field

    return effect


def _bpm(trial: EndpointTrial) -> None:
    assert _piece(trial, bpm=90)["bpm"] == 90
    assert trial.raw(bpm=1000).error["param"] == "bpm"


def _key(field: str) -> Effect:
    def effect(trial: EndpointTrial) -> None:
        assert _piece(trial, **{field: "E minor"})["key"] == "E minor"
        assert trial.raw(**{field: "H major"}).error["param"] == field

    return effect


def _instrumental(trial: EndpointTrial) -> None:
    assert trial.raw(instrumental=True, lyrics=LINE).error["param"] == "instrumental"
    assert trial.raw(instrumental=False).error["param"] == "instrumental"
    assert _sound(trial, instrumental=True) == _sound(trial)


def _voice(trial: EndpointTrial) -> None:
    assert _sound(trial, lyrics=LINE, voice="onyx") != _sound(trial, lyrics=LINE, voice="nova")
    assert trial.raw(lyrics=LINE, voice="nobody").error["param"] == "voice"


def _seed(trial: EndpointTrial) -> None:
    assert _piece(trial, seed=8) == _piece(trial, seed=8) != _piece(trial)
    assert _made(trial, seed=8, stream_format="audio").headers["x-homeport-seed"] == "8"


def _n(trial: EndpointTrial) -> None:
    assert [piece["seed"] for piece in _made(trial, n=2).json()["data"]] == [7, 8]
    assert trial.raw(n=2, stream_format="audio").error["param"] == "n"


def _response_format(trial: EndpointTrial) -> None:
    formats = ("mp3", "opus", "aac", "flac", "wav")
    files = [_made(trial, response_format=each, stream_format="audio").body for each in formats]
    assert [sniff(each) for each in files] == list(formats)
    assert sniff(_made(trial, response_format=..., stream_format="audio").body) == "mp3"
    assert _made(trial, response_format="midi", stream_format="audio").body[:4] == b"MThd"


def _stream_format(trial: EndpointTrial) -> None:
    events = _made(trial, stream_format="sse")
    assert events.headers["content-type"].startswith("text/event-stream")
    assert b"music.audio.done" in events.body
    assert _made(trial, stream_format=...).headers["content-type"] == "audio/mpeg"


_SHARED: Mapping[str, Effect] = {
    "lyrics": _lyrics,
    "bpm": _bpm,
    "instrumental": _instrumental,
    "seed": _seed,
    "response_format": _response_format,
    "stream_format": _stream_format,
}
_PLAIN = {"seed": 7, "response_format": "mp3", "stream_format": "json"}

PROBES: Mapping[str, Probes] = {
    "music": Probes(
        "/v1/audio/music",
        {"model": MODEL, "prompt": "a reel", "seconds": 5, **_PLAIN},
        {
            **_SHARED,
            "model": _model("model"),
            "prompt": _prompt("prompt"),
            "genre": _genre,
            "artist": _more_prompt("artist"),
            "seconds": _seconds("seconds"),
            "key": _key("key"),
            "voice": _voice,
            "n": _n,
        },
    ),
    "sound_generation": Probes(
        "/v1/sound-generation",
        {"text": "a reel", "duration_seconds": 5, **_PLAIN},
        {
            **_SHARED,
            "text": _prompt("text"),
            "caption": _more_prompt("caption"),
            "model_id": _model("model_id"),
            "model": _model("model"),
            "duration_seconds": _seconds("duration_seconds"),
            "keyscale": _key("keyscale"),
        },
        refused={
            "language": {"language": "en"},
            "vocal_language": {"vocal_language": "zh"},
            "timesignature": {"timesignature": "3/4"},
            "prompt_influence": {"prompt_influence": 0.5},
            "do_sample": {"do_sample": False},
            "think": {"think": True},
        },
    ),
}
