"""The files of a source that belong to a model: named ones, or a whole repository."""

import pytest

from homeport.domain.errors import Unavailable
from homeport.models.catalogue_entry import CatalogueFile, CatalogueSource
from homeport.models.file_selection import select_files
from homeport.models.sources.protocol import RemoteFile, SourceListing

LISTING = SourceListing(
    "abc",
    tuple(
        RemoteFile(path, 3, "0" * 64)
        for path in ("README.md", "model_index.json", "vae/config.json", "vae/model.safetensors", "picture.png")
    ),
)


def source(*files: CatalogueFile) -> CatalogueSource:
    """A source on a hub with these files."""
    return CatalogueSource("hf", files, "org/repo")


def test_named_files_are_found_with_their_roles() -> None:
    """Each named file is returned with its role and the name that it has on disk."""
    named = CatalogueFile("vae/config.json", "settings", stored_as="vae.json")
    files, roles = select_files(source(named), LISTING, "hf:org/repo")
    assert [(file.path, file.name) for file in files] == [("vae/config.json", "vae.json")]
    assert roles == ["settings"]


@pytest.mark.parametrize(
    ("file", "message"),
    [
        (CatalogueFile("gone.json"), "no longer has gone.json"),
        (CatalogueFile("model_index.json", sha256="1" * 64), "another model_index.json than the pinned one"),
    ],
)
def test_a_source_without_the_file_is_refused(file: CatalogueFile, message: str) -> None:
    """A file that is missing, or has other bytes than the catalogue says, is named in the error."""
    with pytest.raises(Unavailable, match=message):
        select_files(source(file), LISTING, "hf:org/repo")


def test_a_whole_repository_is_its_weights_and_settings() -> None:
    """`*` selects what a library reads: each file has a name of its own on disk, and its path in its role."""
    files, roles = select_files(source(CatalogueFile("*", "pipeline")), LISTING, "hf:org/repo")
    assert [file.name for file in files] == ["model_index.json", "vae--config.json", "vae--model.safetensors"]
    assert roles == ["pipeline/model_index.json", "pipeline/vae/config.json", "pipeline/vae/model.safetensors"]


def test_an_empty_repository_is_refused() -> None:
    """A repository without weights and settings is an error that names it."""
    with pytest.raises(Unavailable, match="hf:org/repo has no files"):
        select_files(source(CatalogueFile("*")), SourceListing(None, LISTING.files[:1]), "hf:org/repo")


def test_a_whole_repository_has_no_other_files() -> None:
    """The catalogue cannot mix `*` with named files, or take all of what is in wheels."""
    with pytest.raises(ValueError, match="whole repository"):
        source(CatalogueFile("*"), CatalogueFile("a.json"))
    with pytest.raises(ValueError, match="whole repository"):
        CatalogueSource("bundled", (CatalogueFile("*", size=1, sha256="0" * 64),))
