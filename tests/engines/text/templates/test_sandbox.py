"""A chat template renders as with `transformers`, and its errors are refusals."""

import time

import pytest

from homeport.engines.text.templates.sandbox import (
    ChatTemplateError,
    Run,
    SandboxedTemplate,
    TemplateStopped,
)


def render(source: str, **variables: object) -> str:
    return SandboxedTemplate(source).render([Run(variables, characters=100)])[0]


def test_renders_as_hubs_expect() -> None:
    """Blocks are trimmed, loops can break, JSON stays readable, and the date is available."""
    source = "{% for x in xs %}\n  {%- if x > 2 %}{% break %}{% endif %}\n  {{ x }}\n{% endfor %}\n{{ xs | tojson }}"
    assert render(source, xs=[1, 2, 3]) == "  1\n  2\n[1, 2, 3]"
    assert render("{{ {'a': '你<b>'} | tojson }}") == '{"a": "你<b>"}'
    assert render("{{ strftime_now('%Y') }}") == time.strftime("%Y")


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("{{ x | tojson }}", '{"b": "é<", "a": [1, 2]}'),
        ("{{ x | tojson(ensure_ascii=True) }}", '{"b": "\\u00e9<", "a": [1, 2]}'),
        ("{{ x | tojson(separators=(',', ':'), sort_keys=True) }}", '{"a":[1,2],"b":"é<"}'),
        ("{{ x.a | tojson(indent=2) }}", "[\n  1,\n  2\n]"),
        ("{{ x.a | tojson(False, 1) }}", "[\n 1,\n 2\n]"),
    ],
)
def test_json_has_the_parameters_of_transformers(source: str, text: str) -> None:
    """`tojson` has the parameters, order and defaults of `transformers`."""
    assert render(source, x={"b": "é<", "a": [1, 2]}) == text


def test_generation_is_a_block_that_does_nothing() -> None:
    """`{% generation %}` renders its content, in every form of the tag, and has its own scope."""
    source = (
        "{% for m in xs %}{% generation %}\n{% set y = m %}{{ y }}{%- endgeneration -%}\n{% if loop.last %}{% break %}"
        "{% endif %}{% endfor %}{{ y is defined }}"
    )
    assert render(source, xs=["a", "b"]) == "abFalse"


def test_state_in_loops() -> None:
    """Loops carry state in a `namespace`, and `continue` skips to the next iteration."""
    source = (
        "{% set ns = namespace(n=0) %}{% for x in xs %}{% if x is none %}{% continue %}{% endif %}"
        "{% set ns.n = ns.n + x %}{% endfor %}{{ ns.n }}"
    )
    assert render(source, xs=[1, None, 2]) == "3"


@pytest.mark.parametrize(
    "source",
    [
        "{% for %}",
        "{% generation %}",
        "{% unknown %}",
        "{% if x %}" * 500 + "{% endif %}" * 500,
        "{% for x in y %}" * 30 + "{% endfor %}" * 30,
        "{{ " + "(" * 500 + "x" + ")" * 500 + " }}",
    ],
)
def test_broken_source_is_refused(source: str) -> None:
    """Invalid source, and source that is nested too deeply to compile, is refused at compile time."""
    with pytest.raises(ChatTemplateError, match="broken"):
        SandboxedTemplate(source)


@pytest.mark.parametrize(
    "source",
    [
        "{{ raise_exception('Only user and assistant roles are supported!') }}",
        "{{ missing.attribute }}",
        "{{ messages + 1 }}",
        "{{ ''.__class__.__mro__ }}",
        "{% for m in messages %}{{ m.pop() }}{% endfor %}",
        "{{ 'x' * 10**9 }}",
        "{{ ('x' * 1000) * 1000000000 }}",
        "{{ [0] * 1000000000 }}",
        "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}",
    ],
)
def test_what_a_template_raises_is_refused(source: str) -> None:
    """Every error of a template becomes the same kind of refusal."""
    with pytest.raises(ChatTemplateError):
        render(source, messages=[{}])


def test_refusals_are_short() -> None:
    """A template's error message is shortened."""
    with pytest.raises(ChatTemplateError) as caught:
        render("{{ raise_exception(x) }}", x="y" * 5000)
    assert len(str(caught.value)) < 300


def test_output_is_limited() -> None:
    """A template that writes much more than its messages contain is stopped."""
    with pytest.raises(TemplateStopped, match="too much text"):
        render("{% for i in range(99999) %}{% for j in range(99999) %}0123456789{% endfor %}{% endfor %}")
