"""Tests of the process that encodes pictures, with the colour eye."""

from pathlib import Path

import pytest

from homeport.domain.errors import Unavailable
from homeport.engines.text.executors.llama.executor import LlamaExecutor
from homeport.engines.text.media.encoder import EncoderFiles, MediaEncoder
from tests.conftest import NewChildren
from tests.engines.text.media.conftest import MakePicture

SQUARES = (" red", " blue", " green", " white")


def test_pictures_are_known_by_content_and_detail(encoder: MediaEncoder, make_picture: MakePicture) -> None:
    """Equal files have equal ids; another picture or a closer look has others."""
    first, again = encoder.read(make_picture(SQUARES)), encoder.read(make_picture(SQUARES))
    assert again is first
    assert len(first.ids) == len(SQUARES)
    assert encoder.read(make_picture(SQUARES, detail="high")) is first
    others = [encoder.read(make_picture(SQUARES[::-1])), encoder.read(make_picture(SQUARES, detail="low"))]
    assert not any(set(first.ids) & set(other.ids) for other in others)


def test_formats_give_the_same_colours(encoder: MediaEncoder, make_picture: MakePicture) -> None:
    """A lossless format gives the same embeddings as another one, and so does the size of the squares."""
    parts = [make_picture(SQUARES), make_picture(SQUARES, format="GIF"), make_picture(SQUARES, scale=3)]
    contents = [encoder.read(part) for part in parts]
    encoder.encode(list(zip(parts, contents, strict=True)))
    rows = [content.blocks[0].rows for content in contents]
    assert all(each is not None and rows[0] is not None and abs(each - rows[0]).max() < 0.01 for each in rows)
    assert encoder.encodes == 3


def test_a_bounded_number_of_embeddings_is_kept(
    qwen: Path, eye: Path, model: LlamaExecutor, make_picture: MakePicture
) -> None:
    """The picture used least recently is dropped, and then encoded again if it is needed."""
    row = 4 * model.traits.media_width * len(SQUARES)
    encoder = MediaEncoder(EncoderFiles(qwen, eye, 1), model.traits.media_width, max_kept_bytes=3 * row - 1)
    try:
        for order in (SQUARES, SQUARES[::-1], SQUARES, SQUARES[2:] * 2, SQUARES, SQUARES[::-1]):
            part = make_picture(order)
            encoder.encode([(part, encoder.read(part))])
        assert encoder.encodes == 4
    finally:
        encoder.close()


def test_a_projector_of_another_model_is_refused(smollm2: Path, eye: Path, make_picture: MakePicture) -> None:
    """A projector whose embeddings have another width is an error that names both files, each time."""
    encoder = MediaEncoder(EncoderFiles(smollm2, eye, 1), 576)
    try:
        for _ in range(2):
            with pytest.raises(
                Unavailable, match=r"mmproj-eye\.gguf cannot be used with SmolLM2.*n_embd = 576.*n_embd = 896"
            ):
                encoder.read(make_picture(SQUARES))
    finally:
        encoder.close()


def test_the_process_ends_with_its_owner(
    encoder: MediaEncoder, make_picture: MakePicture, new_children: NewChildren
) -> None:
    """Once closed, no process is left; one is started again when it is needed."""
    encoder.read(make_picture(SQUARES))
    assert len(new_children()) == 1
    encoder.close()
    assert new_children() == []
    encoder.read(make_picture(SQUARES[::-1]))
