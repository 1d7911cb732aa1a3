"""An answer is followed token by token in its grammar."""

import json
import random

import numpy as np
import pytest

from homeport.engines.text.constraint import Constraint, ConstraintFailed
from homeport.engines.text.executors.llama.executor import LlamaExecutor
from homeport.engines.text.grammar import matcher
from homeport.engines.text.grammar.compiler import LlguidanceCompiler
from homeport.engines.text.grammar.matcher import LlguidanceConstraint
from tests.engines.text.fake_executor import END, IM_END, IM_START, SIZE

ENDS = {END, IM_END}


def start(compiler: LlguidanceCompiler, source: str) -> LlguidanceConstraint:
    return compiler.compile(source, param="grammar").start()


def accept(constraint: Constraint, text: bytes) -> None:
    for token in text:
        assert constraint.allows(token)
        constraint.accept(token)


def allowed(constraint: Constraint) -> set[int]:
    return set(np.flatnonzero(constraint.mask()).tolist())


def test_mask_and_check_agree(compiler: LlguidanceCompiler) -> None:
    """The mask holds exactly the tokens that are allowed one by one, of the whole vocabulary."""
    constraint = start(compiler, "start: /[a-c]+/")
    assert constraint.mask().shape == (SIZE,)
    assert allowed(constraint) == set(b"abc") == {token for token in range(SIZE) if constraint.allows(token)}
    accept(constraint, b"ab")
    assert allowed(constraint) == set(b"abc") | ENDS == {token for token in range(SIZE) if constraint.allows(token)}


def test_forced_tokens_are_the_only_continuation(compiler: LlguidanceCompiler) -> None:
    """Literal text is forced up to the next choice, and nothing is forced at a choice."""
    constraint = start(compiler, 'start: "name: " ("Ada" | "Bob") "!"')
    assert bytes(constraint.forced()) == b"name: "
    accept(constraint, b"name: ")
    assert not constraint.forced()
    accept(constraint, b"B")
    assert bytes(constraint.forced()) == b"ob!"
    accept(constraint, b"ob!")
    assert constraint.is_complete
    assert not constraint.forced()
    assert {token for token in range(SIZE) if constraint.allows(token)} == ENDS == allowed(constraint)


def test_control_tokens_are_no_text(compiler: LlguidanceCompiler) -> None:
    """Text never matches a control token; the grammar names it by its id, also an end token."""
    constraint = start(compiler, "start: /(.|\\n)*/")
    assert not constraint.allows(IM_START)
    assert allowed(constraint) & {*range(256, SIZE)} == ENDS
    constraint = start(compiler, f'start: "a" <[{IM_END}]> "b"')
    assert list(constraint.forced()) == [97, IM_END, 98]
    accept(constraint, b"a")
    assert allowed(constraint) == {IM_END}
    assert constraint.allows(IM_END)
    assert not constraint.allows(END)


def test_an_end_token_completes_an_answer(compiler: LlguidanceCompiler) -> None:
    """Where the text may end, an end token is accepted, and then nothing but the end."""
    constraint = start(compiler, "start: /a*/")
    assert not constraint.is_complete
    constraint.accept(IM_END)
    assert constraint.is_complete


def test_a_token_outside_the_grammar_fails(compiler: LlguidanceCompiler) -> None:
    """Accepting a token that is not allowed raises, then and later, and other answers go on."""
    grammar = compiler.compile("start: /a*/", param="grammar")
    first, second = grammar.start(), grammar.start()
    for _ in range(2):
        with pytest.raises(ConstraintFailed, match="left"):
            first.accept(ord("b"))
    assert not first.is_complete
    accept(second, b"aaa")


def test_too_much_work_in_a_step_fails_that_answer(compiler: LlguidanceCompiler) -> None:
    """More alternatives than the limits allow raise once they are reached, and no mask is returned any more."""
    many = " | ".join(f'"{number}" b' for number in range(3_000))
    constraint = start(compiler, f'start: "w" | "x" a\na: {many}\nb: /[a-z]/')
    assert allowed(constraint) == set(b"wx")
    with pytest.raises(ConstraintFailed, match="too complex"):
        accept(constraint, b"x7b")
    with pytest.raises(ConstraintFailed, match="too complex"):
        constraint.mask()
    assert not constraint.is_complete


def test_long_steps_end_an_answer(compiler: LlguidanceCompiler, monkeypatch: pytest.MonkeyPatch) -> None:
    """Steps that take long together raise, before the answer stalls others any longer."""
    constraint = start(compiler, "start: /a*/")
    monkeypatch.setattr(matcher, "_LONG_S", 0.0)
    monkeypatch.setattr(matcher, "_MAX_LONG_S", 0.0)
    for call in (constraint.mask, lambda: constraint.allows(ord("a"))):
        with pytest.raises(ConstraintFailed, match="too complex"):
            call()


def test_random_answers_are_well_formed(small: LlamaExecutor, real_compiler: LlguidanceCompiler) -> None:
    """With a real vocabulary, forced tokens are allowed and stay the same, and each complete answer is valid."""
    properties = {"unit": {"enum": ["celsius", "fahrenheit"]}, "n": {"type": "integer", "minimum": 0, "maximum": 40}}
    schema = {"type": "object", "properties": properties, "required": ["unit", "n"], "additionalProperties": False}
    term = real_compiler.json_schema(json.dumps(schema), param="tools", compact=True)
    grammar = real_compiler.compile(f'start: "<call>" value "</call>"\nvalue: {term}', param="tools")
    chance, pieces, n_forced = random.Random(0), small.vocabulary.pieces, 0
    for _ in range(20):
        constraint, answer = grammar.start(), list[int]()
        expected: list[int] = []
        while not constraint.is_complete:
            forced = list(constraint.forced())
            assert forced[: len(expected)] == expected[: len(forced)]
            expected = forced[1:]
            token = forced[0] if forced else chance.choice(np.flatnonzero(constraint.mask()).tolist())
            n_forced += bool(forced)
            constraint.accept(token)
            answer.append(token)
        text = b"".join(pieces[token] for token in answer).decode()
        value = json.loads(text.removeprefix("<call>").removesuffix("</call>"))
        assert list(value) == ["unit", "n"]
        assert value["unit"] in ("celsius", "fahrenheit")
        assert 0 <= value["n"] <= 40
    assert n_forced > 20 * 8
