"""Runs a parser on an answer in pieces and joins what it returns into one message."""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from homeport.domain.tools import Tool
from homeport.engines.text.answers.answer_parser import AnswerParser
from homeport.engines.text.answers.segments import (
    CallArguments,
    CallBegin,
    CallEnd,
    ContentText,
    ReasoningText,
    Segment,
)
from tests.engines.text.answers.corpus import CORPUS, FORMATS, TOOLS


class ParsedMessage(NamedTuple):
    """A whole message. Calls: name, arguments as text, whether the call is complete."""

    content: str
    reasoning: str
    calls: tuple[tuple[str, str, bool], ...]


def parse_segments(
    family: str,
    pieces: Iterable[str],
    *,
    tools: Mapping[str, Tool] = TOOLS,
    starts_in_reasoning: bool = False,
    is_complete: bool = True,
) -> list[Segment]:
    """Return the segments of an answer that arrives in pieces."""
    controls = CORPUS[family].controls
    parser = AnswerParser(FORMATS[family], tools, controls=controls, starts_in_reasoning=starts_in_reasoning)
    segments = [segment for piece in pieces for segment in parser.feed(piece)]
    return segments + parser.close(is_complete)


def join(segments: Iterable[Segment]) -> ParsedMessage:
    """Return the message of which these are the pieces; fails if a call's pieces are out of order."""
    content, reasoning, calls = "", "", list[tuple[str, str, bool]]()
    for segment in segments:
        if isinstance(segment, ContentText):
            content += segment.text
        elif isinstance(segment, ReasoningText):
            reasoning += segment.text
        elif isinstance(segment, CallBegin):
            assert segment.call == len(calls)
            calls.append((segment.name, "", False))
        elif isinstance(segment, CallArguments | CallEnd):
            assert segment.call == len(calls) - 1
            name, arguments, is_ended = calls[-1]
            assert not is_ended
            more = segment.text if isinstance(segment, CallArguments) else ""
            calls[-1] = (name, arguments + more, isinstance(segment, CallEnd))
    return ParsedMessage(content, reasoning, tuple(calls))


def parse(family: str, *pieces: str, is_complete: bool = True) -> ParsedMessage:
    """Return the message of an answer that arrives in pieces."""
    return join(parse_segments(family, pieces, is_complete=is_complete))
