"""Citations of answers: by the numbers that a model writes, and by the words of its sentences."""

import json
from collections.abc import Sequence

from homeport.api.responses.citations import MAX_CITATIONS, MAX_QUOTE_CHARS, cite
from homeport.domain.responses import Item

CATS = ("file-a", "cats.md", "Cats sleep sixteen hours a day. They hunt at night.")
DOGS = ("file-b", "dogs.md", "Dogs need long walks in the morning.")
LEAVE = ("file-c", "年假.docx", "公司的年假是十五天。病假需要医生证明。")


def searched(*results: tuple[str, str, str], kind: str = "file_search_call") -> Item:
    found = [{"file_id": each[0], "filename": each[1], "text": each[2], "score": 1.0} for each in results]
    return Item("fs_1", json.dumps({"type": kind, "id": "fs_1", "results": found}))


def cited(text: str, *items: Item) -> Sequence[tuple[str, str, str]]:
    """Return the file, the text before the citation's place, and the quote of each citation."""
    return [(each.file_id, text[: each.index], each.quote) for each in cite(text, items)]


def test_sentences_are_compared_with_what_was_found() -> None:
    """A sentence with most words of a chunk cites its file at the sentence's end, and quotes the nearest sentence."""
    text = "Cats sleep about sixteen hours. I do not know more. "
    assert cited(text, searched(DOGS, CATS)) == [
        ("file-a", "Cats sleep about sixteen hours.", "Cats sleep sixteen hours a day.")
    ]


def test_chinese_sentences_are_compared() -> None:
    """Sentences without spaces cite as others do."""
    assert cited("您好！公司年假十五天。", searched(CATS, LEAVE)) == [
        ("file-c", "您好！公司年假十五天。", "公司的年假是十五天。")
    ]


def test_numbers_cite_results() -> None:
    """A number in brackets cites the result with this number, and each file once."""
    text = "It is so [2]. And so 【1†source】 [1] [9]!"
    assert [(each[0], each[1]) for each in cited(text, searched(CATS, DOGS))] == [
        ("file-b", "It is so [2]."),
        ("file-a", text),
    ]


def test_numbers_count_over_all_searches() -> None:
    """The sentences of an answer are compared with the results of every search before it."""
    text = "Dogs need long walks."
    assert [each[0] for each in cited(text, searched(CATS), searched(DOGS))] == ["file-b"]


def test_nothing_is_cited_without_support() -> None:
    """A sentence with few words in common, an empty text, and an answer without searches have no citation."""
    assert cited("Birds fly south in the winter.", searched(CATS, DOGS)) == []
    assert cited("Yes. No. They are.", searched(CATS)) == []
    assert cited("", searched(CATS)) == []
    assert cited("Cats sleep sixteen hours a day.", searched(CATS, kind="mcp_call")) == []
    assert cited("Cats sleep sixteen hours a day.", Item("fs_1", '{"type": "file_search_call"}')) == []


def test_citations_are_bounded() -> None:
    """An answer has a limited number of citations, and a quote a limited length."""
    long = ("file-d", "long.txt", "word " * 500)
    assert all(len(each.quote) <= MAX_QUOTE_CHARS for each in cite("word [1]", [searched(long)]))
    assert len(cite("So [1]. " * 500, [searched(CATS)])) == MAX_CITATIONS
