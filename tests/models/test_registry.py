from pathlib import Path

import pytest

from homeport.domain.errors import InvalidRequest, ModelNotFound
from homeport.domain.models import ModelFacts
from homeport.domain.operations import NullProgress
from homeport.models import catalogue
from homeport.models.manifest import Manifest, StoredFile
from homeport.models.model_store import ModelStore
from homeport.models.pull import pull
from homeport.models.pull_options import PullOptions
from homeport.models.registry import InstalledModelRegistry

QWEN, SMALL = "qwen2.5-coder-0.5b", "smollm2-135m"


TEXT = ("chat", "completions", "edits")


def put(store: ModelStore, name: str, capabilities: tuple[str, ...] = TEXT, kind: str = "text") -> None:
    folder = store.folder(name)
    folder.mkdir(parents=True)
    (folder / "w.gguf").write_bytes(b"w")
    facts = ModelFacts(name, kind, kind, capabilities=capabilities)
    store.commit(Manifest(facts, "here", None, (StoredFile("w.gguf", "weights", 1, "0" * 64),)))


@pytest.fixture
def registry(store: ModelStore) -> InstalledModelRegistry:
    put(store, QWEN)
    return InstalledModelRegistry(store, catalogue.built_in())


@pytest.mark.parametrize(
    ("name", "encoding"),
    [
        ("davinci", "r50k_base"),
        ("ada", "r50k_base"),
        ("text-davinci-001", "r50k_base"),
        ("text-davinci-003", "p50k_base"),
        ("code-davinci-002", "p50k_base"),
        ("text-davinci-edit-001", "p50k_edit"),
        ("gpt-3.5-turbo", "cl100k_base"),
        ("gpt-4", "cl100k_base"),
        ("gpt-4o-mini", "o200k_base"),
        ("gpt-4.1", "o200k_base"),
    ],
)
def test_openai_names_resolve_to_the_default_with_their_encoding(
    registry: InstalledModelRegistry, name: str, encoding: str
) -> None:
    """A name of OpenAI's resolves to the default model and uses the token ids of its own encoding."""
    found = registry.resolve(name, "completions")
    assert (found.requested_name, found.model.facts.name, found.encoding) == (name, QWEN, encoding)


def test_a_name_of_a_family_resolves_to_the_default(registry: InstalledModelRegistry) -> None:
    """A new name of OpenAI's resolves to the default model, with the requested name; another kind is an error."""
    found = registry.resolve("gpt-6.2-sol", "chat")
    assert (found.requested_name, found.served_model.facts.name, found.encoding) == ("gpt-6.2-sol", QWEN, "o200k_base")
    assert registry.resolve("gpt-6.2-sol", "").served_model.facts.name == QWEN
    for name, kind in (("gpt-4o-mini-transcribe-2030", "transcription"), ("gpt-realtime-2", "realtime")):
        with pytest.raises(InvalidRequest, match=f"is for {kind}; it cannot be used for chat"):
            registry.resolve(name, "chat")
    with pytest.raises(InvalidRequest, match=rf"`gpt-6.2-sol` \(here: `{QWEN}`\) cannot be used for embeddings"):
        registry.resolve("gpt-6.2-sol", "embeddings")


def test_an_installed_model_precedes_a_family(store: ModelStore) -> None:
    """An installed model with a name of OpenAI's takes precedence."""
    put(store, QWEN)
    put(store, "gpt-6-nano")
    found = InstalledModelRegistry(store, catalogue.built_in()).resolve("gpt-6-nano", "chat")
    assert (found.served_model.facts.name, found.encoding) == ("gpt-6-nano", None)


def test_models_that_chat_come_first_and_the_default_before_all(store: ModelStore) -> None:
    """An application that uses the first model gets one that chats; other kinds come later."""
    put(store, "a-painter", ("images",), "images")
    put(store, "b-plain", ("completions",))
    put(store, "c-chatter")
    put(store, "d-embedder", ("embeddings",), "embeddings")
    put(store, "e-embedder", ("embeddings",), "embeddings")
    put(store, "z-chatter")
    registry = InstalledModelRegistry(
        store, catalogue.built_in(), defaults={"text": "z-chatter", "embeddings": "e-embedder"}
    )
    names = [model.facts.name for model in registry.models()]
    assert names == ["z-chatter", "c-chatter", "b-plain", "e-embedder", "d-embedder", "a-painter"]


def test_a_recorded_default_is_followed_at_once(store: ModelStore) -> None:
    """OpenAI's text model names and the list follow the recorded model, while it is installed."""
    put(store, QWEN)
    put(store, SMALL)
    recorded: list[str | None] = [None]
    registry = InstalledModelRegistry(store, catalogue.built_in(), recorded=lambda: recorded[0])
    for name, expected in ((None, QWEN), (SMALL, SMALL), ("qwen3-8b", QWEN), (None, QWEN)):
        recorded[0] = name
        assert registry.resolve("gpt-4", "chat").model.facts.name == expected
        assert registry.resolve("gpt-6.2-sol", "chat").model.facts.name == expected
        assert registry.models()[0].facts.name == registry.defaults["text"] == expected
        assert {alias.target for alias in registry.aliases()} == {expected}


def test_a_real_name_speaks_the_models_own_ids(registry: InstalledModelRegistry) -> None:
    """Under a real model name there is no other encoding."""
    assert registry.resolve(QWEN, "chat").encoding is None


def test_a_name_longer_than_any_is_not_compared(registry: InstalledModelRegistry) -> None:
    """A name of 19 MB is a 404 at once, and the message has 200 characters of it."""
    with pytest.raises(ModelNotFound) as missing:
        registry.resolve("gpt-4o" + "o" * 19_000_000, "chat")
    assert len(missing.value.message) < 300
    assert "gpt-4oooo" in missing.value.message


def test_an_unknown_name_lists_near_matches(registry: InstalledModelRegistry) -> None:
    """A typo never resolves to another model: it is a 404 that names similar ones."""
    with pytest.raises(ModelNotFound, match=r"`gpt-3\.5-turbo`") as missing:
        registry.resolve("gpt-3.5-trubo", "chat")
    assert (missing.value.code, missing.value.param) == ("model_not_found", "model")
    with pytest.raises(ModelNotFound, match="does not exist") as far:
        registry.resolve("../../etc/passwd", "chat")
    assert "Did you mean" not in far.value.message


@pytest.mark.parametrize("name", ["jukebox", "openai/jukebox-1b-lyrics", "Jukebox-5b"])
def test_an_open_model_that_is_not_served_says_why(registry: InstalledModelRegistry, name: str) -> None:
    """OpenAI's model of music is no model here: the error says why, and what composes instead."""
    with pytest.raises(ModelNotFound, match=r"non-commercial.*homeport pull homeport-tunes"):
        registry.resolve(name, "music")
    with pytest.raises(ModelNotFound, match="does not exist"):
        registry.resolve("my-jukebox", "music")


def test_a_catalogue_model_that_is_not_installed_names_the_command(registry: InstalledModelRegistry) -> None:
    """The error for a model of the catalogue, or an alias of it, has the command that installs it."""
    with pytest.raises(ModelNotFound, match=f"homeport pull {SMALL}"):
        registry.resolve(SMALL, "chat")


def test_an_alias_without_its_model_is_neither_listed_nor_replaced(store: ModelStore) -> None:
    """Without the default model its aliases name the command, although another model is installed."""
    put(store, SMALL)
    registry = InstalledModelRegistry(store, catalogue.built_in())
    assert registry.aliases() == []
    with pytest.raises(ModelNotFound, match=f"homeport pull {QWEN}"):
        registry.resolve("gpt-4", "chat")


def test_the_default_model_can_be_chosen(store: ModelStore) -> None:
    """A configured default model makes OpenAI's names resolve to it."""
    put(store, SMALL)
    registry = InstalledModelRegistry(store, catalogue.built_in(), defaults={"text": SMALL})
    assert registry.resolve("gpt-4", "chat").model.facts.name == SMALL
    assert {alias.target for alias in registry.aliases()} == {SMALL}


@pytest.mark.parametrize("name", ["whisper-1", "text-embedding-ada-002", "dall-e-2", "tts-1", "text-moderation-latest"])
def test_a_name_of_another_kind_says_so(registry: InstalledModelRegistry, name: str) -> None:
    """A name of another kind of model is a 400 on text endpoints and is not listed while nothing serves it."""
    with pytest.raises(InvalidRequest, match="cannot be used for chat") as wrong:
        registry.resolve(name, "chat")
    assert wrong.value.param == "model"
    assert name not in {alias.name for alias in registry.aliases()}


def test_a_capability_that_the_model_lacks_is_said(store: ModelStore) -> None:
    """A model without a chat template is refused for chat with its capabilities, under any of its names."""
    put(store, "plain", ("completions",))
    registry = InstalledModelRegistry(store, catalogue.built_in(), defaults={"text": "plain"})
    for name in ("plain", "gpt-4"):
        with pytest.raises(InvalidRequest, match="it is for completions"):
            registry.resolve(name, "chat")


def test_overrides_add_change_and_remove(store: ModelStore) -> None:
    """The user's aliases override the built-in ones; a bare target keeps the name's encoding."""
    put(store, QWEN)
    put(store, "other")
    overrides = {"gpt-4": "other", "mine": {"target": "other", "encoding": "o200k_base"}, "davinci": None}
    registry = InstalledModelRegistry(store, catalogue.built_in(), overrides=overrides)
    assert (registry.resolve("gpt-4", "chat").model.facts.name, registry.resolve("gpt-4", "chat").encoding) == (
        "other",
        "cl100k_base",
    )
    assert registry.resolve("mine", "chat").encoding == "o200k_base"
    with pytest.raises(ModelNotFound):
        registry.resolve("davinci", "completions")


@pytest.mark.parametrize(
    "override",
    [{"target": "x", "encoding": "utf8"}, {"encoding": "cl100k_base"}, {"target": "x", "colour": "red"}, "ada"],
)
def test_invalid_overrides_are_refused(store: ModelStore, override: dict[str, str | None] | str) -> None:
    """An unknown encoding, a missing target, an unknown field and an alias of an alias are named."""
    with pytest.raises(InvalidRequest, match="gpt-4"):
        InstalledModelRegistry(store, catalogue.built_in(), overrides={"gpt-4": override})


def test_the_real_weights_are_adopted_and_served(smollm2: Path, store: ModelStore) -> None:
    """The starter model's file without a manifest is verified against the catalogue's hash and then resolves."""
    store.folder(SMALL).mkdir(parents=True)
    (store.folder(SMALL) / smollm2.name).symlink_to(smollm2)
    pull(SMALL, store, PullOptions(offline=True), NullProgress())
    facts = InstalledModelRegistry(store, catalogue.built_in()).resolve(SMALL, "edits").model.facts
    assert (facts.window, facts.licence, facts.size_bytes) == (8192, "apache-2.0", 98362432)


@pytest.mark.parametrize("capability", ["images", "image_edits", "image_variations"])
def test_names_of_a_kind_that_has_no_model_say_what_to_install(
    registry: InstalledModelRegistry, capability: str
) -> None:
    """Without an image model, OpenAI's names of image models are a 404 with the command that installs one."""
    with pytest.raises(ModelNotFound, match=r"which is not installed. Run `homeport pull homeport-emoji-128`"):
        registry.resolve("dall-e-2", capability)


CLIPS = ("clip-vit-b-32", "siglip2-base", "xlm-roberta-clip")


def test_clip_stands_for_an_installed_model(store: ModelStore) -> None:
    """`clip` resolves to the first of three models that is installed, from the next request on."""
    registry = InstalledModelRegistry(store, catalogue.built_in())
    for name in reversed(CLIPS):
        put(store, name, ("embeddings", "image_embeddings"), "embeddings")
        assert registry.resolve("clip", "image_embeddings").model.facts.name == name
        assert {alias.name: alias.target for alias in registry.aliases()}["clip"] == name


def test_clip_is_no_other_model(store: ModelStore) -> None:
    """Without one of the three, `clip` is unknown and its pull is named, whatever else embeds images."""
    put(store, "other", ("embeddings", "image_embeddings"), "embeddings")
    registry = InstalledModelRegistry(store, catalogue.built_in())
    with pytest.raises(ModelNotFound, match="homeport pull clip-vit-b-32"):
        registry.resolve("clip", "embeddings")
    assert "clip" not in [alias.name for alias in registry.aliases()]


def test_clip_can_be_set_or_removed(store: ModelStore) -> None:
    """The user's own aliases come first."""
    put(store, "other", ("embeddings", "image_embeddings"), "embeddings")
    chosen = InstalledModelRegistry(store, catalogue.built_in(), overrides={"clip": "other"})
    assert chosen.resolve("clip", "embeddings").model.facts.name == "other"
    removed = InstalledModelRegistry(store, catalogue.built_in(), overrides={"clip": None})
    put(store, CLIPS[0], ("embeddings", "image_embeddings"), "embeddings")
    with pytest.raises(ModelNotFound):
        removed.resolve("clip", "embeddings")
