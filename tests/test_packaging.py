"""What is published: the wheel, its metadata, and the workflows that test and release it."""

import re
import subprocess
import sys
import tomllib
import zipfile
from email import message_from_bytes
from email.message import Message
from pathlib import Path
from typing import Any

import pytest
import yaml
from trove_classifiers import classifiers

from homeport import __version__
from scripts.release_notes import release_notes

ROOT = Path(__file__).parent.parent
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
PROJECT = PYPROJECT["project"]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
FORMS = sorted(path for path in (ROOT / ".github" / "ISSUE_TEMPLATE").glob("*.yml") if path.name != "config.yml")
CHANGELOG = """# Changelog

## [Unreleased]

## [1.2.0] - 2026-12-01

### Added

- This.

## [1.1.0]

- That.
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of this tree, built with the locked build backend."""
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    (built,) = folder.glob("*.whl")
    return built


def _metadata(wheel: Path) -> Message:
    with zipfile.ZipFile(wheel) as archive:
        return message_from_bytes(archive.read(f"homeport-{__version__}.dist-info/METADATA"))


def _load(path: Path) -> dict[str, Any]:
    loaded = yaml.safe_load(path.read_text("utf-8"))
    assert isinstance(loaded, dict)
    # YAML 1.1 reads the key `on` as a boolean.
    return {"on" if key is True else key: value for key, value in loaded.items()}


def _python_versions() -> set[str]:
    return set(re.findall(r"'Programming Language :: Python :: (3\.\d+)'", str(PROJECT["classifiers"])))


def test_version_is_written_once(wheel: Path) -> None:
    """The version is written in the package alone; the wheel's name and metadata take it from there."""
    assert "version" in PROJECT["dynamic"]
    assert PYPROJECT["tool"]["hatch"]["version"]["path"] == "src/homeport/__init__.py"
    assert wheel.name == f"homeport-{__version__}-py3-none-any.whl"
    assert _metadata(wheel)["Version"] == __version__


def test_wheel_contains_the_package_and_nothing_else(wheel: Path) -> None:
    """The wheel contains every file of `src/homeport`, package data and `py.typed` included, and its own metadata."""
    source = ROOT / "src"
    files = {
        path.relative_to(source).as_posix()
        for path in (source / "homeport").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    with zipfile.ZipFile(wheel) as archive:
        packed = {name for name in archive.namelist() if ".dist-info/" not in name}
    assert packed == files
    assert "homeport/py.typed" in packed


def test_wheel_installs_the_command(wheel: Path) -> None:
    """Installers find the entry point `homeport`, the license and the oldest Python in the wheel."""
    information = f"homeport-{__version__}.dist-info"
    with zipfile.ZipFile(wheel) as archive:
        assert "homeport = homeport.cli:main" in archive.read(f"{information}/entry_points.txt").decode()
        assert f"{information}/licenses/LICENSE" in archive.namelist()
    assert _metadata(wheel)["Requires-Python"] == PROJECT["requires-python"]


def test_classifiers_exist() -> None:
    """The package index knows every classifier, and the oldest one for Python is the oldest Python allowed."""
    assert not [name for name in PROJECT["classifiers"] if name not in classifiers]
    oldest = min(_python_versions(), key=lambda version: int(version.removeprefix("3.")))
    assert PROJECT["requires-python"] == f">={oldest}"


def test_build_backend_is_locked() -> None:
    """The locked build backend is the one that `pip install .` uses."""
    (backend,) = PYPROJECT["build-system"]["requires"]
    assert f"\n{backend} \\\n" in (ROOT / "requirements" / "dev.txt").read_text("utf-8")


def test_matrix_has_the_classifiers_pythons() -> None:
    """The fast tests run on exactly the Python versions that the package says it supports, on three systems."""
    matrix = _load(ROOT / ".github" / "workflows" / "test.yml")["jobs"]["fast"]["strategy"]["matrix"]
    assert set(matrix["python"]) == _python_versions()
    assert len(matrix["system"]) == 3
    assert all(
        extra["python"] in matrix["python"] and extra["system"] in matrix["system"] for extra in matrix["include"]
    )


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_workflows_are_bounded(path: Path) -> None:
    """Every workflow has permissions and a concurrency group; every job a machine, a time limit and pinned actions."""
    workflow = _load(path)
    assert {"name", "on", "permissions", "concurrency", "jobs"} <= workflow.keys()
    assert "write" not in str(workflow["permissions"])
    for name, job in workflow["jobs"].items():
        assert job["runs-on"], name
        assert job["timeout-minutes"] <= 90, name
        for step in job["steps"]:
            assert ("uses" in step) != ("run" in step), step
            assert re.search(r"@(release/)?v\d+$", step.get("uses", "@v1")), step


def test_only_publishing_may_get_a_token() -> None:
    """One job, in the environment `pypi`, can identify itself to the package index; it runs no code of this tree."""
    jobs = _load(ROOT / ".github" / "workflows" / "release.yml")["jobs"]
    assert [name for name, job in jobs.items() if "id-token" in job["permissions"]] == ["publish"]
    assert jobs["publish"]["environment"] == "pypi"
    assert not [step for step in jobs["publish"]["steps"] if "run" in step]


@pytest.mark.parametrize("path", FORMS, ids=lambda path: path.name)
def test_issue_forms_ask_for_doctor(path: Path) -> None:
    """Every issue form is complete, and asks for what `homeport doctor` prints."""
    form = _load(path)
    assert form["name"]
    assert form["description"]
    fields = {field["id"]: field["attributes"]["label"] for field in form["body"] if field["type"] != "markdown"}
    assert fields["doctor"] == "Output of `homeport doctor`"


def test_hooks_use_the_tools_of_this_clone() -> None:
    """Style and types are checked before a commit by the programs that `make lint types` uses."""
    local, public = _load(ROOT / ".pre-commit-config.yaml")["repos"]
    assert [hook["id"] for hook in local["hooks"]] == ["ruff-check", "ruff-format", "mypy"]
    assert all(hook["entry"].startswith(".venv/bin/") for hook in local["hooks"])
    assert re.fullmatch(r"v\d+\.\d+\.\d+", public["rev"])


def test_release_notes_are_the_section_of_the_tag() -> None:
    """A tag's release notes are its section of the changelog, without the heading."""
    assert release_notes("v1.2.0", "1.2.0", CHANGELOG) == "### Added\n\n- This.\n"


@pytest.mark.parametrize(
    ("tag", "version", "message"),
    [
        ("v1.2.0", "1.3.0", "the tag v1.2.0 is not v1.3.0"),
        ("1.2.0", "1.2.0", "the tag 1.2.0 is not v1.2.0"),
        ("v1.3.0", "1.3.0", "no entries under"),
        ("v1.1.0", "1.1.0", "no entries under"),
    ],
)
def test_a_wrong_tag_is_refused(tag: str, version: str, message: str) -> None:
    """A tag of another version, or one whose section is missing or undated, releases nothing."""
    with pytest.raises(ValueError, match=message):
        release_notes(tag, version, CHANGELOG)
