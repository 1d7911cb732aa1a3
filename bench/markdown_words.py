"""Markdown as a model writes it, token by token: headings, paragraphs, lists, tables, formulas, and code. Pure."""

import re
from collections.abc import Iterator
from itertools import count

_TOKEN = re.compile(r"\n+|[ \t]*[^\s]{1,5}|[ \t]+")
_CODE_LINES = 24


def tokens() -> Iterator[str]:
    """Yield the tokens of an answer without an end, of up to five characters each."""
    for section in count(1):
        for part in (_opening(section), _code(section), _table(section), _formulas(section)):
            yield from _TOKEN.findall(part + "\n\n")


def _opening(section: int) -> str:
    items = "\n".join(f"{i}. Check the `timeout_{i}` of **worker {section}** before it starts" for i in range(1, 7))
    text = "The queue holds what the workers have not taken yet, and each request keeps its place in it. " * 4
    return f"## Section {section}\n\n{text}\n\n{text}\n\n{items}"


def _code(section: int) -> str:
    lines = [f"    total += rates[{i}] * {section + i}  # of the worker {i}" for i in range(_CODE_LINES)]
    return "\n".join(
        ["```python", f"def total_{section}(rates: list[float]) -> float:", *lines, "    return total", "```"]
    )


def _table(section: int) -> str:
    rows = [f"| worker {i} | {section * i} | {i / 7:.3f} |" for i in range(8)]
    return "\n".join(["| name | requests | share |", "|---|--:|--:|", *rows])


def _formulas(section: int) -> str:
    return f"So $x_{{{section}}} = \\frac{{a}}{{b}}$ holds, and\n\n$$\\sum_{{i=1}}^{{{section}}} x_i < \\infty$$"
