"""The grammar of calls that lack their marks, which an answer may begin with.

Up to a call's arguments its text may also become content, so it is one terminal for each tool. That is lazy: where it
ends, the text is no longer content. Knows nothing of the rest of an answer.
"""

from collections.abc import Sequence

from msgspec.structs import replace

from homeport.domain.tools import Tool
from homeport.engines.text.answers.answer_format import CallFormat
from homeport.engines.text.answers.argument_grammar import ArgumentGrammar, JsonGrammar
from homeport.engines.text.answers.lark_source import (
    LarkSource,
    alternatives,
    escaped,
    joined,
    pattern_of,
)
from homeport.engines.text.answers.marks import GAP_PATTERN, SPACE_PATTERN


class UnmarkedCalls:
    """Writes the calls of some tools in all `formats` in which they lack their marks."""

    def __init__(
        self, source: LarkSource, formats: Sequence[CallFormat], tools: Sequence[Tool], to_lark: JsonGrammar
    ) -> None:
        self._source = source
        self._formats = formats
        self._tools = tools
        self._to_lark = to_lark

    def answers(self, *, is_single: bool) -> list[str]:
        """Return whole answers that are calls, as rules. `is_single`: an answer has only one."""
        beginnings: dict[CallFormat, list[str]] = {}
        for calls in self._formats:
            beginnings.setdefault(replace(calls, section_begin=""), []).append(pattern_of(calls.section_begin))
        return [self._answer(calls, _any_of(begins), is_single) for calls, begins in beginnings.items()]

    def _answer(self, calls: CallFormat, begin: str, is_single: bool) -> str:
        first = self._call(calls, GAP_PATTERN + begin + pattern_of(calls.begin))
        several = "" if is_single else f"{self._call(calls, pattern_of(calls.separator + calls.begin))}*"
        return self._source.rule(joined([first, several, self._source.mark(calls.section_end)]))

    def _call(self, calls: CallFormat, begin: str) -> str:
        """Return a call of any tool. `begin`: a regular expression of the text before the name."""
        arguments = ArgumentGrammar(self._source, calls.arguments, self._to_lark, is_compact=False)
        each = [
            joined([self._until_arguments(begin + escaped(tool.name), calls), arguments.of(tool)])
            for tool in self._tools
        ]
        return self._source.rule(joined([alternatives(each), self._source.mark(calls.end)]))

    def _until_arguments(self, name: str, calls: CallFormat) -> str:
        """Return a call up to its arguments. `name`: a regular expression up to the name's end."""
        text = self._source.rule(f"/{name}{pattern_of(calls.name_end)}/", options="lazy")
        return f"{text} /{SPACE_PATTERN}/"


def _any_of(patterns: Sequence[str]) -> str:
    return patterns[0] if len(patterns) == 1 else f"({'|'.join(patterns)})"
