"""Chinese script: converted, and detected."""

import pytest

from homeport.engines.transcription.chinese_script import converter_to, script_of


def test_conversion_gives_one_script() -> None:
    """It converts both ways; other text is unchanged."""
    assert converter_to("simplified")("今天天氣很好, OK?") == "今天天气很好, OK?"
    assert converter_to("traditional")("今天天气很好, OK?") == "今天天氣很好, OK?"
    assert converter_to("traditional")("我們一起吃飯") == "我們一起吃飯"


@pytest.mark.parametrize(
    ("text", "script"),
    [("歡迎來到臺灣", "traditional"), ("欢迎来到台湾", "simplified"), ("你好", None), ("hello", None)],
)
def test_the_script_of_a_text_is_detected(text: str, script: str | None) -> None:
    """None if both scripts are the same, or the text is not Chinese."""
    assert script_of(text) == script
