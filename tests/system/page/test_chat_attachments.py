"""Attachments of the chat's messages: pictures, recordings and texts; and dictation."""

import base64
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from homeport.models.model_store import ModelStore
from tests.samples import audio_samples, colour_eye
from tests.system.page.conftest import Visiting
from tests.system.page.visits import Visit
from tests.system.seeing_model import NAME as EYE
from tests.system.seeing_model import install_seeing_model
from tests.system.server import ServerProcess, running

PICTURE = colour_eye.picture((" red", " blue", " green", " white"))
GIVE = """([selector, name, type, base64, events]) => {
    const bytes = Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
    const files = new DataTransfer();
    files.items.add(new File([bytes], name, {type}));
    const options = {dataTransfer: files, clipboardData: files, bubbles: true, cancelable: true};
    for (const event of events) {
        const kind = event === "paste" ? ClipboardEvent : DragEvent;
        document.querySelector(selector).dispatchEvent(new kind(event, options));
    }
}"""
"""Pastes or drops a file."""


@pytest.fixture(scope="module")
def seeing_server(tmp_path_factory: pytest.TempPathFactory, qwen: Path, smollm2: Path) -> Iterator[ServerProcess]:
    """A server with a model that sees and one that does not, in a home of its own."""
    folder = tmp_path_factory.mktemp("seeing_server")
    install_seeing_model(folder, qwen)
    ModelStore(folder / "home").folder("smollm2-135m").symlink_to(smollm2.parent, target_is_directory=True)
    flags = ("--model", EYE, "--default-model", EYE)
    with running(folder / "log", *flags, HOME=str(folder / "home"), WINDOW="2048", PROMPTS="off") as started:
        yield started


def attach(seen: Visit, name: str, data: bytes, media_type: str = "") -> None:
    """Choose a file in the dialog of the button."""
    file = {"name": name, "mimeType": media_type, "buffer": data}
    seen.page.locator(".composer input[type=file]").set_input_files([file])


def send(seen: Visit, text: str) -> Any:
    """Send the message; return its content as it is sent."""
    with seen.page.expect_request("**/v1/chat/completions") as sent:
        seen.find("textbox", "Write a message").fill(text)
        seen.find("button", "Send").click()
    return sent.value.post_data_json["messages"][-1]["content"]


def encoded(data: bytes) -> str:
    """Return bytes as base64."""
    return base64.b64encode(data).decode()


def test_a_text_file_is_sent_and_shown(server: ServerProcess, visit: Visiting) -> None:
    """A text file becomes a part of the message with its name; it is folded, and stays when the text is edited."""
    seen = visit(server, "#/chat")
    seen.find("textbox", "Write a message").wait_for()
    seen.set_in_requests(max_tokens=3)
    attach(seen, "my notes.py", "print('你好')\r\n# ``` fence\n".encode())
    seen.page.locator(".attachment").wait_for()
    content = send(seen, "What is this?")
    block = "my notes.py:\n````python\nprint('你好')\n# ``` fence\n````\n\n"
    assert content == [{"type": "text", "text": block}, {"type": "text", "text": "What is this?"}]
    seen.page.locator(".message-foot").wait_for()
    assert seen.page.locator(".message-error").count() == 0
    assert seen.page.locator(".attachment").count() == 0
    assert seen.page.locator(".bubble").inner_text() == "What is this?"
    seen.page.locator(".sent-file summary").click()
    assert "# ``` fence" in seen.page.locator(".sent-file pre").inner_text()
    seen.page.locator(".message-user").hover()
    seen.page.locator(".message-edit").click()
    seen.page.locator(".edit-form textarea").fill("And this?")
    with seen.page.expect_request("**/v1/chat/completions") as sent:
        seen.page.locator(".edit-form").get_by_role("button", name="Send").click()
    assert sent.value.post_data_json["messages"][-1]["content"] == [content[0], {"type": "text", "text": "And this?"}]


@pytest.mark.parametrize(
    ("name", "data", "text"),
    [
        ("旧.txt", "编码：简体中文".encode("gb18030"), "编码：简体中文"),
        ("w.csv", "\ufeffä;b".encode("utf-16le"), "ä;b"),
    ],
)
def test_old_encodings_are_read(server: ServerProcess, visit: Visiting, name: str, data: bytes, text: str) -> None:
    """Texts in the encodings of old Chinese files and of Windows are read."""
    seen = visit(server, "#/chat")
    seen.find("textbox", "Write a message").wait_for()
    seen.set_in_requests(max_tokens=1)
    attach(seen, name, data)
    seen.page.locator(".attachment").wait_for()
    assert f"\n{text}\n" in send(seen, "")[0]["text"]


@pytest.mark.parametrize(
    ("name", "data", "media_type", "problem"),
    [
        ("a.zip", b"PK\x03\x04\x00\x00\xff\xfe", "application/zip", "a.zip: this is no text."),
        ("a.pdf", b"%PDF-1.7\n\xe2\xe3\xcf\xd3\x00\x01", "application/pdf", "a.pdf: this is no text."),
        ("a.txt", b" \n", "text/plain", "a.txt: the file is empty."),
        ("a.txt", b"a" * 300_000, "text/plain", "a.txt: 300 kB are too large, at most 256 kB work."),
        ("a.png", PICTURE, "image/png", "a.png: this model sees no pictures."),
    ],
)
def test_what_cannot_be_attached_says_why(
    server: ServerProcess, visit: Visiting, name: str, data: bytes, media_type: str, problem: str
) -> None:
    """A file that the model cannot be sent is refused with the reason."""
    seen = visit(server, "#/chat")
    seen.find("textbox", "Write a message").wait_for()
    attach(seen, name, data, media_type)
    alert = seen.page.locator(".attachment-problem")
    alert.wait_for()
    assert alert.inner_text().startswith(problem)
    assert seen.page.locator(".attachment").count() == 0
    assert seen.find("button", "Send").is_disabled()


def test_pictures_are_made_smaller_and_seen(seeing_server: ServerProcess, visit: Visiting) -> None:
    """Pictures are chosen, pasted and dropped; large ones become smaller; one is removed; the model sees the others."""
    seen = visit(seeing_server, "#/chat")
    seen.find("button", "Attach pictures or text files").wait_for()
    seen.set_in_requests(max_tokens=8, temperature=0)
    photo = io.BytesIO()
    Image.new("RGB", (3000, 1000), "red").save(photo, "JPEG", exif=b"Exif\0\0place")
    attach(seen, "photo.jpg", photo.getvalue(), "image/jpeg")
    listed = seen.page.locator(".attachment")
    listed.nth(0).wait_for()
    seen.page.evaluate(GIVE, [".composer textarea", "image.png", "image/png", encoded(PICTURE), ["paste"]])
    listed.nth(1).wait_for()
    seen.page.evaluate(GIVE, ["main", "dropped.png", "image/png", encoded(PICTURE), ["dragover", "drop"]])
    listed.nth(2).wait_for()
    seen.find("button", "Remove image.png").click()
    seen.page.get_by_text("image.png").wait_for(state="detached")
    [first, second, text] = send(seen, "Which colours?")
    assert text == {"type": "text", "text": "Which colours?"}
    data = base64.b64decode(first["image_url"]["url"].removeprefix("data:image/jpeg;base64,"))
    assert Image.open(io.BytesIO(data)).size == (1568, 523)
    assert b"place" not in data
    assert second["image_url"]["url"].startswith("data:image/png;base64,")
    assert seen.page.locator(".sent-picture").count() == 2
    seen.page.locator(".message-foot").wait_for(timeout=90_000)
    assert not seen.page.locator(".message-error").all_inner_texts()
    seen.page.locator(".message-assistant").get_by_role("button", name="As code").click()
    dialog = seen.page.get_by_role("dialog")
    assert "…(+" in dialog.locator("pre").inner_text()
    dialog.get_by_role("switch", name="With all data").click()
    dialog.locator("pre", has_text="…(+").wait_for(state="detached")
    assert encoded(data) in dialog.locator("pre").inner_text()
    assert seen.accessibility_faults() == []


def test_a_recording_is_transcribed_for_a_model_that_does_not_hear(
    server: ServerProcess, visit: Visiting, whisper: Path
) -> None:
    """A recording is sent with the field that has it transcribed, also in later requests; other sounds become WAV."""
    assert whisper.exists()
    speech = audio_samples.spoken(audio_samples.ENGLISH, "en")
    wav, flac = audio_samples.encoded(speech), audio_samples.encoded(speech, "flac")
    seen = visit(server, "#/chat")
    seen.find("button", "Attach sound or text files").wait_for()
    seen.set_in_requests(max_tokens=3)
    requests: list[Any] = []
    seen.page.on("request", lambda each: requests.append(each.post_data_json) if "completions" in each.url else None)
    attach(seen, "hello.wav", wav, "audio/wav")
    seen.page.locator(".attachment").wait_for()
    [part] = send(seen, "")
    assert part == {"type": "input_audio", "input_audio": {"data": encoded(wav), "format": "wav"}}
    seen.page.locator(".sent-sound").wait_for()
    seen.page.locator(".message-foot").wait_for(timeout=90_000)
    assert not seen.page.locator(".message-error").all_inner_texts()
    attach(seen, "hello.flac", flac, "audio/flac")
    seen.page.locator(".attachment").wait_for()
    [part] = send(seen, "")
    assert part["input_audio"]["format"] == "wav"
    assert base64.b64decode(part["input_audio"]["data"])[:4] == b"RIFF"
    assert [each["audio_input"] for each in requests] == ["transcribe", "transcribe"]


def test_what_is_dictated_is_written(server: ServerProcess, visit: Visiting) -> None:
    """What is said into the microphone is added to what is written in the field."""
    seen = visit(server, "#/chat")
    seen.find("textbox", "Write a message").fill("First.")
    body = json.dumps({"text": " Then this."})
    seen.page.route(
        "**/v1/audio/transcriptions", lambda route: route.fulfill(body=body, content_type="application/json")
    )
    seen.find("button", "Dictate").click()
    seen.page.locator(".dictate-active canvas, .dictate-active").first.wait_for()
    seen.page.locator(".dictate-active .icon-button-primary").click()
    seen.find("button", "Dictate").wait_for()
    assert seen.find("textbox", "Write a message").input_value() == "First. Then this."
