"""Plain spans never become control tokens, and joined spans are tokenized as one text."""

import pytest

from homeport.engines.text.executor import Executor
from homeport.engines.text.executors.llama.executor import LlamaExecutor
from homeport.engines.text.templates.control_tokens import ControlTokenGuard, TextSpan


def test_markup_equals_the_whole_text(small: LlamaExecutor, coder: LlamaExecutor) -> None:
    """Text around control tokens, split anywhere into spans, has the ids of the whole text."""
    text = "<|im_start|>user\nHello, wörld! 你好\n\n  spaced<|im_end|>\n<|im_start|>assistant\n"
    for executor in (small, coder):
        guard = ControlTokenGuard(executor, "")
        whole = executor.tokenize(text, special=True)
        assert guard.tokenize([TextSpan(text, allows_control=True)]) == whole
        end = text.index("<|im_end|>")
        spans = [
            TextSpan(text[:17], allows_control=True),
            TextSpan(text[17:end], allows_control=False),
            TextSpan(text[end:], allows_control=True),
        ]
        assert guard.tokenize(spans) == whole


@pytest.mark.parametrize("name", ["<|im_end|>", "<|fim_prefix|>", "<tool_call>", "<|im_<|im_end|>end|>"])
def test_plain_names_stay_text(coder: LlamaExecutor, name: str) -> None:
    """A control token's name or a template's marker in a plain span is tokenized as text, never as the token."""
    guard = ControlTokenGuard(coder, coder.metadata["tokenizer.chat_template"])
    ids = guard.tokenize([TextSpan("a ", allows_control=True), TextSpan(f"b {name} c", allows_control=False)])
    assert b"".join(coder.vocabulary.pieces[token] for token in ids).decode() == f"a b {name} c"
    assert max(ids) < min(coder.vocabulary.special) or guard.find_control_tokens(ids) == []
    assert 151657 not in ids  # <tool_call>, which llama.cpp reads in any text


def test_controls_are_found_in_order(fake: Executor) -> None:
    """The control tokens among ids are returned in order."""
    guard = ControlTokenGuard(fake, "")
    ids = guard.tokenize(
        [TextSpan("<|im_start|>x<|im_end|>", allows_control=True), TextSpan("<|end|>", allows_control=False)]
    )
    assert [fake.vocabulary.special[token] for token in guard.find_control_tokens(ids)] == [
        "<|im_start|>",
        "<|im_end|>",
    ]


def test_neutralized_text_has_no_names(coder: LlamaExecutor) -> None:
    """Every name that could become a control token has the gap inside, and nothing else has."""
    guard = ControlTokenGuard(coder, "")
    assert guard.neutralize("a<|im_end|>b", "GAP") == "a<GAP|im_end|>b"
    assert guard.neutralize("a < b | c", "GAP") == "a < b | c"


def test_thoughts_are_kept_up_to_the_first_end(coder: LlamaExecutor) -> None:
    """On request the marks of the first thought stay whole, because templates look for them; later ones do not."""
    guard = ControlTokenGuard(coder, "<think></think><tool_call>")
    text = "<think><tool_call></think>a<think>b</think>"
    assert guard.neutralize(text, "|", keeps_thoughts=True) == "<think><|tool_call></think>a<think>b</think>"
    assert guard.neutralize("<think><|im_end|>", "~", keeps_thoughts=True) == "<think><~|im_end|>"


def test_separated_text_completes_no_name(coder: LlamaExecutor) -> None:
    """Names, their parts at both ends, and names that need only brackets have a gap inside; other text has none."""
    guard = ControlTokenGuard(coder, coder.metadata["tokenizer.chat_template"])
    for text, separated in (
        ("a<tool_call>b", "a<~tool_call>b"),
        ("a<tool_ca", "a<~tool_ca"),
        ("_call>b", "_call~>b"),
        ("<|im_end|><|im_end|>", "<~|im_end|><~|im_end|>"),
        ("a < b > c", "a < b > c"),
        ("tool_call", "tool_call"),
    ):
        assert guard.separate(text, "~") == separated
    assert guard.separate("tool_call", "~", is_name=True) == "t~ool_call"
    assert guard.separate("city", "~", is_name=True) == "city"


def test_a_gap_separates_without_a_trace(coder: LlamaExecutor) -> None:
    """A gap inside a name leaves the text as it is, and makes no token of it."""
    guard = ControlTokenGuard(coder, coder.metadata["tokenizer.chat_template"])
    ids = guard.tokenize([TextSpan("x<~|im_end|><~tool_call><|im_end|>", allows_control=True)], gap="~")
    pieces = [coder.vocabulary.special.get(id, "").encode() or coder.vocabulary.pieces[id] for id in ids]
    assert b"".join(pieces) == b"x<|im_end|><tool_call><|im_end|>"
    assert pieces.count(b"<|im_end|>") == 1
    assert b"<tool_call>" not in pieces


def test_two_texts_make_no_marker(coder: LlamaExecutor) -> None:
    """A marker whose halves are at the edges of two adjacent texts stays text."""
    guard = ControlTokenGuard(coder, coder.metadata["tokenizer.chat_template"])
    ids = guard.tokenize([TextSpan("x<tool_", allows_control=False), TextSpan("call>y", allows_control=False)])
    assert b"".join(coder.vocabulary.pieces[token] for token in ids) == b"x<tool_call>y"
    assert 151657 not in ids
