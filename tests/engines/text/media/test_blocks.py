"""What stands for media in prompts: ids from content, and places where a prompt may be cut."""

import pytest

from homeport.engines.text.media.blocks import cut_outside, media_ids


def test_ids_depend_on_the_content_alone() -> None:
    """The same content has the same ids, also in another process; they are negative and fit 32 bits."""
    ids = media_ids(b"picture", 1000)
    assert ids[:2] == (-1694952776, -387048594)
    assert ids == media_ids(b"picture", 1000)
    assert ids[:10] == media_ids(b"picture", 10)
    assert all(-(1 << 31) <= id < 0 for id in ids)
    assert len(set(ids) | set(media_ids(b"other", 1000))) == 2000


@pytest.mark.parametrize(("length", "cut"), [(0, 0), (1, 1), (2, 1), (3, 1), (4, 4), (5, 5), (6, 5), (7, 7)])
def test_a_prompt_is_cut_outside_of_media(length: int, cut: int) -> None:
    """A length within the ids of media becomes the one before them; one at their end stays."""
    assert cut_outside([5, -1, -2, -3, 6, -4, -5], length) == cut
