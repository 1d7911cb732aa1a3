"""OpenAI's names: listed ones, whole families of them, and the user's own."""

import typing

import pytest
from openai.types import AudioModel, EmbeddingModel, ImageModel, ModerationModel
from openai.types.shared.chat_model import ChatModel
from openai.types.shared.responses_model import ResponsesModel

from homeport.models.aliases import Aliases, Override, built_in

DEFAULTS = {
    "text": "chatter",
    "images": "painter",
    "transcription": "listener",
    "speech": "speaker",
    "embeddings": "embedder",
    "moderation": "judge",
}


def _literals(kind: object) -> set[str]:
    inside = typing.get_args(kind)
    return {each for each in inside if isinstance(each, str)} | {
        name for each in inside if not isinstance(each, str) for name in _literals(each)
    }


def _targets(kind: object) -> dict[str, str | None]:
    aliases = Aliases(DEFAULTS, {})
    return {name: (found.target if (found := aliases.find(name)) else None) for name in _literals(kind)}


@pytest.mark.parametrize(
    ("kind", "target"),
    [
        (ChatModel, "chatter"),
        (ResponsesModel, "chatter"),
        (ImageModel, "painter"),
        (AudioModel, "listener"),
        (EmbeddingModel, "embedder"),
        (ModerationModel, "judge"),
    ],
)
def test_every_name_in_the_clients_types_resolves_to_its_kind(kind: object, target: str) -> None:
    """Every model name that openai-python knows resolves to a model of its kind."""
    found = _targets(kind)
    assert len(found) >= 3
    assert {name: given for name, given in found.items() if given != target} == {}


@pytest.mark.parametrize(
    ("name", "target", "encoding"),
    [
        ("gpt-6.2-sol", "chatter", "o200k_base"),
        ("gpt-9000", "chatter", "o200k_base"),
        ("gpt-6", "chatter", "o200k_base"),
        ("gpt-5.1-codex-max", "chatter", "o200k_base"),
        ("gpt-5.6-luna", "chatter", "o200k_base"),
        ("o1-pro", "chatter", "o200k_base"),
        ("o3-pro-2025-06-10", "chatter", "o200k_base"),
        ("gpt-4o-mini-search-preview", "chatter", "o200k_base"),
        ("o9-mini", "chatter", "o200k_base"),
        ("codex-mini-latest", "chatter", "o200k_base"),
        ("chatgpt-5-latest", "chatter", "o200k_base"),
        ("gpt-4.5-preview", "chatter", "o200k_base"),
        ("gpt-4-9999", "chatter", "cl100k_base"),
        ("gpt-35-turbo", "chatter", "cl100k_base"),
        ("gpt-35-turbo-16k", "chatter", "cl100k_base"),
        ("gpt-3.5-turbo-instruct-9999", "chatter", "cl100k_base"),
        ("gpt-4o-audio-preview", "chatter", "o200k_base"),
        ("claude-opus-4-8", "chatter", None),
        ("claude-3-5-haiku-latest", "chatter", None),
        ("gpt-image-3", "painter", None),
        ("chatgpt-image-2", "painter", None),
        ("gpt-4o-transcribe-diarize", "listener", None),
        ("gpt-6-mini-tts", "speaker", None),
        ("tts-2", "speaker", None),
        ("text-embedding-4-large", "embedder", "cl100k_base"),
        ("omni-moderation-2027-01-01", "judge", None),
    ],
)
def test_a_name_of_a_family_needs_no_entry(name: str, target: str, encoding: str | None) -> None:
    """An unlisted name resolves to its family's kind and uses its family's token ids."""
    assert name not in built_in()
    found = Aliases(DEFAULTS, {}).find(name)
    assert found is not None
    assert (found.name, found.target, found.encoding) == (name, target, encoding)


@pytest.mark.parametrize(
    "name",
    [
        "ft:gpt-4o:acme::1",
        "ft:gpt-3.5-turbo",
        "gpt4",
        "gpt2",
        "gpt-3.5-tubro",
        "gpt-3",
        "gpt-oss-20b",
        "gpt-j-6b",
        "gpt-neox-20b",
        "openai/gpt-4o",
        "gpt-4o/../x",
        "gpt-4o\n",
        "GPT-4O",
        "o",
        "opt-125m",
        "orca-mini",
        "olmo-2",
        "whisper-large-v3",
        "text-embedding-v4",
        "dall-e-mini",
        "text-davinci-004",
        "codex",
        "claude",
        "claude_4",
        "anthropic/claude-4",
        "gpt-" + "4" * 200,
        "",
    ],
)
def test_other_names_do_not_resolve(name: str) -> None:
    """Fine-tuned models, open weights and other makers' names never resolve to something else."""
    aliases = Aliases(DEFAULTS, {})
    assert (aliases.find(name), aliases.kind(name)) == (None, None)


@pytest.mark.parametrize(
    ("name", "kind"), [("gpt-realtime-mini", "realtime"), ("gpt-4o-realtime-preview", "realtime"), ("sora-2", "video")]
)
def test_a_kind_that_nothing_serves_is_known(name: str, kind: str) -> None:
    """Such a name is not a chat model's, so that the error for a chat is the right one."""
    aliases = Aliases(DEFAULTS, {})
    assert (aliases.find(name), aliases.kind(name)) == (None, kind)


@pytest.mark.parametrize(
    ("override", "target", "encoding"),
    [("mine", "mine", "o200k_base"), ({"target": "mine", "encoding": "cl100k_base"}, "mine", "cl100k_base")],
)
def test_the_users_own_win_over_a_family(override: Override, target: str, encoding: str) -> None:
    """A user's alias resolves to its target, and keeps its family's token ids unless others are set."""
    aliases = Aliases(DEFAULTS, {"gpt-6.2-sol": override})
    found = aliases.find("gpt-6.2-sol")
    assert found is not None
    assert (found.target, found.encoding, found.is_common) == (target, encoding, True)
    assert found in list(aliases)


def test_a_name_that_the_user_removes_is_gone() -> None:
    """A name of a family can be removed like a listed one."""
    aliases = Aliases(DEFAULTS, {"gpt-6.2-sol": None})
    assert aliases.find("gpt-6.2-sol") is None
    assert aliases.find("gpt-6.1-sol") is not None


def test_the_common_names_are_few_of_the_listed() -> None:
    """The names that applications look for are marked; every served kind has one."""
    common = [alias for alias in Aliases(DEFAULTS, {}) if alias.is_common]
    assert 10 <= len(common) <= 16
    assert {alias.target for alias in common} == set(DEFAULTS.values())
