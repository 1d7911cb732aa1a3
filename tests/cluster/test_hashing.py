"""The hashes of prompts in blocks."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from homeport.cluster.hashing import BLOCK_BYTES, BLOCK_TOKENS, MAX_BLOCKS, hash_name, hash_request, mixed
from homeport.domain.content import (
    Attachment,
    ImagePart,
    Message,
    ReasoningPart,
    TextPart,
    ToolCallPart,
    ToolResultPart,
    text_message,
)
from homeport.domain.embeddings import EmbeddingRequest
from homeport.domain.models import Adapter
from homeport.domain.text import (
    ChatPrompt,
    EditPrompt,
    EmptyPrompt,
    InfillPrompt,
    Prompt,
    TextPrompt,
    TextRequest,
    TokenPrompt,
)
from homeport.domain.tools import Tool, ToolUse

TEXTS = st.text(max_size=3 * BLOCK_BYTES)


@dataclass(frozen=True)
class Difference:
    """Fields of a request, and those of another one that shares no prefix with it."""

    left: dict[str, Any]
    right: dict[str, Any]


def _chat(*texts: str, **fields: Any) -> list[int]:
    roles = ("system", "user", "assistant")
    messages = tuple(text_message(roles[at % 3], text) for at, text in enumerate(texts))
    return hash_request(TextRequest((ChatPrompt(messages),), **fields))


@given(st.lists(TEXTS, min_size=1, max_size=4), TEXTS)
def test_a_next_turn_begins_with_all_blocks_of_the_turn_before(texts: list[str], more: str) -> None:
    """The hashes of a conversation are the first ones of any conversation that continues it."""
    turn, following = _chat(*texts), _chat(*texts, more)
    assert following[: len(turn)] == turn
    assert len(following) > len(turn)


@given(TEXTS, TEXTS)
def test_a_hash_covers_everything_before_it(first: str, second: str) -> None:
    """Prompts that begin differently have no hash in common, whatever follows."""
    left, right = _chat(first, "and then the same"), _chat(second, "and then the same")
    assert (left == right) == (first == second)
    if first != second:
        assert left[-1] != right[-1]


@given(st.text(max_size=20), st.text(max_size=20), st.lists(TEXTS, min_size=1, max_size=3))
def test_projects_never_share_a_hash(first: str, second: str, texts: list[str]) -> None:
    """The same conversation of two projects has no hash in common."""
    left, right = _chat(*texts, project=first), _chat(*texts, project=second)
    assert (first == second) or not set(left) & set(right)


@pytest.mark.parametrize(
    "difference",
    [
        Difference({}, {"adapter": Adapter("tuned", Attachment(Path("a")), "5e1f")}),
        Difference({"encoding": "cl100k_base"}, {"encoding": "r50k_base"}),
    ],
    ids=["adapter", "encoding"],
)
def test_what_changes_the_cache_changes_all_hashes(difference: Difference) -> None:
    """Requests with another adapter or encoding have no hash in common."""
    assert not set(_chat("a", "b", **difference.left)) & set(_chat("a", "b", **difference.right))


def test_blocks_are_of_about_a_kilobyte() -> None:
    """A text has a block for each kilobyte, and token ids for each 256 tokens."""
    assert len(hash_request(TextRequest((TextPrompt("a" * (BLOCK_BYTES * 2 + 1)),)))) == 3
    assert len(hash_request(TextRequest((TokenPrompt(tuple(range(BLOCK_TOKENS * 2))),)))) == 2


def test_long_prompts_are_hashed_in_part() -> None:
    """Of a long prompt, and of one with many messages, only the first blocks are hashed."""
    assert len(_chat("a" * (BLOCK_BYTES * MAX_BLOCKS * 2))) == MAX_BLOCKS
    assert len(_chat(*["hello"] * MAX_BLOCKS * 2)) == MAX_BLOCKS


def test_every_prompt_of_a_text_request_has_hashes() -> None:
    """Texts, token ids, infills and edits have hashes; an empty prompt and other kinds of requests have none."""
    prompts: list[Prompt] = [
        TextPrompt("a"),
        TokenPrompt((1, 2)),
        InfillPrompt(TextPrompt("a"), "b"),
        EditPrompt("a", "b"),
        InfillPrompt(EmptyPrompt(), "a"),
    ]
    hashes = [hash_request(TextRequest((prompt,)))[-1] for prompt in prompts]
    assert len(set(hashes)) == len(prompts)
    assert hash_request(TextRequest((EmptyPrompt(),))) == []
    assert hash_request(TextRequest(())) == []
    assert hash_request(EmbeddingRequest((TextPrompt("a"),))) == []


def test_tools_and_parts_are_covered() -> None:
    """Tools, calls, results and the number of images change the hashes; the path of an image does not."""

    def hashes(*parts: Any, tools: ToolUse | None = None) -> tuple[int, ...]:
        return tuple(hash_request(TextRequest((ChatPrompt((Message("user", parts),), tools),))))

    image = [ImagePart(Attachment(Path(name))) for name in ("a", "b")]
    others = [
        hashes(TextPart("a")),
        hashes(TextPart("a"), tools=ToolUse((Tool("f", "Does.", "{}"),))),
        hashes(TextPart("a"), tools=ToolUse((Tool("f"),))),
        hashes(TextPart("a"), image[0]),
        hashes(TextPart("a"), *image),
        hashes(TextPart("a"), ReasoningPart("b")),
        hashes(ToolCallPart("1", "f", "{}")),
        hashes(ToolResultPart("1", "b")),
    ]
    assert len(set(others)) == len(others)
    assert hashes(image[0]) == hashes(image[1])


def test_lone_surrogates_are_hashed() -> None:
    """Text that is no valid Unicode is hashed, too."""
    assert _chat("\ud800") != _chat("\ud801")


def test_hashes_are_the_same_in_every_process() -> None:
    """Hashes do not depend on the process, as those of Python's `hash` do."""
    assert (hash_name("replica-1"), mixed(1, 2)) == (NAME, MIXED)
    assert _chat("You are helpful.", "你好") == CHAT


NAME, MIXED = 17359791545110547607, 3497101601492490161
CHAT = [13314854899798252697, 13581072242276072667]
