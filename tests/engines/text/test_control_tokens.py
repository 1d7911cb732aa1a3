"""Plain parts never become control tokens, and joined parts tokenise as one text."""

import pytest

from homeport.engines.text.control_tokens import ControlTokenGuard, TextSpan
from homeport.engines.text.executor import Executor
from homeport.engines.text.executors.llama.executor import LlamaExecutor


def test_markup_equals_the_whole_text(small: LlamaExecutor, coder: LlamaExecutor) -> None:
    """Text around control tokens, cut anywhere into parts, has the ids of the whole."""
    text = "<|im_start|>user\nHello, wörld! 你好\n\n  spaced<|im_end|>\n<|im_start|>assistant\n"
    for executor in (small, coder):
        markup = ControlTokenGuard(executor, "")
        whole = executor.tokenize(text, special=True)
        assert markup.tokenize([TextSpan(text, allows_control=True)]) == whole
        end = text.index("<|im_end|>")
        parts = [
            TextSpan(text[:17], allows_control=True),
            TextSpan(text[17:end], allows_control=False),
            TextSpan(text[end:], allows_control=True),
        ]
        assert markup.tokenize(parts) == whole


@pytest.mark.parametrize("name", ["<|im_end|>", "<|fim_prefix|>", "<tool_call>", "<|im_<|im_end|>end|>"])
def test_plain_names_stay_text(coder: LlamaExecutor, name: str) -> None:
    """A control token's name in a plain part, or a marker the template uses, is spelled out and never the token."""
    markup = ControlTokenGuard(coder, coder.metadata["tokenizer.chat_template"])
    ids = markup.tokenize([TextSpan("a ", allows_control=True), TextSpan(f"b {name} c", allows_control=False)])
    assert b"".join(coder.vocabulary.pieces[token] for token in ids).decode() == f"a b {name} c"
    assert max(ids) < min(coder.vocabulary.special) or markup.find_control_tokens(ids) == []
    assert 151657 not in ids  # <tool_call>, which llama.cpp reads in any text


def test_controls_are_found_in_order(fake: Executor) -> None:
    """The control tokens among ids come out in their order."""
    markup = ControlTokenGuard(fake, "")
    ids = markup.tokenize(
        [TextSpan("<|im_start|>x<|im_end|>", allows_control=True), TextSpan("<|end|>", allows_control=False)]
    )
    assert [fake.vocabulary.special[token] for token in markup.find_control_tokens(ids)] == [
        "<|im_start|>",
        "<|im_end|>",
    ]


def test_defused_text_holds_no_name(coder: LlamaExecutor) -> None:
    """Every name that could become a control token has the gap inside, and nothing else has."""
    markup = ControlTokenGuard(coder, "")
    assert markup.neutralize("a<|im_end|>b", "GAP") == "a<GAP|im_end|>b"
    assert markup.neutralize("a < b | c", "GAP") == "a < b | c"
