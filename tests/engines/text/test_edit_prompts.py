"""Edits return the edited text only."""

import numpy as np
import pytest

from homeport.domain.text import (
    EditPrompt,
    SamplingParams,
    StoppingCriteria,
    TextRequest,
)
from homeport.engines.text import edit_prompts
from homeport.engines.text.detokenizer import Detokenizer
from homeport.engines.text.executor import TokenBatch
from homeport.engines.text.executors.llama.executor import LlamaExecutor
from homeport.engines.text.prompt_processor import PromptProcessor
from homeport.engines.text.sampling import LogitBias, TokenSampler, sample
from homeport.engines.text.stop_strings import StopStrings


def answer(executor: LlamaExecutor, prompt: EditPrompt) -> tuple[str, bool]:
    """Return the model's answer at temperature 0, and whether it closed the fence."""
    request = TextRequest((prompt,), stopping=StoppingCriteria(max_tokens=60))
    prepared = PromptProcessor(executor, executor.traits.window).prepare(request).prompts[0]
    detokenizer = Detokenizer(executor.vocabulary, StopStrings(prepared.stop), scores=False)
    sampler = TokenSampler(SamplingParams(temperature=0.0), seed=0, choice=0, bias=LogitBias.of({}))
    executor.release([0])
    ids, start, text = list(prepared.ids), 0, ""
    for _ in range(60):
        size = len(ids)
        positions = np.arange(start, start + size, dtype=np.int32)
        wanted = np.array([size - 1], dtype=np.int32)
        logits = executor.forward(
            TokenBatch(np.array(ids, dtype=np.int32), positions, np.zeros(size, dtype=np.int32), wanted)
        )
        ids, start = [int(sample(logits, [sampler])[0])], start + size
        if ids[0] in prepared.end_tokens:
            break
        text += detokenizer.push(ids[0], None).text
        if detokenizer.stopped:
            break
    return text + detokenizer.close().text, detokenizer.stopped


@pytest.mark.parametrize(
    ("text", "instruction", "expected"),
    [
        ("What day of the wek is it?", "Fix the spelling mistakes", "What day of the week is it?"),
        (
            "The meeting is on Monday. Bring a laptop.",
            "Change Monday to Tuesday",
            "The meeting is on Tuesday. Bring a laptop.",
        ),
        (
            "def f(x):\n    y = x + 1\n    return y\n",
            "Rename the variable y to total",
            "def f(x):\n    total = x + 1\n    return total\n",
        ),
        ("我喜欢红色的苹果。", "把红色改成绿色", "我喜欢绿色的苹果。"),
    ],
)
def test_only_the_edited_text_comes_back(coder: LlamaExecutor, text: str, instruction: str, expected: str) -> None:
    """The default model answers real edits with exactly the edited text, to the last line break."""
    assert answer(coder, EditPrompt(text, instruction)) == (expected, True)


def test_fence_is_longer_than_the_texts_own() -> None:
    """Backquotes in text or instruction make the fence longer, so that the text cannot end the answer."""
    edit = edit_prompts.build_edit_conversation(EditPrompt("```py\nx\n```", "use ````"))
    assert edit.answer_prefix == "`````\n"
    assert edit.stop == "\n`````"


def test_braces_are_text() -> None:
    """Braces in text and instruction are not format fields."""
    (message,) = edit_prompts.build_edit_conversation(EditPrompt("{fence} {0}", "{instruction}")).messages
    assert "{fence} {0}" in message.text
    assert "Instruction: {instruction}" in message.text
