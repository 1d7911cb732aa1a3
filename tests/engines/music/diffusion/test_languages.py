"""The language of lyrics is told by their script."""

import pytest

from homeport.engines.music.diffusion.languages import language_of


@pytest.mark.parametrize(
    ("lyrics", "language"),
    [
        ("Row your boat", "en"),
        ("", "en"),
        ("月亮代表我的心", "zh"),
        ("[verse]\n桜の花が", "ja"),
        ("사랑 노래", "ko"),
        ("Подмосковные вечера", "ru"),
    ],
)
def test_the_script_tells_the_language(lyrics: str, language: str) -> None:
    """Han alone is Chinese, with kana Japanese; Latin letters are taken for English."""
    assert language_of(lyrics) == language
