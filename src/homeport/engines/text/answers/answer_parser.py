"""Reads a generated answer, in pieces, into reasoning, content and tool calls.

One parser per choice. Its result does not depend on how the text is split into pieces. What does not have the form of
a call is content; names of control tokens never are. Newlines between reasoning, content and calls are left out, as
templates do. Knows nothing of tokens, grammars or events.
"""

import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

from homeport.domain.tools import Tool
from homeport.engines.text.answers.answer_format import AnswerFormat
from homeport.engines.text.answers.argument_readers import ArgumentReader, JsonReader, argument_reader
from homeport.engines.text.answers.call_finder import CallFinder, FoundCall
from homeport.engines.text.answers.marks import ABSENT, CONTROL, GAP_PATTERN, PARTIAL, Mark, MarkFinder
from homeport.engines.text.answers.parser_marks import parser_marks
from homeport.engines.text.answers.segments import (
    CallArguments,
    CallBegin,
    CallEnd,
    ReasoningText,
    Segment,
)
from homeport.engines.text.answers.text_trimming import ContentTrimmer, ReasoningTrimmer

_SPACE = re.compile(r"\s{0,64}")
_GAP = re.compile(GAP_PATTERN)
_WAIT = -1
"""A state's result: it needs more text."""

ParserState = Callable[[int], int]
"""Reads the buffer from a position on; returns up to where, or _WAIT. It may set the next state."""


class AnswerParser:
    """The growing answer of one choice."""

    def __init__(
        self,
        format: AnswerFormat,
        tools: Mapping[str, Tool],
        *,
        controls: Collection[str],
        starts_in_reasoning: bool,
        must_call: bool = False,
    ) -> None:
        """`tools`: those that may be called, by name; none: nothing is one. `controls`: see `marks.mark_controls`.

        `must_call`: the answer has no content, so the beginning of a cut mark is none either.
        """
        self._must_call = must_call
        self._controls = frozenset(controls)
        self._marks = parser_marks(format, self._controls, bool(tools))
        self._calls = self._marks.calls
        self._tools, self._finder = tools, CallFinder(tools)
        self._buffer, self._offset = "", 0
        self._segments: list[Segment] = []
        self._content, self._reasoning = ContentTrimmer(), ReasoningTrimmer()
        self._state: ParserState = self._read_reasoning if starts_in_reasoning else self._read_start
        self._may_begin_call = self._is_in_mark = False
        self._reader: ArgumentReader = JsonReader(is_input=False)
        self._n_calls = 0

    @property
    def calls(self) -> int:
        """The number of calls that have begun."""
        return self._n_calls

    @property
    def in_reasoning(self) -> bool:
        """Whether the next text is reasoning."""
        return self._state == self._read_reasoning

    @property
    def in_content(self) -> bool:
        """Whether the next text may be content: no call is certain, and none has begun with its mark."""
        if self._must_call or self._is_in_mark:
            return False
        return self._state in (self._read_start, self._read_item, self._read_content)

    def feed(self, text: str) -> list[Segment]:
        """Add generated text; return what is thereby certain."""
        self._buffer += text
        self._advance()
        return self._take()

    def close(self, is_complete: bool) -> list[Segment]:
        """End the answer; return the rest. `is_complete`: the model ended it, not a limit or a stop string.

        The beginning of a mark is text, a complete mark is not. A call whose name is complete is a call.
        """
        if self._state in (self._read_start, self._read_item, self._read_content, self._read_next_call):
            self._close_answer()
        if self._state == self._read_reasoning:
            self._drop_or_emit(self._marks.reasoning_finder, self._emit_reasoning)
        elif self._state in (self._read_start, self._read_item, self._read_content):
            self._drop_or_emit(self._marks.complete, self._emit_content)
        elif self._state == self._read_arguments:
            self._close_call(is_complete)
        self._segments += self._content.close()
        self._buffer = ""
        return self._take()

    def _advance(self) -> None:
        position = 0
        while (after := self._state(position)) != _WAIT:
            position = after
        self._offset += position
        self._buffer = self._buffer[position:]

    def _take(self) -> list[Segment]:
        segments, self._segments = self._segments, []
        return segments

    # Text

    def _emit_content(self, start: int, end: int) -> None:
        if self._must_call:
            return
        for piece in self._buffer[start:end].split(CONTROL):
            self._segments += self._content.feed(piece, self._offset + start)
            start += len(piece) + 1

    def _emit_reasoning(self, start: int, end: int) -> None:
        if text := self._reasoning.feed(self._buffer[start:end].replace(CONTROL, "")):
            self._segments.append(ReasoningText(text))

    def _find_trigger(self, finder: MarkFinder, position: int, emit: Callable[[int, int], None]) -> tuple[int, int]:
        """Emit the text before the next trigger. Return the trigger's end, or 0, and the position reached, or _WAIT."""
        found = finder.find(self._buffer, position)
        end = finder.held(self._buffer, position) if found is None else found[0]
        if end > position:
            emit(position, end)
            return 0, end
        return (0, _WAIT) if found is None else (found[1], position)

    def _pass_trigger(self, start: int, end: int, emit: Callable[[int, int], None]) -> int:
        """Continue after a trigger that begins no mark: it is text, unless it is a control token."""
        if not self._buffer.startswith(CONTROL, start):
            emit(start, end)
        return end

    def _match(self, marks: Iterable[tuple[Mark, ParserState]], position: int) -> int:
        """Do the action of the mark that is at a position, and return its result; or PARTIAL or ABSENT."""
        result = ABSENT
        for mark, action in marks:
            end = mark.at(self._buffer, position)
            if end >= 0:
                return action(end)
            result = max(result, end)
        return result

    # States

    def _read_start(self, position: int) -> int:
        """The beginning of an answer: it may begin with reasoning."""
        if self._marks.reasoning_begin is None:
            return self._enter_answer(position)
        space = _SPACE.match(self._buffer, position)
        begin = space.end() if space else position
        if begin == len(self._buffer) and begin - position < 64:
            return _WAIT
        result = self._match([(self._marks.reasoning_begin, self._enter_reasoning)], begin)
        return self._enter_answer(position) if result == ABSENT else max(result, _WAIT)

    def _read_reasoning(self, position: int) -> int:
        end, after = self._find_trigger(self._marks.reasoning_finder, position, self._emit_reasoning)
        if not end:
            return after
        result = (
            ABSENT
            if not self._marks.reasoning_end.text
            else self._match([(self._marks.reasoning_end, self._leave_reasoning)], position)
        )
        return self._pass_trigger(position, end, self._emit_reasoning) if result == ABSENT else result

    def _read_item(self, position: int) -> int:
        """Where content has marks: content, a call or reasoning begins."""
        result = self._match_item(position)
        if result == ABSENT:
            self._state = self._read_content
            return position
        return result

    def _read_content(self, position: int) -> int:
        if self._may_begin_call and (result := self._read_whole_answer(position)) != ABSENT:
            return result
        self._is_in_mark = False
        end, after = self._find_trigger(self._marks.content_finder, position, self._emit_content)
        if not end:
            return after
        result = self._match_item(position)
        self._is_in_mark = result == _WAIT
        return self._pass_trigger(position, end, self._emit_content) if result == ABSENT else result

    def _read_whole_answer(self, position: int) -> int:
        """The beginning of content, where a call without a mark of its own may begin."""
        gap = _GAP.match(self._buffer, position)
        begin = gap.end() if gap else position
        if begin == len(self._buffer):
            return _WAIT
        result = self._match_beginning(begin)
        self._may_begin_call = result == _WAIT
        return result

    def _read_arguments(self, position: int) -> int:
        after, text = self._reader.read(self._buffer, position)
        self._emit_arguments(text)
        if self._reader.is_done:
            self._end_call()
            self._state = self._read_call_end
            return after
        return after if after > position else _WAIT

    def _read_call_end(self, position: int) -> int:
        end = self._calls.end.at(self._buffer, position)
        if end == PARTIAL:
            return _WAIT
        self._state = self._read_next_call
        return position if end == ABSENT else end

    def _read_next_call(self, position: int) -> int:
        """After a call: another one, the section's end or content."""
        if self._marks.is_structured:
            return self._read_separator(position)
        result = self._match_call(position, self._calls.next_openings)
        if result < 0:
            end = self._calls.section_end.at(self._buffer, position) if self._calls.section_end.text else ABSENT
            if end >= 0:
                return self._enter_content(end)
            result = max(result, end)
        return self._enter_content(position) if result == ABSENT else result

    def _read_separator(self, position: int) -> int:
        end = self._calls.separator.at(self._buffer, position) if self._calls.separator.text else ABSENT
        if end == PARTIAL:
            return _WAIT
        self._state = self._read_item
        return position if end == ABSENT else end

    # Transitions

    def _enter_reasoning(self, position: int) -> int:
        self._reasoning.begin()
        self._state = self._read_reasoning
        return position

    def _leave_reasoning(self, position: int) -> int:
        self._content.skip()
        return self._enter_answer(position)

    def _enter_answer(self, position: int) -> int:
        self._may_begin_call = bool(self._marks.beginnings)
        self._state = self._read_item if self._marks.is_structured else self._read_content
        return position

    def _enter_content(self, position: int) -> int:
        self._may_begin_call = False
        self._calls = self._marks.calls
        self._state = self._read_content
        return position

    def _enter_item(self, position: int) -> int:
        self._may_begin_call = False
        self._state = self._read_item
        return position

    def _match_item(self, position: int) -> int:
        """Begin or end what is marked at a position. Return _WAIT if that needs more text, ABSENT if nothing is."""
        marks, actions = self._marks, list[tuple[Mark, ParserState]]()
        if marks.is_structured:
            if marks.reasoning_begin is not None:
                actions.append((marks.reasoning_begin, self._enter_reasoning))
            actions += [(mark, self._enter_content) for mark in marks.content_begins]
        if self._state == self._read_content:
            ended = self._enter_item if marks.is_structured else self._enter_content
            actions += [(mark, ended) for mark in marks.content_ends if mark.text]
        result = self._match(actions, position)
        if result >= 0 or not marks.has_calls:
            return result
        if self._calls.is_whole_answer and self._state == self._read_content:
            return result
        return max(result, self._match_call(position))

    # Calls

    def _match_call(self, position: int, openings: Sequence[Mark] | None = None, *, is_last: bool = False) -> int:
        """Begin the call that is at a position. Return _WAIT if that needs more text, ABSENT if there is none."""
        openings = self._calls.openings if openings is None else openings
        found = self._finder.find(self._calls, openings, self._buffer, position, is_last=is_last)
        return self._begin_call(found) if isinstance(found, FoundCall) else found

    def _match_beginning(self, position: int) -> int:
        """Begin the call that an answer begins with. Return _WAIT if that needs more text, ABSENT if there is none."""
        result = ABSENT
        for calls in self._marks.beginnings:
            found = self._finder.find(calls, calls.openings, self._buffer, position, is_last=False)
            if isinstance(found, FoundCall):
                self._calls = calls
                return self._begin_call(found)
            result = max(result, found)
        return result

    def _begin_call(self, found: FoundCall) -> int:
        self._content.skip()
        self._segments.append(CallBegin(self._n_calls, found.name))
        self._n_calls += 1
        self._reader = argument_reader(self._calls.arguments, self._tools[found.name], self._controls)
        self._state = self._read_arguments
        return found.end

    def _emit_arguments(self, text: str) -> None:
        if text:
            self._segments.append(CallArguments(self._n_calls - 1, text))

    def _end_call(self) -> None:
        self._segments.append(CallEnd(self._n_calls - 1))

    def _close_call(self, is_complete: bool) -> None:
        self._emit_arguments(self._reader.close(is_complete))
        if self._reader.is_done:
            self._end_call()

    # The end

    def _close_answer(self) -> None:
        """Begin a call whose name is complete, though its mark is not."""
        at_beginning = self._may_begin_call or self._state in (self._read_item, self._read_next_call)
        if not self._marks.has_calls or (self._calls.is_whole_answer and not at_beginning):
            return
        gap = _GAP.match(self._buffer)
        openings = self._calls.next_openings if self._state == self._read_next_call else None
        self._match_call(gap.end() if gap and openings is None else 0, openings, is_last=True)

    def _drop_or_emit(self, complete: MarkFinder, emit: Callable[[int, int], None]) -> None:
        found = complete.find(self._buffer, 0)
        end = len(self._buffer) if found is None else found[0]
        if CONTROL in self._buffer[:end]:
            end = self._buffer.index(CONTROL)
        emit(0, end)
