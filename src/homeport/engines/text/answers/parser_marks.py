"""The marks of an answer format, compiled for parsing. Shared by all parsers of the same format."""

from functools import lru_cache
from typing import NamedTuple

from homeport.engines.text.answers.answer_format import AnswerFormat, ArgumentsFormat, CallFormat
from homeport.engines.text.answers.marks import Mark, MarkFinder, control_names, is_distinctive, trigger, written

_NO_CALLS = CallFormat("", "", "")


class CallMarks(NamedTuple):
    """The marks of calls. `openings` begin the first call, `next_openings` those after it.

    `is_whole_answer`: openings count only at the beginning of an answer.
    """

    openings: tuple[Mark, ...]
    next_openings: tuple[Mark, ...]
    name_end: Mark
    end: Mark
    separator: Mark
    section_end: Mark
    arguments: ArgumentsFormat
    is_whole_answer: bool


class ParserMarks(NamedTuple):
    """All marks of a format.

    `is_structured`: all content has a mark that begins it. `has_calls`: whether calls are recognized. `content_finder`,
    `reasoning_finder`: find where a mark may begin in content and in reasoning. `complete`: finds what is dropped if an
    answer ends with it. `beginnings`: calls that are recognized only at the beginning of content.
    """

    is_structured: bool
    reasoning_begin: Mark | None
    reasoning_end: Mark
    content_begins: tuple[Mark, ...]
    content_ends: tuple[Mark, ...]
    has_calls: bool
    calls: CallMarks
    content_finder: MarkFinder
    reasoning_finder: MarkFinder
    complete: MarkFinder
    beginnings: tuple[CallMarks, ...]


@lru_cache(maxsize=64)
def parser_marks(format: AnswerFormat, controls: frozenset[str], has_tools: bool) -> ParserMarks:
    """Return a format's marks. `has_tools`: whether calls are recognized. `controls`: see `marks.mark_controls`."""
    is_structured = all(content.begin for content in format.contents)
    reasoning, calls = format.reasoning, format.calls
    has_calls = has_tools and calls is not None
    calls = calls or _NO_CALLS
    marks = [content.end for content in format.contents]
    if is_structured:
        marks += [content.begin for content in format.contents]
        marks += [reasoning.begin.strip()] if reasoning is not None else []
    openings = _openings(calls) if has_calls else ()
    in_content = marks if calls.is_whole_answer else [*marks, *openings]
    first = (calls,) if calls.is_whole_answer else calls.unmarked
    names = control_names(controls)
    found_in_content = [written(trigger(mark, controls), controls) for mark in in_content if mark]
    distinctive = [word for mark in openings if is_distinctive(word := trigger(mark, controls))]
    end = reasoning.end.strip() if reasoning is not None else ""
    return ParserMarks(
        is_structured,
        Mark(reasoning.begin.strip(), controls) if reasoning is not None and reasoning.begin.strip() else None,
        Mark(end, controls),
        tuple(Mark(content.begin, controls) for content in format.contents),
        tuple(Mark(content.end, controls) for content in format.contents),
        has_calls,
        _call_marks(calls, controls),
        MarkFinder([*found_in_content, *names]),
        MarkFinder([*([written(trigger(end, controls), controls)] if end else []), *names]),
        MarkFinder([*(written(word, controls) for word in distinctive), *found_in_content, *names]),
        tuple(_call_marks(each, controls) for each in first) if has_calls else (),
    )


def _openings(calls: CallFormat) -> tuple[str, ...]:
    opening = calls.section_begin + calls.begin
    return tuple(dict.fromkeys((opening.lstrip(), (calls.optional_begin + opening).lstrip())))


def _call_marks(calls: CallFormat, controls: frozenset[str]) -> CallMarks:
    return CallMarks(
        tuple(Mark(opening, controls) for opening in _openings(calls)),
        () if calls.is_single else (Mark(calls.separator + calls.begin, controls),),
        Mark(calls.name_end, controls),
        Mark(calls.end, controls),
        Mark(calls.separator, controls),
        Mark(calls.section_end, controls),
        calls.arguments,
        calls.is_whole_answer,
    )
