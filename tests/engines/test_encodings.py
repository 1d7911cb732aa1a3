"""OpenAI's token ids have the same meaning here."""

import pytest

from homeport.domain.errors import InvalidRequest
from homeport.engines import encodings

# Known from OpenAI's published examples and from the `tiktoken` package's own tests.
KNOWN = {
    "r50k_base": ([15496, 995, 0], b"Hello world!"),
    "p50k_base": ([15496, 995, 50280], b"Hello world" + b" " * 25),
    "p50k_edit": ([15496, 995, 0], b"Hello world!"),
    "cl100k_base": ([15339, 1917, 0], b"hello world!"),
    "o200k_base": ([24912, 2375, 0], b"hello world!"),
}
SIZES = {"r50k_base": 50256, "p50k_base": 50281, "p50k_edit": 50281, "cl100k_base": 100256, "o200k_base": 199998}


@pytest.mark.parametrize("name", encodings.NAMES)
def test_known_ids_decode(name: str) -> None:
    """Known ids of an encoding give their text."""
    ids, text = KNOWN[name]
    encoding = encodings.load(name)
    assert b"".join(encoding.token(id) for id in ids) == text


@pytest.mark.parametrize("name", encodings.NAMES)
def test_every_ordinary_id_decodes(name: str) -> None:
    """Every id up to the encoding's size has different bytes, all 256 single bytes among them."""
    encoding = encodings.load(name)
    tokens = [encoding.token(id) for id in range(SIZES[name]) if id not in encoding.special]
    assert len(set(tokens)) == len(tokens)
    assert {bytes((value,)) for value in range(256)} <= set(tokens)


@pytest.mark.parametrize("name", encodings.NAMES)
def test_other_ids_are_refused(name: str) -> None:
    """Special tokens and unknown ids are errors that name the id."""
    encoding = encodings.load(name)
    end = next(id for id, text in encoding.special.items() if text == encodings.END_OF_TEXT)
    for id, message in ((end, "endoftext"), (-1, "does not exist"), (SIZES[name] + 1000, "does not exist")):
        with pytest.raises(InvalidRequest, match=message):
            encoding.token(id)
