"""The default model with a projector of a few lines, which sees the colours of a picture's squares as their words."""

import subprocess
import sys
from pathlib import Path

from homeport.engines.text.executors.llama.executor import LlamaOptions, load
from tests.samples import colour_eye

NAME = "colour-eye"


def install_seeing_model(folder: Path, qwen: Path) -> None:
    """Install the model in the home `folder / "home"`; its files stay in `folder`."""
    executor = load(qwen, LlamaOptions(window=64, cells=64, sequences=1, batch=64, threads=1))
    ids = [executor.tokenize(word, special=False)[0] for word in colour_eye.COLORS]
    executor.close()
    eye = colour_eye.write_eye(folder / "mmproj-eye.gguf", qwen, ids)
    weights = folder / f"{NAME}.gguf"
    weights.symlink_to(qwen)
    command = [sys.executable, "-m", "homeport", "pull", f"file:{weights}", "--projector", str(eye)]
    subprocess.run([*command, "--home", str(folder / "home")], check=True, timeout=120)
