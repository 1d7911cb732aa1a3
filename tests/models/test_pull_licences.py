"""Models whose licence forbids commercial use: pulled only when the user has accepted it."""

from pathlib import Path

import msgspec
import pytest

from homeport.domain.errors import Forbidden, ModelNotFound
from homeport.models import catalogue
from homeport.models.catalogue import Catalogue
from homeport.models.catalogue_entry import CatalogueEntry, CatalogueFile, CatalogueSource, Licence
from homeport.models.disk import sha256
from homeport.models.model_store import ModelStore
from homeport.models.pull import check, pull
from homeport.models.pull_options import PullOptions
from homeport.models.registry import InstalledModelRegistry
from homeport.models.sources import bundled
from tests.models.fakes import Recorder

OFFLINE = PullOptions(offline=True, hubs=())
ACCEPTED = msgspec.structs.replace(OFFLINE, accepts_licence=True)


@pytest.fixture
def known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Catalogue:
    """A catalogue with a model for non-commercial use, and one that needs it."""
    monkeypatch.setattr(bundled, "ROOT", tmp_path / "package")
    (tmp_path / "package").mkdir()
    file = tmp_path / "package" / "w.onnx"
    file.write_bytes(b"weights")
    source = CatalogueSource("bundled", (CatalogueFile("w.onnx", "weights", 7, sha256(file)),))
    licence = Licence("cc-by-nc-4.0", "its page", verified=True, non_commercial=True)
    entry = CatalogueEntry("hobby", "For fun.", "images", "clipart", licence, ("images",), (source,))
    free = msgspec.structs.replace(entry, name="free", licence=Licence("mit", "it", verified=True), needs=("hobby",))
    return Catalogue((entry, free))


@pytest.mark.parametrize("name", ["hobby", "free"])
def test_a_licence_must_be_accepted(known: Catalogue, store: ModelStore, progress: Recorder, name: str) -> None:
    """Without acceptance nothing is fetched, also for a model that needs it, and the error has the command."""
    with pytest.raises(Forbidden, match="homeport pull hobby --accept-licence") as refused:
        pull(name, store, OFFLINE, progress, known)
    assert refused.value.code == "licence_not_accepted"
    assert store.names() == []


def test_an_accepted_licence_is_recorded(known: Catalogue, store: ModelStore, progress: Recorder) -> None:
    """With acceptance the model is installed, marked as non-commercial; a second pull asks nothing."""
    model = pull("hobby", store, ACCEPTED, progress, known)
    assert model.facts.licence == "cc-by-nc-4.0 (non-commercial)"
    assert pull("hobby", store, OFFLINE, progress, known) == model
    assert check("hobby", store, OFFLINE, known) == "hobby"


def test_a_check_refuses_it_too(known: Catalogue, store: ModelStore) -> None:
    """What is checked before a job begins is refused at once."""
    with pytest.raises(Forbidden):
        check("hobby", store, OFFLINE, known)
    assert check("hobby", store, ACCEPTED, known) == "hobby"


def test_point_e_names_what_to_pull(store: ModelStore) -> None:
    """A name of OpenAI's, and one of the catalogue, is an error that has the command to install a model."""
    registry = InstalledModelRegistry(store, catalogue.built_in())
    for name in ("point-e", "shap-e"):
        with pytest.raises(ModelNotFound, match=r"of the kind shapes, and none is installed.*`homeport pull triposr`"):
            registry.resolve(name, "shapes")
    with pytest.raises(ModelNotFound, match=r"is not installed. Run `homeport pull triposr`"):
        registry.resolve("triposr", "shapes")
