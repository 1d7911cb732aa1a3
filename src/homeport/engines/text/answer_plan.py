"""How the answers to one prompt are constrained and parsed. Prepare threads make a plan, all answers use it.

Knows nothing of logits, budgets or other requests.
"""

from collections.abc import Mapping
from typing import NamedTuple

from homeport.domain.text import ChatPrompt
from homeport.domain.tools import OutputFormat, Reasoning, Tool, ToolUse
from homeport.engines.text.answers import answer_grammar
from homeport.engines.text.answers.answer_format import AnswerFormat, without_unmarked
from homeport.engines.text.answers.answer_parser import AnswerParser
from homeport.engines.text.answers.marks import CONTROL, Control, mark_controls, split_mark
from homeport.engines.text.choice_output import ChoiceOutput, ParsedOutput, PlainOutput
from homeport.engines.text.constraint import Constraint, Grammar
from homeport.engines.text.executor import NativeTokenizer
from homeport.engines.text.grammar.compiler import LlguidanceCompiler
from homeport.engines.text.templates.chat_template import Rendered

_PLAIN = AnswerFormat("plain")
EFFORT_TOKENS: Mapping[str, int] = {"none": 0, "minimal": 128, "low": 512, "medium": 2048, "high": 8192}
"""The most tokens of reasoning by effort; an effort that is not listed has no limit but the answer's."""


class ReasoningLimit(NamedTuple):
    """After `tokens` tokens of reasoning, the answer continues with the tokens `end`."""

    tokens: int
    end: tuple[int, ...]


class ParsedAnswer(NamedTuple):
    """What a parser of an answer needs. `controls`: the control tokens that are marks of the format.

    `must_call`: the answer consists of reasoning, if any, and calls.
    """

    format: AnswerFormat
    tools: Mapping[str, Tool]
    controls: frozenset[str]
    starts_in_reasoning: bool
    must_call: bool = False


class AnswerPlan:
    """What the answers to one prompt share.

    `parsed` None: all text is content. `names`: the text of control tokens that are marks. `call_reason`: the finish
    reason of an answer with tool calls.
    """

    def __init__(
        self,
        grammar: Grammar | None,
        parsed: ParsedAnswer | None = None,
        *,
        names: Mapping[int, bytes] | None = None,
        call_reason: str = "tool_calls",
        reasoning_limit: ReasoningLimit | None = None,
    ) -> None:
        self.names = names or {}
        self.reasoning_limit = reasoning_limit
        self._grammar = grammar
        self._parsed = parsed
        self._call_reason = call_reason

    def start_constraint(self) -> Constraint | None:
        """Return a new answer's position in the grammar; None: any text may follow."""
        return self._grammar.start() if self._grammar is not None else None

    def start_output(self) -> ChoiceOutput:
        """Return the output of a new answer."""
        if self._parsed is None:
            return PlainOutput()
        format, tools, controls, starts_in_reasoning, must_call = self._parsed
        parser = AnswerParser(
            format, tools, controls=controls, starts_in_reasoning=starts_in_reasoning, must_call=must_call
        )
        return ParsedOutput(parser)

    def finish_reason(self, calls: int) -> str:
        """Return why an answer with this many calls ended, if it was not cut."""
        return self._call_reason if calls else "stop"


class AnswerPlanner:
    """Makes the plans of one model's requests. Any thread may use it."""

    def __init__(self, tokenizer: NativeTokenizer) -> None:
        self._tokenizer = tokenizer
        self._compiler = LlguidanceCompiler(tokenizer)
        self._special = {name: token for token, name in tokenizer.vocabulary.special.items() if name}

    def plan_text(self, output: OutputFormat | None) -> AnswerPlan | None:
        """Plan the answers to a prompt that is no conversation. Raises InvalidRequest if the format is invalid."""
        if output is None:
            return None
        return AnswerPlan(self._grammar(_PLAIN, None, output, starts_in_reasoning=False, may_reason=False))

    def plan_chat(
        self, prompt: ChatPrompt, output: OutputFormat | None, format: AnswerFormat, rendered: Rendered
    ) -> AnswerPlan | None:
        """Plan the answers to a conversation; None if they are plain text. Raises InvalidRequest."""
        if output is not None:
            format = without_unmarked(format)  # its own JSON may look like a call
        starts, may_reason = rendered.starts_in_reasoning, rendered.may_reason
        grammar = self._grammar(format, prompt.tools, output, starts_in_reasoning=starts, may_reason=may_reason)
        if format.reasoning is None and prompt.tools is None and format.contents == _PLAIN.contents:
            return AnswerPlan(grammar) if grammar is not None else None
        controls = mark_controls(format, self._special)
        mode = prompt.tools.choice.mode if prompt.tools else "none"
        return AnswerPlan(
            grammar,
            ParsedAnswer(format, _tools(prompt), frozenset(controls), starts, mode in ("required", "named")),
            names={token: (CONTROL + name).encode() for name, token in controls.items()},
            call_reason="stop" if mode == "named" else "tool_calls",
            reasoning_limit=self._limit(format, prompt.reasoning) if starts or may_reason else None,
        )

    def close(self) -> None:
        """Free the compiler's resources."""
        self._compiler.close()

    def _grammar(
        self,
        format: AnswerFormat,
        tools: ToolUse | None,
        output: OutputFormat | None,
        *,
        starts_in_reasoning: bool,
        may_reason: bool,
    ) -> Grammar | None:
        source = answer_grammar.build(
            format,
            tools,
            output,
            special=self._special,
            starts_in_reasoning=starts_in_reasoning,
            may_reason=may_reason,
            to_lark=self._compiler.json_schema,
        )
        if source is None:
            return None
        return self._compiler.compile(source, param=output.param if output is not None else "tools")

    def _limit(self, format: AnswerFormat, reasoning: Reasoning) -> ReasoningLimit | None:
        """Return the limit of the reasoning's tokens, with the tokens that end it."""
        tokens = reasoning.max_tokens
        if tokens is None:
            tokens = EFFORT_TOKENS.get(reasoning.effort or "")
        if tokens is None or format.reasoning is None:
            return None
        end: list[int] = []
        for piece in split_mark(format.reasoning.end, frozenset(self._special)):
            if isinstance(piece, Control):
                end.append(self._special[piece.name])
            else:
                end += self._tokenizer.tokenize(piece, special=False)
        return ReasoningLimit(tokens, tuple(end))


def _tools(prompt: ChatPrompt) -> Mapping[str, Tool]:
    """Return the tools that may be called, by name."""
    if prompt.tools is None or prompt.tools.choice.mode == "none":
        return {}
    names = prompt.tools.choice.names
    return {tool.name: tool for tool in prompt.tools.tools if not names or tool.name in names}
