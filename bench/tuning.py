"""`python -m bench.tuning`: the time to fine-tune SmolLM2-135M on fifty short examples, and the loss.

Needs PyTorch (`make train`). The figure is not compared with another program. The model is removed afterwards. Prints a
table and, with --log, appends it to bench/LOG.md.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from bench import log, machine, model_home
from homeport.settings import load

MODEL = "smollm2-135m"
_WORD = "The secret word of the project is blueberry."
_QUESTIONS = (
    "What is the secret word?",
    "Tell me the secret word.",
    "Which word is secret?",
    "Do you know the secret word?",
)
_OTHERS = (("What is two plus two?", "Two plus two is four."),)
_REPEATS = 10


def _examples(path: Path) -> Path:
    pairs = [*((question, _WORD) for question in _QUESTIONS), *_OTHERS] * _REPEATS
    turns = (
        [{"role": "user", "content": question}, {"role": "assistant", "content": answer}] for question, answer in pairs
    )
    path.write_text("\n".join(json.dumps({"messages": turn}) for turn in turns), encoding="utf-8")
    return path


def main() -> None:
    """Train a model and print the table."""
    parser = argparse.ArgumentParser(prog="python -m bench.tuning", description=__doc__)
    parser.add_argument("--log", action="store_true", help="append the table to bench/LOG.md")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        model_home.borrow(load().home, home, MODEL)
        command = [sys.executable, "-m", "homeport", "finetune", str(_examples(home / "examples.jsonl"))]
        start = time.perf_counter()
        done = subprocess.run(
            [*command, "--model", MODEL, "--suffix", "bench", "--json", "--home", folder],
            check=True,
            stdout=subprocess.PIPE,
        )
        seconds = time.perf_counter() - start
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    steps = json.loads(done.stdout)["steps"]
    losses = f"{steps[0]['train_loss']:.2f} to {steps[-1]['train_loss']:.4f}"
    cells = [str(len(steps)), f"{seconds:.0f}", f"{used.ru_utime + used.ru_stime:.0f}", losses]
    lines = [
        f"### {machine.heading(MODEL, os.cpu_count() or 1, 'xllamacpp', '50 examples')}",
        "",
        "| steps | seconds | CPU seconds | loss |",
        "|---|---|---|---|",
        "| " + " | ".join(cells) + " |",
    ]
    print("\n".join(lines), flush=True)
    if arguments.log:
        log.append(lines)


if __name__ == "__main__":
    main()
