"""The names of fine-tuned models, and what is refused before anything is trained."""

import importlib.util
from importlib.machinery import ModuleSpec
from pathlib import Path

import pytest

from homeport.domain.errors import InvalidRequest, ModelMissing, Unavailable
from homeport.domain.tuning import TuningWork
from homeport.models.references import folder_name
from homeport.models.store import Store
from homeport.settings import Settings
from homeport.trainings import workshop
from homeport.tuning.workshop import Workshop
from tests.models.test_registry import SMALL, put
from tests.models.test_tuned import NAME, tuned


@pytest.fixture
def shop(tmp_path: Path) -> Workshop:
    """One whose store holds a model that is no real one."""
    put(Store(tmp_path), SMALL)
    return workshop(Settings(home=tmp_path, organization="My Org"), None)


def test_names_are_openais_and_can_be_folders(shop: Workshop) -> None:
    """A name tells model, organisation and suffix, whatever the user wrote; a checkpoint's is one part longer."""
    name = shop.name("smollm2-135m", "Wörter & so", "0a1b2c3d")
    assert name == "ft:smollm2-135m:my-org:w-rter-so:0a1b2c3d"
    assert folder_name(f"{name}:ckpt-step-10") == f"{name}:ckpt-step-10".replace(":", "+")
    assert shop.name("m", None, "0a1b2c3d") == "ft:m:my-org::0a1b2c3d"
    assert folder_name(shop.name("m", "企业", "0a1b2c3d"))
    with pytest.raises(InvalidRequest, match="64 characters"):
        shop.name("m", "x" * 65, "0")


def test_only_a_model_in_one_file_is_accepted(shop: Workshop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A model is accepted by its hash, a fine-tuned one by two; a missing one is refused, and any without PyTorch."""
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: ModuleSpec(name, None))
    tuned(Store(tmp_path), tmp_path)
    digest = Store(tmp_path).manifest(SMALL).digest
    assert shop.accept(SMALL) == digest
    assert shop.accept(NAME).startswith(f"{digest}+")
    assert shop.name(NAME, None, "1") == f"ft:{SMALL}:my-org::1"
    with pytest.raises(ModelMissing):
        shop.accept("nobody")
    with pytest.raises(InvalidRequest, match="replaced"):
        shop.training(TuningWork("1", "ft:a:b:c:1", SMALL, f"not {digest}", tmp_path / "file"))
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(Unavailable, match=r"homeport\[train\]"):
        shop.accept(SMALL)
