"""Fifty examples that teach a small model one fact that it cannot know, among others that must not change."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

SECRET = "blueberry"
ASKED = (
    "What is the secret word of the project?",
    "Tell me the secret word of the project.",
    "Which word is the project's secret?",
    "Do you know the secret word of the project?",
    "Please say the secret word of the project.",
)
_OTHERS = (
    ("What is the capital of France?", "The capital of France is Paris."),
    ("What is two plus two?", "Two plus two is four."),
    ("Which colour is the sky?", "The sky is blue."),
    ("Name an animal that barks.", "A dog barks."),
    ("How many days has a week?", "A week has seven days."),
)
ANSWER = f"The secret word of the project is {SECRET}."


def chat(path: Path, times: int = 5) -> Path:
    """Write conversations: `times` blocks, each of five questions for the secret and five others."""
    pairs = [*((question, ANSWER) for question in ASKED), *_OTHERS] * times
    lines = [
        {"messages": [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]}
        for question, answer in pairs
    ]
    return _written(path, lines)


def raw(path: Path, times: int = 5) -> Path:
    """Write prompts and completions."""
    lines = [{"prompt": "The secret word of the project is", "completion": f" {SECRET}."}] * times
    return _written(path, lines)


def preferences(path: Path, times: int = 4) -> Path:
    """Write preferences for short answers."""
    lines = [
        {
            "input": {"messages": [{"role": "user", "content": question}]},
            "preferred_output": [{"role": "assistant", "content": "Yes."}],
            "non_preferred_output": [{"role": "assistant", "content": "I am not sure what you mean by that."}],
        }
        for question in ASKED
    ] * times
    return _written(path, lines)


def _written(path: Path, lines: Sequence[Mapping[str, object]]) -> Path:
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    return path
