"""The SDK of 2023 (openai==0.28.1, in its own environment) uses every endpoint it knows, on real weights."""

from typing import Any

import pytest

from tests.system.client_programs import run_client
from tests.system.server import ServerProcess


@pytest.fixture(scope="module")
def seen(server: ServerProcess) -> Any:
    """The results of the old client, by scenario."""
    return run_client("sdk_2023", server.base, "smollm2-135m")


def test_models_and_engines_are_listed(seen: Any) -> None:
    """Model.list, Model.retrieve, Engine.list and Engine.retrieve work with 2023's names and fields."""
    assert "text-davinci-003" in seen["models"]
    assert seen["model"]["permission"][0]["allow_sampling"] is True
    assert seen["model"]["root"] == "smollm2-135m"
    assert "davinci" in seen["engines"]
    assert seen["engine"]["object"] == "engine"
    assert seen["engine"]["ready"] is True


def test_completions_work_by_model_and_by_engine(seen: Any) -> None:
    """`model=` and `engine=` give the same text; without max_tokens it is 16 tokens at most."""
    assert seen["complete"]["choices"][0]["text"] == seen["by_engine"]["choices"][0]["text"]
    assert seen["defaults"]["usage"]["completion_tokens"] <= 16
    assert seen["shapes"] == [2, 4, 2, 4]


def test_every_parameter_of_2023_is_taken(seen: Any) -> None:
    """All completion parameters together give n choices with the legacy logprobs."""
    answer = seen["parameters"]
    assert len(answer["choices"]) == 2
    for choice in answer["choices"]:
        scores = choice["logprobs"]
        assert "".join(scores["tokens"]).startswith(choice["text"])
        assert scores["token_logprobs"][0] is None
        assert len(scores["tokens"]) == len(scores["text_offset"]) == len(scores["top_logprobs"])
    assert answer["usage"]["completion_tokens"] <= 18


def test_streams_are_the_whole_answer(seen: Any) -> None:
    """The joined pieces of a stream are the unstreamed text, in chat too."""
    assert seen["streamed"] == seen["whole"]
    assert seen["chat_stream"] == seen["chat"]["choices"][0]["message"]["content"]
    assert len(seen["chat"]["choices"]) == 2
    assert seen["chat"]["model"] == "gpt-3.5-turbo"


def test_azures_form_of_the_old_client_is_served(seen: Any) -> None:
    """`api_type=azure` with a deployment in Azure's spelling gets the same answer."""
    assert seen["azure"]["model"] == "gpt-35-turbo"
    assert seen["azure"]["choices"][0]["message"]["content"]


def test_edits_have_the_shape_of_2023(seen: Any) -> None:
    """Edit.create gives `object: edit` with n choices."""
    assert seen["edit"]["object"] == "edit"
    assert [choice["index"] for choice in seen["edit"]["choices"]] == [0, 1]


@pytest.mark.parametrize(
    ("scenario", "param"),
    [("range", "temperature"), ("unknown_field", "no_such_field"), ("best_of_stream", "best_of")],
)
def test_bad_requests_raise_invalid_request_with_the_field(seen: Any, scenario: str, param: str) -> None:
    """The old client raises InvalidRequestError that names the field."""
    assert seen[scenario]["class"] == "InvalidRequestError"
    assert seen[scenario]["param"] == param


def test_unknown_models_and_overflows_have_their_codes(seen: Any) -> None:
    """An unknown model and a prompt over the window carry OpenAI's codes."""
    assert seen["unknown_model"]["code"] == "model_not_found"
    assert seen["overflow"]["code"] == "context_length_exceeded"
