"""How many JSON Schemas are enforced, and how fast: `python -m bench.schemas DATA`.

DATA is a file of JSON lines (or `.gz`), each a schema with valid and invalid instances: `schema`, and `tests` with
`valid` and `data`. Every instance is followed token by token in the schema's grammar, with the vocabulary of an
installed model; nothing is generated. A schema is right if exactly its valid instances are accepted.
"""

import argparse
import gzip
import json
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from bench import model_home
from homeport.domain.errors import InvalidRequest
from homeport.engines.text.executors.llama.executor import LlamaExecutor, LlamaOptions, load
from homeport.engines.text.grammar.compiler import LlguidanceCompiler
from homeport.models.kernels import find_installed_kernels
from homeport.settings import load as load_settings

MODEL = "qwen2.5-coder-0.5b"
_PARAM = "response_format.json_schema.schema"
_PERCENTILES = (50, 90, 99, 100)


class Findings(msgspec.Struct):
    """Counts of schemas and instances, and times in milliseconds."""

    served: int = 0
    right: int = 0
    refused: Counter[str] = msgspec.field(default_factory=Counter)
    unnamed: list[str] = msgspec.field(default_factory=list)  # refusals without a path or a keyword
    wrongly_accepted: list[str] = msgspec.field(default_factory=list)
    wrongly_refused: list[str] = msgspec.field(default_factory=list)
    compile_ms: list[float] = msgspec.field(default_factory=list)
    mask_ms: list[float] = msgspec.field(default_factory=list)
    check_us: list[float] = msgspec.field(default_factory=list)


def main() -> None:
    """Measure and print one table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--model", default=MODEL)
    parser.add_argument("--compact", action="store_true", help="without white space, as tools' arguments")
    parser.add_argument("--details", action="store_true", help="also list refusals and wrong answers")
    options = parser.parse_args()
    home = load_settings().home
    with ExitStack() as stack:
        size = LlamaOptions(512, 512, sequences=1, batch=512, threads=1, library=find_installed_kernels(home))
        executor = load(model_home.weights(home, options.model), size)
        stack.callback(executor.close)
        compiler = LlguidanceCompiler(executor)
        stack.callback(compiler.close)
        compiler.compile('start: "warm-up"', param="")
        found = Findings()
        for case in _read(options.data):
            _measure(executor, compiler, case, found, compact=options.compact)
    _print(found, details=options.details)


def _read(path: Path) -> Iterator[dict[str, Any]]:
    opener = gzip.open if path.suffix == ".gz" else open
    with opener(path, "rt", encoding="utf-8") as lines:
        yield from map(json.loads, lines)


def _measure(
    executor: LlamaExecutor, compiler: LlguidanceCompiler, case: dict[str, Any], found: Findings, *, compact: bool
) -> None:
    """Compile one schema and follow its instances."""
    began = time.perf_counter()
    try:
        term = compiler.json_schema(json.dumps(case["schema"]), param=_PARAM, compact=compact)
    except InvalidRequest as error:
        found.refused[_keyword(error.message)] += 1
        if "'" not in error.message or " at #" not in error.message:
            found.unnamed.append(f"{case['id']}: {error.message}")
        return
    finally:
        found.compile_ms.append(1e3 * (time.perf_counter() - began))
    found.served += 1
    is_right = True
    for test in case["tests"]:
        text = json.dumps(test["data"], ensure_ascii=False)
        accepted = _accepts(executor, compiler, f"start: {term}", text, found)
        if accepted != test["valid"]:
            is_right = False
            (found.wrongly_accepted if accepted else found.wrongly_refused).append(case["id"])
    found.right += is_right


def _accepts(executor: LlamaExecutor, compiler: LlguidanceCompiler, source: str, text: str, found: Findings) -> bool:
    """Return whether a grammar accepts a text, followed by an end token."""
    constraint = compiler.compile(source, param="").start()
    for token in executor.tokenize(text, special=False):
        began = time.perf_counter()
        allowed = constraint.mask()
        masked = time.perf_counter()
        is_allowed = constraint.allows(token)
        found.check_us.append(1e6 * (time.perf_counter() - masked))
        found.mask_ms.append(1e3 * (masked - began))
        if is_allowed != allowed[token]:
            raise AssertionError(f"mask and check differ for token {token}")
        if not is_allowed:
            return False
        constraint.accept(token)
    return constraint.allows(min(executor.vocabulary.end_tokens))


def _keyword(message: str) -> str:
    return message.split("'")[1] if message.count("'") > 1 else "?"


def _print(found: Findings, *, details: bool) -> None:
    schemas = found.served + found.refused.total()
    print("| measure | value |\n|---|---|")
    print(f"| schemas | {schemas} |")
    print(f"| served | {found.served} |")
    print(f"| served and right | {found.right} ({100 * found.right / schemas:.1f} %) |")
    print(f"| invalid instances accepted | {len(found.wrongly_accepted)} |")
    print(f"| valid instances refused | {len(found.wrongly_refused)} |")
    refused = ", ".join(f"{keyword} {n}" for keyword, n in found.refused.most_common())
    print(f"| schemas refused, by keyword | {refused} |")
    print(f"| refusals without path or keyword | {len(found.unnamed)} |")
    for name, values in (("compile, ms", found.compile_ms), ("mask, ms", found.mask_ms), ("check, µs", found.check_us)):
        shown = ", ".join(f"p{p} {np.percentile(values, p):.3f}" for p in _PERCENTILES)
        print(f"| {name} | {shown} |")
    if details:
        print("unnamed:", *found.unnamed, sep="\n  ")
        print("accepted:", *found.wrongly_accepted, sep="\n  ")
        print("refused:", *found.wrongly_refused, sep="\n  ")


if __name__ == "__main__":
    main()
