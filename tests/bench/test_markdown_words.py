"""The Markdown of the scripted engine."""

from itertools import islice

from bench.markdown_words import tokens


def test_tokens_join_to_markdown() -> None:
    """The tokens are short, do not repeat forever, and join to sections with code, tables and formulas."""
    found = list(islice(tokens(), 5000))
    assert max(len(token.strip()) for token in found) <= 5
    text = "".join(found)
    for section in (1, 2, 5):
        assert f"\n## Section {section}\n" in f"\n{text}"
        assert f"\n\n```python\ndef total_{section}(" in text
    assert "\n\n| name | requests | share |\n|---|--:|--:|\n" in text
    assert "\n\n$$" in text
    assert text.count("```") >= 10
