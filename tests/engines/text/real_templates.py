"""Real chat templates as test data (tests/data/templates), and a tokenizer with the marks that one of them uses."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from homeport.engines.text.executor import Vocabulary
from homeport.engines.text.templates.probe import TemplateProbe
from homeport.engines.text.templates.sandbox import SandboxedTemplate

FOLDER = Path(__file__).parents[2] / "data" / "templates"
MANIFEST: list[Mapping[str, Any]] = json.loads((FOLDER / "manifest.json").read_text("utf-8"))
NAMES = [each["file"].removesuffix(".jinja") for each in MANIFEST]
BOS, EOS = "<bos-mark>", "<eos-mark>"
VARIABLES = {"bos_token": BOS, "eos_token": EOS, "unk_token": "", "pad_token": ""}
_CONTROL = re.compile(
    r"<\|[^<>'\"{}\s]{1,40}\|>|<[|｜][^<>'\"{}\s]{1,40}>|<[^<>'\"{}\s]{1,40}[|｜]>|\[/?[A-Z][A-Z_]+\]"
)
_MARKER = re.compile(r"</?(?:think|tool_call|tool_response|minimax:tool_call|arg_key|arg_value|tools|seed:[a-z_]+)>")


def read(name: str) -> str:
    """Return a template's source."""
    return (FOLDER / f"{name}.jinja").read_text("utf-8")


def probe(name: str) -> TemplateProbe:
    """Return a probe of a template, rendered in this process."""
    return TemplateProbe(SandboxedTemplate(read(name)), VARIABLES)


class MarkTokenizer:
    """Bytes, the control tokens in a template's source, and markers that are recognized in any text."""

    def __init__(self, source: str) -> None:
        self._source = source
        control = [BOS, EOS, *sorted(set(_CONTROL.findall(source)))]
        markers = sorted(set(_MARKER.findall(source)) - set(control))
        self.names = [*control, *markers]
        self._ids = {name: 256 + at for at, name in enumerate(self.names)}
        self._splits = {
            special: re.compile("|".join(re.escape(name) for name in sorted(found, key=len, reverse=True)) or "(?!)")
            for special, found in ((True, self.names), (False, markers))
        }
        self._control = {self._ids[name]: name for name in control}
        self._pieces = (
            *(bytes([byte]) for byte in range(256)),
            *(b"" if name in control else name.encode() for name in self.names),
        )

    @property
    def vocabulary(self) -> Vocabulary:
        """256 bytes, control tokens and markers."""
        size = len(self._pieces)
        return Vocabulary(size, self._pieces, frozenset({257}), None, 257, None, self._control)

    @property
    def metadata(self) -> Mapping[str, str]:
        """The template."""
        return {
            "tokenizer.chat_template": self._source,
            "tokenizer.ggml.bos_token_id": "256",
            "tokenizer.ggml.eos_token_id": "257",
        }

    def tokenize(self, text: str, *, special: bool) -> list[int]:
        """Return the ids of a text."""
        ids: list[int] = []
        position = 0
        for match in self._splits[special].finditer(text):
            ids += text[position : match.start()].encode()
            ids.append(self._ids[match.group()])
            position = match.end()
        return ids + list(text[position:].encode())

    def decode(self, ids: list[int]) -> str:
        """Return the text of ids, with names of control tokens."""
        return b"".join(bytes([id]) if id < 256 else self.names[id - 256].encode() for id in ids).decode()
