"""Makes one grammar for a whole answer: reasoning, content, tool calls and the format of the content.

The source is llguidance's Lark, or its list of grammars as JSON if a caller's own grammar is a part. Knows nothing of
templates, tokens' ids beyond those it is given, or how grammars are compiled.
"""

from collections.abc import Mapping, Sequence

from homeport.domain.errors import InvalidRequest
from homeport.domain.tools import GrammarFormat, JsonFormat, OutputFormat, Tool, ToolUse
from homeport.engines.text.answers.answer_format import AnswerFormat, CallFormat, ReasoningFormat
from homeport.engines.text.answers.argument_grammar import ArgumentGrammar, JsonGrammar
from homeport.engines.text.answers.lark_source import (
    ANY_TEXT,
    LarkSource,
    alternatives,
    escaped,
    joined,
    terminal,
)
from homeport.engines.text.answers.marks import GAP_PATTERN, Control, is_distinctive, split_mark, trigger
from homeport.engines.text.answers.unmarked_calls import UnmarkedCalls

_GAP = r"/\n{1,2}/?"
"""Newlines that models write between reasoning and what must follow."""


def build(
    format: AnswerFormat,
    tools: ToolUse | None,
    output: OutputFormat | None,
    *,
    special: Mapping[str, int],
    starts_in_reasoning: bool,
    may_reason: bool,
    to_lark: JsonGrammar,
) -> str | None:
    """Return the grammar of an answer's text; None if nothing is constrained.

    `special`: the ids of control tokens by name. `starts_in_reasoning`: the prompt ends with reasoning's begin mark;
    `may_reason`: the answer may have reasoning. Raises InvalidRequest for what cannot be enforced.
    """
    if output is None and (tools is None or not tools.tools):
        return None
    reasons = format.reasoning is not None and (may_reason or starts_in_reasoning)
    calls = tools is not None and bool(tools.tools) and tools.choice.mode != "none"
    is_alone = not calls and not reasons and not format.contents[0].begin
    if is_alone and isinstance(output, GrammarFormat) and output.syntax == "lark":
        return output.definition
    answer = _AnswerGrammar(format, tools, output, LarkSource(special), to_lark)
    return answer.source(starts_in_reasoning=starts_in_reasoning, reasons=reasons)


class _AnswerGrammar:
    """Writes one answer's grammar."""

    def __init__(
        self,
        format: AnswerFormat,
        tools: ToolUse | None,
        output: OutputFormat | None,
        source: LarkSource,
        to_lark: JsonGrammar,
    ) -> None:
        self._format = format
        self._source = source
        self._output = output
        self._to_lark = to_lark
        self._mode = tools.choice.mode if tools is not None and tools.tools else "none"
        self._tools = _allowed(tools) if tools is not None else ()
        if self._mode != "none" and format.calls is None:
            raise InvalidRequest("This model's chat template has no tools.", param="tools")
        self._calls = format.calls or CallFormat("", "", "")
        self._arguments = ArgumentGrammar(source, self._calls.arguments, to_lark)
        self._is_single = (
            self._mode == "named" or self._calls.is_single or (tools is not None and not tools.is_parallel)
        )
        self._excluded: list[str] = []

    def source(self, *, starts_in_reasoning: bool, reasons: bool) -> str:
        """Return the grammar."""
        structured = all(content.begin for content in self._format.contents)
        reasoning = ""
        if reasons and self._format.reasoning is not None:
            reasoning = self._reasoning(self._format.reasoning, starts_in_reasoning, may_begin_late=not structured)
        answer = self._structured() if structured else self._unstructured(_GAP if reasoning else "")
        return self._source.source(joined([reasoning, answer]))

    def _reasoning(self, format: ReasoningFormat, is_begun: bool, *, may_begin_late: bool) -> str:
        """Return reasoning; optional unless it `is_begun`. `may_begin_late`: white space may precede it."""
        begin = format.begin.strip()
        text = self._source.rule(self._source.until(format.end.strip()))
        if is_begun or not begin:
            return text
        if not self._source.is_literal(begin):
            space = r"/\s{1,4}/? " if may_begin_late else ""
            return f"({space}{self._source.mark(begin)} {text})?"
        first = str(split_mark(begin, self._source.controls)[0])
        beginning = rf"\s{{0,4}}{escaped(first)}"
        self._excluded.append(beginning + ANY_TEXT)
        return f"({joined([f'/{beginning}/', self._source.mark(begin[len(first) :]), text])})?"

    # The answer, where content has no mark that begins it

    def _unstructured(self, gap: str) -> str:
        if self._mode in ("required", "named"):
            return joined([gap, self._required_calls()])
        if self._output is not None:
            return joined([gap, self._output_or_calls()])
        if self._mode == "none":
            return self._source.text(excluded=[*self._excluded, *self._refused_marks()])
        if self._calls.is_whole_answer:
            excluded = [*self._excluded, *self._whole_answer_beginnings()]
            return alternatives([self._required_calls(), self._source.text(excluded=excluded)])
        return self._calls_in_text()

    def _output_or_calls(self) -> str:
        """Return content of the wanted format, or calls."""
        if self._mode == "none":
            return self._content_output()
        calls = self._calls
        if calls.is_whole_answer and isinstance(self._output, JsonFormat):
            whole = [call for tool in self._tools if (call := self._arguments.json_call(calls, tool)) is not None]
            marked = [joined([self._source.mark(calls.optional_begin), self._required_calls()])]
            if whole:
                output = self._content_output(compact=True)
                return alternatives([*(marked if calls.optional_begin else []), *whole, output])
        return alternatives([self._required_calls(), self._content_output()])

    def _calls_in_text(self) -> str:
        """Return free text, in which the first mark of a call must be followed by the rest of a call."""
        opening = (self._calls.section_begin + self._calls.begin).lstrip()
        first = trigger(opening, self._source.controls)
        head = self._source.rule(self._source.until(first, excluded=self._excluded))
        call = joined([self._source.mark(opening[len(first) :]), self._call()])
        calls = self._section(call, separates=bool(self._calls.section_begin))
        text = self._source.text(excluded=self._excluded)
        answers = [f"{head} {calls}", text] if self._is_single else [f"({head} {calls})* {text}"]
        unmarked = UnmarkedCalls(self._source, self._calls.unmarked, self._tools, self._to_lark)
        return alternatives([*unmarked.answers(is_single=self._is_single), *answers])

    def _refused_marks(self) -> list[str]:
        """Return expressions of texts with a mark of calls; control tokens are no text anyway."""
        if self._format.calls is None:
            return []
        if self._calls.is_whole_answer:
            return self._whole_answer_beginnings()
        first = trigger((self._calls.section_begin + self._calls.begin).lstrip(), self._source.controls)
        return [f"{ANY_TEXT}{escaped(first)}{ANY_TEXT}"] if self._source.is_literal(first) else []

    def _whole_answer_beginnings(self) -> list[str]:
        """Return expressions of texts that begin like a call of a format whose calls have no mark of their own."""
        opening = self._calls.section_begin + self._calls.begin
        beginnings = []
        for mark in filter(None, (opening, self._calls.optional_begin + opening)):
            first = trigger(mark, self._source.controls)
            if self._source.is_literal(mark):
                beginnings.append(escaped(first) if is_distinctive(first) else escaped(mark) + self._name_pattern())
        return [f"{GAP_PATTERN}{beginning}{ANY_TEXT}" for beginning in beginnings]

    def _name_pattern(self) -> str:
        """Return an expression of a name with the first sign after it; of the tools' names if nothing precedes it."""
        pieces = split_mark(self._calls.name_end, self._source.controls)
        sign = "" if not pieces or isinstance(pieces[0], Control) else escaped(pieces[0][0])
        if self._calls.section_begin + self._calls.begin and sign:
            return f"[a-zA-Z0-9_-]{{1,64}}{sign}"
        return f"({'|'.join(escaped(tool.name) for tool in self._tools)}){sign}"

    # The answer, where content has marks

    def _structured(self) -> str:
        final = self._format.contents[0]
        if self._mode in ("required", "named"):
            return self._required_calls()
        if self._output is not None:
            output = joined([self._source.mark(final.begin), self._content_output()])
            return output if self._mode == "none" else alternatives([self._required_calls(), output])
        earlier = [
            self._source.rule(joined([self._source.mark(content.begin), self._source.until(content.end)]))
            for content in self._format.contents
            if content.end
        ]
        last = [joined([self._source.mark(content.begin), self._source.text()]) for content in self._format.contents]
        if self._mode != "none":
            last.append(self._required_calls())
        return joined([f"{alternatives(earlier)}*" if earlier else "", alternatives(last)])

    # Calls

    def _required_calls(self) -> str:
        """Return one or more calls with nothing between them, in all their marks."""
        calls = self._calls
        opening = (calls.section_begin + calls.begin).lstrip()
        if not calls.is_whole_answer:
            return self._source.rule(self._section(joined([self._source.mark(opening), self._call()]), separates=True))
        begin = f"({self._source.mark(calls.optional_begin)})?" if calls.optional_begin else ""
        return self._source.rule(self._section(joined([begin, self._call(opening)]), separates=True))

    def _section(self, first: str, *, separates: bool) -> str:
        """Return a section of calls. `first`: its first call; `separates`: it may have several."""
        calls = self._calls
        several = ""
        if separates and not self._is_single:
            several = f"({joined([self._source.mark(calls.separator + calls.begin), self._call()])})*"
        return joined([first, several, self._source.mark(calls.section_end)])

    def _call(self, opening: str = "") -> str:
        """Return a call from its name on. `opening`: marks before the name that must be one literal with it."""
        calls = [
            self._source.rule(
                joined([self._source.mark(opening + tool.name + self._calls.name_end), self._arguments.of(tool)])
            )
            for tool in self._tools
        ]
        return self._source.rule(joined([alternatives(calls), self._source.mark(self._calls.end)]))

    # The format of the content

    def _content_output(self, *, compact: bool = False) -> str:
        """Return the wanted format. `compact`: as in calls, so that both may begin alike."""
        output = self._output
        if isinstance(output, JsonFormat):
            schema = '{"type": "object"}' if output.schema is None else output.schema
            return self._source.rule(self._to_lark(schema, param=output.param, compact=compact))
        if output is None or output.syntax == "regex":
            return self._source.terminal(terminal(output.definition if output is not None else ANY_TEXT))
        return self._source.grammar(output.definition)


def _allowed(tools: ToolUse) -> Sequence[Tool]:
    """Return the tools that may be called."""
    names = set(tools.choice.names)
    allowed = tuple(tool for tool in tools.tools if not names or tool.name in names)
    if tools.tools and not allowed:
        raise InvalidRequest("`tool_choice` names none of the declared tools.", param="tool_choice")
    return allowed
