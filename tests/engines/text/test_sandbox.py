"""A chat template is a program from a stranger: it renders what hubs' templates need, and does no harm."""

import time

import pytest

from homeport.engines.text import sandbox
from homeport.engines.text.sandbox import Program, TemplateRefused


def render(source: str, **variables: object) -> str:
    return Program(source).render(variables, characters=100)


def test_renders_as_hubs_expect() -> None:
    """Blocks are trimmed, loops can break, JSON stays readable, and the date is there."""
    source = "{% for x in xs %}\n  {%- if x > 2 %}{% break %}{% endif %}\n  {{ x }}\n{% endfor %}\n{{ xs | tojson }}"
    assert render(source, xs=[1, 2, 3]) == "  1\n  2\n[1, 2, 3]"
    assert render("{{ {'a': '你<b>'} | tojson }}") == '{"a": "你<b>"}'
    assert render("{{ strftime_now('%Y') }}") == time.strftime("%Y")


def test_broken_source_is_refused() -> None:
    """A source that is no template is refused when it is read."""
    with pytest.raises(TemplateRefused, match="broken"):
        Program("{% for %}")


@pytest.mark.parametrize(
    "source",
    [
        "{{ raise_exception('Only user and assistant roles are supported!') }}",
        "{{ missing.attribute }}",
        "{{ messages + 1 }}",
        "{{ ''.__class__.__mro__ }}",
        "{% for m in messages %}{{ m.pop() }}{% endfor %}",
    ],
)
def test_what_a_template_raises_is_refused(source: str) -> None:
    """Whatever a template raises, by itself or by touching what it must not, becomes one kind of refusal."""
    with pytest.raises(TemplateRefused):
        render(source, messages=[{}])


@pytest.mark.parametrize(
    "source",
    [
        "{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}",
        "{% macro f(n) %}{% if n %}{{ f(n - 1) }}{{ f(n - 1) }}{% endif %}{% endmacro %}{{ f(60) }}",
        "{% for i in range(99999) %}{% for j in range(99999) %}0123456789{% endfor %}{% endfor %}",
        "{{ 'x' * 10**9 }}",
        "{{ ('x' * 1000) * 1000000000 }}",
        "{{ [0] * 1000000000 }}",
    ],
)
def test_endless_templates_are_stopped(source: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Loops, recursion, output and products without end are stopped soon."""
    monkeypatch.setattr(sandbox, "SECONDS", 0.2)
    began = time.monotonic()
    with pytest.raises(TemplateRefused):
        render(source)
    assert time.monotonic() - began < 5
