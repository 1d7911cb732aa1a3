"""Models whose parts are in several repositories of a hub."""

import hashlib

import pytest

from homeport.domain.errors import Unavailable
from homeport.models import catalogue, catalogue_entry
from homeport.models.catalogue import Catalogue
from homeport.models.model_store import ModelStore
from homeport.models.pull import pull
from homeport.models.pull_options import PullOptions
from homeport.models.sources.pypi import WheelPart
from tests.models.fakes import COMMIT, REPO, SECOND, FakeHub, Recorder

HUBS = pytest.mark.parametrize("scheme", ["hf", "ms"])


def known(scheme: str, second: str = SECOND) -> Catalogue:
    """Return a catalogue with one such model."""
    return catalogue.parse(f"""
models:
  - name: brush
    summary: In two repositories.
    kind: images
    engine: diffusion
    capabilities: [images]
    licence: {{name: mit, stated: here, verified: true}}
    options: {{steps: 4}}
    sources:
      - hub: {scheme}
        repo: {REPO}
        untested: true
        files:
          - {{path: brush.gguf, role: diffusion}}
          - {{path: parts/vae.safetensors, role: vae, repo: {second}}}
""")


@pytest.fixture
def filled(hub: FakeHub) -> FakeHub:
    hub.files = {"brush.gguf": b"d" * 5000, "parts/vae.safetensors": b"v" * 3000, "README.md": b"# Brush"}
    return hub


@HUBS
def test_each_file_comes_from_its_own(
    scheme: str, filled: FakeHub, store: ModelStore, options: PullOptions, progress: Recorder
) -> None:
    """All are in one folder under their roles; the manifest names both repositories, and one bar counts all bytes."""
    model = pull("brush", store, options, progress, known(scheme))
    assert {role: path.name for role, path in model.files.items()} == {
        "diffusion": "brush.gguf",
        "vae": "vae.safetensors",
    }
    assert model.files["vae"].read_bytes() == b"v" * 3000
    made = store.manifest("brush")
    assert made.source == f"{scheme}:{REPO} + {scheme}:{SECOND}"
    revision = COMMIT if scheme == "hf" else "master"
    assert made.revision == f"{REPO}@{revision} {SECOND}@{revision}"
    assert made.options == {"steps": 4}
    assert made.files[1].sha256 == hashlib.sha256(b"v" * 3000).hexdigest()
    assert progress.done == progress.size == 8000
    asked = [target for method, target, _ in filled.requests if method == "GET"]
    first, second = (target for target in asked if "/resolve/" in target or "FilePath" in target)
    assert REPO in first
    assert SECOND in second


def test_a_repository_that_is_gone_is_named(
    filled: FakeHub, store: ModelStore, options: PullOptions, progress: Recorder
) -> None:
    """The pull fails as a whole, and no partial model is found afterwards."""
    with pytest.raises(Unavailable, match="org/Gone"):
        pull("brush", store, options, progress, known("hf", "org/Gone"))
    assert store.find("brush") is None


def test_wheels_have_no_repositories() -> None:
    """An invalid catalogue entry is refused when it is read."""
    part = WheelPart("wheel", "1", "0" * 64, "a", 1)
    file = catalogue_entry.CatalogueFile("a", size=1, sha256="0" * 64, parts=(part,), repo="org/a")
    with pytest.raises(ValueError, match="no repo"):
        catalogue_entry.CatalogueSource("pypi", (file,))
