"""Two hundred documents and a hundred questions, made by code from a seed: English and Chinese, in five file formats.

Documents of one kind share their sentences and differ in names, numbers and terms, so that a search must read them.
Half of the questions name what they ask about, half describe it. Knows nothing of servers.
"""

import random
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec

from bench.file_search import formats

PER_KIND = 10
QUESTIONS_PER_KIND = 5
_FOLDER = Path(__file__).parent
_SYLLABLES = ("ba", "dor", "el", "fa", "gri", "hal", "ka", "lin", "mo", "nur", "or", "pel", "qui", "ran", "so", "tal")
_SYLLABLES_ZH = "安博川东恩峰冠海景凯蓝梅宁欧平清瑞山天维新雅云泽"
_ENGLISH_FORMATS: Sequence[tuple[str, Callable[[str, str], bytes]]] = (
    ("pdf", formats.pdf),
    ("docx", formats.docx),
    ("md", formats.markdown),
    ("html", formats.html),
    ("txt", formats.plain),
)
_CHINESE_FORMATS = (("docx", formats.docx), ("md", formats.markdown), ("html", formats.html), ("txt", formats.plain))


class Kind(msgspec.Struct, frozen=True):
    """Texts with places for `{name}` and the values. `values`: at least ten choices each, of which no two are equal."""

    name: str
    title: str
    paragraphs: Sequence[str]
    questions: Sequence[str]
    values: Mapping[str, Sequence[str]]


class Document(NamedTuple):
    """One file."""

    name: str
    content: bytes


class Question(NamedTuple):
    """A question, and the name of the document that answers it."""

    text: str
    document: str


class Corpus(NamedTuple):
    """The documents and the questions about them."""

    documents: Sequence[Document]
    questions: Sequence[Question]


def make(seed: int = 1) -> Corpus:
    """Make the corpus of a seed."""
    source = random.Random(seed)
    documents: list[Document] = []
    questions: list[Question] = []
    for language, file_formats in (("en", _ENGLISH_FORMATS), ("zh", _CHINESE_FORMATS)):
        kinds = msgspec.json.decode((_FOLDER / f"kinds_{language}.json").read_bytes(), type=list[Kind])
        names = _names(source, language, len(kinds) * PER_KIND)
        for kind in kinds:
            _add(kind, source, [names.pop() for _ in range(PER_KIND)], file_formats, documents, questions)
    return Corpus(documents, questions)


def _add(
    kind: Kind,
    source: random.Random,
    names: Sequence[str],
    file_formats: Sequence[tuple[str, Callable[[str, str], bytes]]],
    documents: list[Document],
    questions: list[Question],
) -> None:
    values = {key: source.sample(choices, PER_KIND) for key, choices in kind.values.items()}
    for number, name in enumerate(names):
        slots = {"name": name, **{key: each[number] for key, each in values.items()}}
        paragraphs = [text.format(**slots) for text in kind.paragraphs]
        first, *rest = paragraphs
        source.shuffle(rest)
        suffix, write = file_formats[len(documents) % len(file_formats)]
        file_name = f"{kind.name}-{len(documents):03}.{suffix}"
        documents.append(Document(file_name, write(kind.title.format(**slots), "\n\n".join([first, *rest]))))
        if number < QUESTIONS_PER_KIND:
            text = kind.questions[number % len(kind.questions)]
            questions.append(Question(text.format(**slots), file_name))


def _names(source: random.Random, language: str, count: int) -> list[str]:
    found: dict[str, None] = {}
    while len(found) < count:
        if language == "zh":
            found["".join(source.sample(_SYLLABLES_ZH, 2))] = None
        else:
            found["".join(source.sample(_SYLLABLES, 3)).capitalize()] = None
    return list(found)
