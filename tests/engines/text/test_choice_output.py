"""The deltas of one choice: of plain text, and of text with reasoning and tool calls."""

import json

from homeport.domain.events import ReasoningDelta, ScoredToken, TextDelta, ToolCallDelta
from homeport.domain.tools import Tool
from homeport.engines.text.answers.answer_format import GENERIC_CALLS, AnswerFormat, ReasoningFormat
from homeport.engines.text.answers.answer_parser import AnswerParser
from homeport.engines.text.choice_output import ParsedOutput, PlainOutput
from homeport.engines.text.detokenizer import TextPiece

FORMAT = AnswerFormat("test", ReasoningFormat("<think>", "</think>"), calls=GENERIC_CALLS)
CALL = '<tool_call>\n{"name": "look", "arguments": {"at": "x"}}\n</tool_call>'


def parsed(*, starts_in_reasoning: bool = False) -> ParsedOutput:
    tools = {"look": Tool("look")}
    return ParsedOutput(AnswerParser(FORMAT, tools, controls=(), starts_in_reasoning=starts_in_reasoning))


def token(text: str, offset: int) -> ScoredToken:
    return ScoredToken(text, text.encode(), -1.0, offset)


def test_plain_text_is_one_delta() -> None:
    """All pieces since the last delta become one, with all their scores; without any there is none."""
    output = PlainOutput()
    output.add(TextPiece("a", (token("a", 0),)))
    output.add(TextPiece("b", (token("b", 1),)))
    assert output.take(2, 2) == [TextDelta(2, "ab", (token("a", 0), token("b", 1)), 2)]
    assert output.take(2, 0) == []
    output.add(TextPiece("", (token("", 2),)))
    assert output.take(0, 1) == [TextDelta(0, "", (token("", 2),), 1)]


def test_each_kind_of_text_has_its_own_deltas() -> None:
    """Reasoning, content and calls are separate deltas in the order of the text; only the first one counts tokens."""
    output = parsed(starts_in_reasoning=True)
    assert output.in_reasoning
    output.add(TextPiece("Hm.</think>\n\nI look.\n" + CALL))
    output.close(is_complete=True)
    reasoning, text, call = output.take(1, 9)
    assert reasoning == ReasoningDelta(1, "Hm.", 9)
    assert text == TextDelta(1, "I look.", (), 0)
    assert isinstance(call, ToolCallDelta)
    assert (call.choice, call.index, call.name, call.tokens) == (1, 0, "look", 0)
    assert json.loads(call.arguments) == {"at": "x"}
    assert output.calls == 1


def test_a_calls_id_and_name_are_sent_once() -> None:
    """The first delta of a call has an id and its name, the others only more of the arguments."""
    output = parsed()
    deltas: list[ToolCallDelta] = []
    for character in CALL + "\n" + CALL:
        output.add(TextPiece(character))
        deltas += [delta for delta in output.take(0, 1) if isinstance(delta, ToolCallDelta)]
    for index in (0, 1):
        own = [delta for delta in deltas if delta.index == index]
        assert own[0].id.startswith("call_")
        assert own[0].name == "look"
        assert not any(delta.id or delta.name for delta in own[1:])
        assert json.loads("".join(delta.arguments for delta in own)) == {"at": "x"}
    assert len({delta.id for delta in deltas if delta.id}) == 2


def test_only_content_has_scores() -> None:
    """Tokens of reasoning, marks and calls have none; one that was held back has its score when its text is sent."""
    output = parsed()
    text = "<think>no</think>yes <" + "b>" + CALL
    offsets = {7: "no", 9: "</think>", 17: "yes", 20: " ", 21: "<", 22: "b>", 24: "<tool_call>"}
    scored = tuple(token(name, offset) for offset, name in offsets.items())
    output.add(TextPiece(text, scored))
    output.close(is_complete=True)
    content = [delta for delta in output.take(0, 1) if isinstance(delta, TextDelta)]
    assert "".join(delta.text for delta in content) == "yes <b>"
    assert [one.token for delta in content for one in delta.scored] == ["yes", " ", "<", "b>"]


def test_a_score_that_comes_after_its_text_is_kept() -> None:
    """A token's score may be known only after the first part of its text was sent."""
    output = parsed()
    output.add(TextPiece("ab"))
    first = output.take(0, 1)
    output.add(TextPiece("c", (token("bc", 1),)))
    assert [delta.text for delta in first if isinstance(delta, TextDelta)] == ["ab"]
    assert output.take(0, 1) == [TextDelta(0, "c", (token("bc", 1),), 1)]


def test_the_third_equal_call_repeats() -> None:
    """Calls repeat at the end of the third one with the same name and arguments, also with other calls in between."""
    output = parsed()
    other = CALL.replace("x", "y")
    for call in (CALL, other, CALL, other.replace("y", "z")):
        output.add(TextPiece(call + "\n"))
        assert not output.repeats_calls
    output.add(TextPiece(CALL.removesuffix("}\n</tool_call>")[:-1]))
    assert not output.repeats_calls
    output.add(TextPiece("}"))
    assert output.repeats_calls
    assert not PlainOutput().repeats_calls
