"""Finding and replacing the files of requests of every kind."""

import typing
from pathlib import Path

import msgspec
import pytest

from homeport.cluster.attached_files import File, list_files, replace_files
from homeport.domain.content import Attachment, ImagePart, Message, TextPart
from homeport.domain.embeddings import EmbeddingRequest
from homeport.domain.images import ImageRequest, ImageSource
from homeport.domain.models import Adapter
from homeport.domain.moderation import ModerationRequest
from homeport.domain.music import MusicRequest
from homeport.domain.shapes import ShapeRequest
from homeport.domain.speech import SpeechRequest
from homeport.domain.text import ChatPrompt, TextPrompt, TextRequest, TokenPrompt, TokenRequest
from homeport.domain.transcription import TranscriptionRequest
from homeport.domain.worker_messages import EngineRequest

A, B = Attachment(Path("/a")), Attachment(Path("/b"))
ADAPTER = Adapter("ft:x", B, "digest")
CHAT = ChatPrompt((Message("system", (TextPart("x"),)), Message("user", (TextPart("y"), ImagePart(A)))))
CASES: list[tuple[EngineRequest, list[File]]] = [
    (TextRequest((CHAT, TextPrompt("z")), adapter=ADAPTER), [A, ADAPTER]),
    (TextRequest((TokenPrompt(tuple(range(1000))),)), []),
    (TokenRequest((CHAT,)), [A]),
    (EmbeddingRequest((TextPrompt("x"), ImagePart(A), ImagePart(B))), [A, B]),
    (TranscriptionRequest(A), [A]),
    (SpeechRequest("x", "y"), []),
    (ModerationRequest(((TextPart("x"), ImagePart(A)), (ImagePart(B),))), [A, B]),
    (ImageRequest("x", source=ImageSource(A, B)), [A, B]),
    (ImageRequest("x"), []),
    (MusicRequest("x", 1, 30.0), []),
    (ShapeRequest((A, B, A)), [A, B, A]),
]


@pytest.mark.parametrize(("request_", "files"), CASES)
def test_files_are_found(request_: EngineRequest, files: list[File]) -> None:
    """Every file of a request is found, in order; an adapter counts as one."""
    assert list_files(request_) == files


@pytest.mark.parametrize(("request_", "files"), CASES)
def test_files_are_replaced(request_: EngineRequest, files: list[File]) -> None:
    """Every file is replaced, and nothing else; a request that is not changed stays the same object."""

    def to_blob(file: File) -> File:
        if isinstance(file, Adapter):
            return msgspec.structs.replace(file, file=Attachment(blob="/b"))
        return Attachment(blob=str(file.path))

    replaced = replace_files(request_, to_blob)
    assert list_files(replaced) == [to_blob(file) for file in files]
    assert (replaced is request_) == (not files)
    back = replace_files(
        replaced, lambda file: ADAPTER if isinstance(file, Adapter) else Attachment(Path(file.blob or ""))
    )
    assert back == request_


def test_every_kind_of_request_is_tried() -> None:
    """These tests cover each kind of engine request."""
    assert {type(request) for request, _ in CASES} == set(typing.get_args(EngineRequest))
