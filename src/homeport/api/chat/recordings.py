"""Recordings in the messages of a chat: found, checked, and saved as files for a worker.

Bounds their number and size before any work. Knows nothing of models, and decodes no audio.
"""

import base64
import binascii
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from homeport.api.chat.schema import AudioReference, ChatMessageParam, ContentPartBody, InputAudioBody
from homeport.domain import validation
from homeport.domain.errors import InvalidRequest, excerpt

MAX_RECORDINGS = 128
"""The maximum number of recordings in a request. Their size is limited with the body's."""
FORMATS = ("wav", "mp3")
_KIND = "input_audio"


class ChatRecording(NamedTuple):
    """A recording of a message. `param` names its part in errors; `encoded`: the file as base64."""

    param: str
    encoded: str


class AudioHistory(NamedTuple):
    """What the audio in the messages of a request stands for.

    `recordings`: their files, by the name of their part. `transcripts`: the texts of earlier spoken answers, by id.
    """

    recordings: Mapping[str, Path] = {}
    transcripts: Mapping[str, str] = {}


NO_AUDIO = AudioHistory()


def find_recordings(messages: Sequence[ChatMessageParam]) -> list[ChatRecording]:
    """Return the recordings of all messages, checked. Raises InvalidRequest naming the field."""
    recordings = [_to_recording(part, place) for place, part in _audio_parts(messages)]
    if len(recordings) > MAX_RECORDINGS:
        raise InvalidRequest(
            f"Invalid 'messages': they have {len(recordings)} recordings, and a request may have {MAX_RECORDINGS}.",
            param="messages",
            code="too_many_recordings",
        )
    return recordings


def save_recordings(recordings: Sequence[ChatRecording], folder: Path) -> dict[str, Path]:
    """Write recordings to files that only this user can read; return them by name.

    Raises InvalidRequest for bad base64.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    saved: dict[str, Path] = {}
    for number, recording in enumerate(recordings):
        path = saved[recording.param] = folder / f"recording-{number}"
        path.touch(mode=0o600)
        path.write_bytes(_decode(recording))
    return saved


def spoken_text(audio: AudioReference, place: str, transcripts: Mapping[str, str]) -> str:
    """Return the text of an earlier spoken answer. Raises InvalidRequest if it is not known."""
    if audio.transcript is not None:
        return audio.transcript
    if audio.id is None:
        raise validation.missing(f"{place}.id")
    if audio.id not in transcripts:
        raise InvalidRequest(
            f"Invalid '{place}.id': the audio '{excerpt(audio.id, 100)}' has expired or never existed. Send its "
            "transcript as the message's 'content'.",
            param=f"{place}.id",
            code="audio_not_found",
        )
    return transcripts[audio.id]


def unknown_ids(messages: Sequence[ChatMessageParam]) -> set[str]:
    """Return the ids of earlier spoken answers whose transcripts the messages do not contain."""
    found = (each.audio for each in messages if each.audio is not None and not each.content)
    return {audio.id for audio in found if audio.id is not None and audio.transcript is None}


def _audio_parts(messages: Sequence[ChatMessageParam]) -> Iterator[tuple[str, ContentPartBody]]:
    for at, message in enumerate(messages):
        for number, part in enumerate(message.content if isinstance(message.content, list) else ()):
            if part.type == _KIND and message.role == "user":
                yield f"messages[{at}].content[{number}]", part


def _to_recording(part: ContentPartBody, place: str) -> ChatRecording:
    audio: InputAudioBody | None = part.input_audio
    if audio is None:
        raise validation.missing(f"{place}.{_KIND}")
    if audio.data is None:
        raise validation.missing(f"{place}.{_KIND}.data")
    if audio.format is None:
        raise validation.missing(f"{place}.{_KIND}.format")
    validation.check_choice(f"{place}.{_KIND}.format", audio.format, FORMATS)
    return ChatRecording(place, audio.data)


def _decode(recording: ChatRecording) -> bytes:
    param = f"{recording.param}.{_KIND}.data"
    try:
        data = base64.b64decode(recording.encoded, validate=True)
    except (binascii.Error, ValueError) as error:
        raise InvalidRequest(f"Invalid '{param}': this is not base64.", param=param, code="invalid_base64") from error
    if not data:
        raise InvalidRequest(f"Invalid '{param}': the recording is empty.", param=param, code="invalid_value")
    return data
