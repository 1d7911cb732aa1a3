"""Chinese script: folded where it is asked for, and told from a text."""

import pytest

from homeport.engines.transcription.chinese_script import converter_to, script_of


def test_folding_writes_one_script() -> None:
    """Either way; other text stays as it is."""
    assert converter_to("simplified")("今天天氣很好, OK?") == "今天天气很好, OK?"
    assert converter_to("traditional")("今天天气很好, OK?") == "今天天氣很好, OK?"
    assert converter_to("traditional")("我們一起吃飯") == "我們一起吃飯"


@pytest.mark.parametrize(
    ("text", "script"),
    [("歡迎來到臺灣", "traditional"), ("欢迎来到台湾", "simplified"), ("你好", None), ("hello", None)],
)
def test_a_text_shows_its_script(text: str, script: str | None) -> None:
    """None where both scripts write it alike, or it is not Chinese."""
    assert script_of(text) == script
