"""The models that chats join: what a key may not use, it neither hears nor speaks with."""

from typing import Any

import msgspec
import pytest

from homeport.api.access_policy import AccessPolicy
from homeport.domain.keys import Key
from tests.api.asgi import call
from tests.api.chat.audio_fakes import SPOKEN, AudioApp, recording
from tests.api.text_generation.test_limited import LIMITED, OneKey

HEADERS = {"authorization": "Bearer sk-any"}


class RestrictedKey(OneKey):
    """A key cache whose key may use only the text model."""

    def find(self, secret: str) -> Key | None:
        """Return the key for any secret."""
        return msgspec.structs.replace(LIMITED, models=("tiny",))


@pytest.fixture
def app() -> AudioApp:
    """All models are installed; the key may use only one of them."""
    return AudioApp(access=AccessPolicy.from_keys(key_cache=RestrictedKey()))


@pytest.mark.parametrize(
    ("content", "fields", "param"),
    [(recording("x"), {"audio_input": "transcribe"}, "audio_input"), ("Hello", SPOKEN, "modalities")],
    ids=["heard", "spoken"],
)
async def test_a_key_needs_the_permission_for_each_model(
    app: AudioApp, content: Any, fields: dict[str, Any], param: str
) -> None:
    """A model that the key may not use is a 403 that names the field, and no model is asked."""
    response = await app.chat(content, headers=HEADERS, **fields)
    assert (response.status, response.error["param"]) == (403, param)
    assert "does not have access" in response.error["message"]
    assert not app.serving.requests


async def test_the_list_of_models_names_only_what_the_key_may_use(app: AudioApp) -> None:
    """A chat of such a key neither hears nor speaks."""
    [entry] = (await call(app.app, "GET", "/v1/models", headers=HEADERS)).json["data"]
    assert (entry["id"], "audio" in entry) == ("tiny", False)
