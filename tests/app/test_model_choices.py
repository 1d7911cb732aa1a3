"""What can be pulled, what fits, and the default model, over a real home folder."""

from pathlib import Path

import msgspec
import psutil
import pytest

from homeport.app import commands, model_choices
from homeport.app.models import model_registry
from homeport.domain.errors import InvalidRequest, ModelNotFound
from homeport.domain.model_choices import DefaultModel, ModelOffer
from homeport.domain.models import ModelFacts
from homeport.models.manifest import Manifest, StoredFile
from homeport.models.model_store import ModelStore
from homeport.settings import Settings
from tests.samples import photos

STARTER, LARGER = "qwen2.5-coder-0.5b", "qwen2.5-coder-1.5b"
CHAT = ("chat", "completions", "edits")


def put(home: Path, name: str, capabilities: tuple[str, ...] = CHAT, project: str | None = None) -> None:
    store = ModelStore(home)
    store.folder(name).mkdir(parents=True)
    (store.folder(name) / "w.gguf").write_bytes(b"w")
    facts = ModelFacts(name, "text" if "completions" in capabilities else "embeddings", "text", 64, capabilities)
    stored = (StoredFile("w.gguf", "weights", 1, "0" * 64),)
    store.commit(Manifest(facts, "here", None, stored, project=project))


@pytest.fixture
def home(tmp_path: Path) -> Path:
    put(tmp_path, STARTER)
    put(tmp_path, "mine")
    return tmp_path


def test_a_recorded_default_is_followed_by_a_running_server(home: Path) -> None:
    """A registry made before the change resolves OpenAI's names to the new model, and so does one made after it."""
    settings = Settings(home=home)
    running = model_registry(settings)
    assert running.resolve("gpt-4", "chat").model.facts.name == STARTER
    model_choices.record_default_model(settings, "mine")
    assert running.resolve("gpt-4", "chat").model.facts.name == "mine"
    assert running.models()[0].facts.name == "mine"
    assert model_registry(settings).defaults["text"] == "mine"
    assert model_choices.default_model(settings) == DefaultModel("mine", "chosen with `homeport use`")


def test_the_default_names_its_reason(home: Path) -> None:
    """A setting precedes the recorded model, and that precedes the starter; without text models there is none."""
    model_choices.record_default_model(Settings(home=home), "mine")
    for settings, expected in (
        (Settings(home=home, default_model=STARTER), (STARTER, "the setting default_model")),
        (Settings(home=home, models=(STARTER,)), (STARTER, "the setting models")),
        (Settings(home=home, models=("not-installed",)), ("mine", "chosen with `homeport use`")),
    ):
        current = model_choices.default_model(settings)
        assert current is not None
        assert (current.name, current.reason) == expected
    assert model_choices.default_model(Settings(home=home / "empty")) is None


def test_a_removed_default_gives_way_to_the_starter(home: Path) -> None:
    """If the recorded model is removed, the starter is the default again."""
    settings = Settings(home=home)
    model_choices.record_default_model(settings, "mine")
    commands.remove_model(settings, "mine")
    assert model_choices.default_model(settings) == DefaultModel(STARTER, "no other was chosen")


def test_only_a_public_model_that_chats_can_be_the_default(home: Path) -> None:
    """A missing model, one for embeddings and one of a project are refused, and nothing is recorded."""
    put(home, "embedder", ("embeddings",))
    put(home, "theirs", project="team")
    settings = Settings(home=home)
    with pytest.raises(ModelNotFound, match="`absent` is not installed"):
        model_choices.record_default_model(settings, "absent")
    with pytest.raises(InvalidRequest, match="only a model that chats"):
        model_choices.record_default_model(settings, "embedder")
    with pytest.raises(InvalidRequest, match="project team"):
        model_choices.record_default_model(settings, "theirs")
    assert model_choices.default_model(settings) == DefaultModel(STARTER, "no other was chosen")


def test_the_larger_starter_is_offered_with_its_size(home: Path) -> None:
    """The next size of the default model is offered, but not offline unless it is installed, and not for others."""
    settings = Settings(home=home)
    assert model_choices.offer(settings, STARTER) == ModelOffer(LARGER, 1_117_320_768)
    assert model_choices.offer(Settings(home=home, offline=True), STARTER) is None
    assert model_choices.offer(settings, "mine") is None
    put(home, LARGER)
    assert model_choices.offer(Settings(home=home, offline=True), STARTER) == ModelOffer(
        LARGER, 1_117_320_768, is_installed=True
    )


def test_what_fits_follows_the_available_memory(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With 12 GB available, Qwen3 fits up to 8B; its larger sizes and unknown ones do not count as fitting."""

    class Memory(msgspec.Struct):
        available: int = 12_000_000_000
        total: int = 16_000_000_000

    monkeypatch.setattr(psutil, "virtual_memory", Memory)
    choices = model_choices.list_catalogue(Settings(home=home))
    assert (choices.available_bytes, choices.total_bytes) == (12_000_000_000, 16_000_000_000)
    fitting = {choice.name for choice in choices.of_family("qwen3") if choice.fits}
    assert fitting == {"qwen3-0.6b", "qwen3-1.7b", "qwen3-4b", "qwen3-8b", "qwen3-14b"}
    by_name = {choice.name: choice for choice in choices.models}
    assert by_name["qwen3-8b"].memory_bytes == 5_027_783_488 + 147_456 * 40_960
    assert by_name["qwen3-8b"].fitting_window == 19_456
    assert (by_name["qwen3-32b"].fitting_window, by_name["sd-1.5"].fitting_window) == (0, None)
    assert [name for name, choice in by_name.items() if choice.is_installed] == [STARTER]


def test_show_describes_a_model_that_is_not_installed(home: Path) -> None:
    """The catalogue's facts are shown, with the format of tool calls and the reasoning switch."""
    shown = commands.describe_model(Settings(home=home), "gpt-oss-20b")
    assert (shown["tools"], shown["reasoning"], shown["family"]) == ("harmony", "reasoning_effort", "gpt-oss")
    assert shown["memory_bytes"] == 12_109_566_624 + 49_152 * 131_072
    assert "homeport pull gpt-oss-20b" in str(shown["installed"])
    assert commands.describe_model(Settings(home=home), "sd-turbo")["memory_bytes"] == "unknown"
    with pytest.raises(ModelNotFound):
        commands.describe_model(Settings(home=home), "no-such-model")


@pytest.mark.parametrize(
    ("name", "is_optimized"),
    [(STARTER, True), (LARGER, True), ("qwen3-8b", False), ("whisper-base", False), ("x", False)],
)
def test_only_tested_text_models_are_optimized_by_default(name: str, is_optimized: bool) -> None:
    """A large model that nobody has tested is not requantized unasked."""
    assert commands.is_optimized_by_default(name) is is_optimized


def test_images_are_embedded_by_an_installed_model(home: Path) -> None:
    """If no model is named, the one that `clip` stands for comes first, then any other that embeds images."""
    settings = Settings(home=home, offline=True)
    put(home, "words", ("embeddings",))
    with pytest.raises(ModelNotFound, match="`homeport pull clip-vit-b-32`"):
        model_choices.image_embedding_model(settings)
    for name in ("own", "siglip2-base", "clip-vit-b-32"):
        put(home, name, ("embeddings", "image_embeddings"))
        assert model_choices.image_embedding_model(settings) == name


def test_thumbnails_are_made_of_files(tmp_path: Path) -> None:
    """The command line receives small images without knowing how they are decoded."""
    (tmp_path / "photo.png").write_bytes(photos.photo(1, "PNG"))
    made = commands.make_thumbnail(tmp_path / "photo.png", 8, 8)
    assert (made.width, made.height, len(made.pixels)) == (8, 4, 96)
