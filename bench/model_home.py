"""A home folder with a model that is requantized for this CPU, as `make serve` does it.

If the model in the user's home was optimized (`homeport optimize`), that home is used. Otherwise a folder in it links
the model and the kernels and is optimized once, so that measuring does not change the user's home.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec

from homeport.app.models import engine_files
from homeport.domain.weight_layouts import ORIGINAL
from homeport.models.kernels import find_installed_kernels
from homeport.models.model_store import ModelStore

_OWN = "bench"


class OptimizedModel(msgspec.Struct, frozen=True):
    """The settings that serve the optimized model, its weights and kernels (None: the wheel's), and a description."""

    settings: dict[str, str]
    weights: Path
    kernels: Path | None
    note: str


def files(home: Path, model: str) -> Mapping[str, Path]:
    """The files that the model's worker gets, by role, in their original layout.

    Raises FileNotFoundError if it is not installed, Unavailable if a model that it needs is not.
    """
    store = ModelStore(home, ORIGINAL)
    found = store.find(model)
    if found is None:
        raise FileNotFoundError(f"{model} is not installed: run `make setup`")
    return engine_files(store, found)


def weights(home: Path, model: str) -> Path:
    """The model's weights in their original layout. Raises FileNotFoundError if it is not installed."""
    return files(home, model)["weights"]


def optimized(home: Path, model: str, say: Callable[[str], None]) -> OptimizedModel:
    """The optimized model, which is optimized now if it was not before."""
    own = home if ModelStore(home).manifest(model).layouts else home / _OWN
    if own != home:
        borrow(home, own, model)
        if not ModelStore(own).manifest(model).layouts:
            say(f"requantizing {model} for this CPU, once")
            command = [sys.executable, "-m", "homeport", "optimize", model]
            subprocess.run(command, env={**os.environ, "HOMEPORT_HOME": str(own)}, check=True, stdout=sys.stderr)
    found = ModelStore(own).find(model)
    if found is None:
        raise FileNotFoundError(f"{model} is missing from {own}")
    kernels = find_installed_kernels(own)
    note = f"weights as {found.layout}, {'npm' if kernels else 'wheel'} kernels"
    return OptimizedModel({"HOME": str(own)}, found.files["weights"], kernels, note)


def borrow(home: Path, own: Path, model: str) -> None:
    """Link the model's files and the kernels into another home, unless they are there."""
    source, target = home / "models" / model, own / "models" / model
    own.mkdir(exist_ok=True)
    if (home / "kernels").is_dir() and not (own / "kernels").exists():
        (own / "kernels").symlink_to(home / "kernels")
    if not target.exists():
        shutil.copytree(source, target, copy_function=os.link)
        for manifest in target.glob("*.json"):  # copied, because a write to a link would change the user's file
            content = manifest.read_bytes()
            manifest.unlink()
            manifest.write_bytes(content)
