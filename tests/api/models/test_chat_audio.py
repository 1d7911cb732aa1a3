"""What the list of models says of models that hear and speak in chats."""

from pathlib import Path
from typing import Any

import msgspec
import pytest

from homeport.domain.models import Alias, InstalledModel
from tests.api.asgi import call
from tests.api.chat.audio_fakes import AudioApp
from tests.api.fakes import FakeRegistry, installed

WHISPER, KOKORO = installed("whisper-base", ("transcriptions",)), installed("kokoro-82m", ("speech",))
ALIASES = [Alias("whisper-1", "whisper-base"), Alias("tts-1", "kokoro-82m"), Alias("gpt-4o", "tiny")]


async def audio_of(name: str, *models: InstalledModel) -> Any:
    """Return the field `audio` of a model among these; None if it is absent."""
    app = AudioApp(registry=FakeRegistry(models, ALIASES)).app
    entry = (await call(app, "GET", f"/v1/models/{name}")).json
    listed = {each["id"]: each for each in (await call(app, "GET", "/v1/models")).json["data"]}
    assert listed[name] == entry
    return entry.get("audio")


@pytest.mark.parametrize("name", ["tiny", "gpt-4o"])
async def test_chats_name_the_models_through_which_they_hear_and_speak(name: str) -> None:
    """A model that chats has both, also under an alias."""
    assert await audio_of(name, installed("tiny"), WHISPER, KOKORO) == {"input": "whisper-base", "output": "kokoro-82m"}


async def test_a_model_that_hears_names_itself() -> None:
    """Its own ears come before those of the transcription model."""
    ears = installed("ears", ("chat", "audio_input"))
    assert await audio_of("ears", ears, installed("tiny"), WHISPER) == {"input": "ears"}


async def test_what_is_not_installed_is_not_named() -> None:
    """Without the other models a chat neither hears nor speaks, and models that do not chat have no such field."""
    assert await audio_of("tiny", installed("tiny"), KOKORO) == {"output": "kokoro-82m"}
    assert await audio_of("tiny", installed("tiny")) is None
    assert await audio_of("kokoro-82m", installed("tiny"), WHISPER, KOKORO) is None


async def test_a_model_that_speaks_lists_its_voices() -> None:
    """The voices are those of its files, in order; models that do not speak have no such field."""
    files = {"weights": Path("w"), "voice/zm_yunxi": Path("z"), "voice/af_heart": Path("a")}
    app = AudioApp(registry=FakeRegistry([msgspec.structs.replace(KOKORO, files=files), WHISPER], ALIASES)).app
    assert (await call(app, "GET", "/v1/models/kokoro-82m")).json["voices"] == ["af_heart", "zm_yunxi"]
    assert "voices" not in (await call(app, "GET", "/v1/models/whisper-base")).json
