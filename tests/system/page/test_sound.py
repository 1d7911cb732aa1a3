"""Recordings are transcribed, edited and saved, and texts are spoken. What is heard was spoken by the server itself."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.system.page.conftest import Visiting
from tests.system.page.visits import Visit, VisitOptions, expect, open_visit
from tests.system.server import ServerProcess
from tests.system.speech_server import seconds

SAID = "The quick brown fox jumps over the lazy dog."
PHONE = (390, 844)
PROBE = """async () => {
  const base = document.querySelector("script[src$='main.js']").src.replace("main.js", "");
  const {render, html} = await import(base + "html.js");
  const {DictateButton} = await import(base + "media/dictate_button.js");
  const place = document.querySelector("main").appendChild(document.createElement("div"));
  const onText = (text) => place.append(Object.assign(document.createElement("output"), {textContent: text}));
  render(html`<${DictateButton} onText=${onText} />`, place.appendChild(document.createElement("p")));
}"""


@pytest.fixture(scope="module")
def recording(
    server: ServerProcess, kokoro: Mapping[str, Path], whisper: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A file in which the server says two sentences."""
    assert kokoro
    assert whisper.exists()
    body = {"model": "kokoro-82m", "voice": "nova", "response_format": "wav", "input": f"{SAID} It was a sunny day."}
    path = tmp_path_factory.mktemp("sound") / "two sentences.wav"
    path.write_bytes(server.call("POST", "/v1/audio/speech", json.dumps(body).encode()).body)
    return path


@pytest.fixture
def speaker(browser: Any, server: ServerProcess, recording: Path) -> Iterator[Visit]:
    """A tab of a browser whose microphone hears the recording once."""
    flags = ["--no-sandbox", "--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream"]
    capture = f"--use-file-for-fake-audio-capture={recording}%noloop"
    launched = browser.browser_type.launch(executable_path="/usr/bin/chromium", args=[*flags, capture])
    seen = open_visit(launched, f"http://127.0.0.1:{server.port}/#/sound", VisitOptions())
    yield seen
    launched.close()
    assert not seen.faults


def choose(seen: Visit, recording: Path) -> None:
    """Choose a recording in the sound view."""
    seen.find("heading", "Sound").wait_for()
    seen.page.locator("input[type=file]").set_input_files(recording)


def transcribe(seen: Visit) -> None:
    """Transcribe what was chosen, and wait for all of it."""
    seen.find("button", "Transcribe").click()
    seen.page.get_by_role("button", name="Save the transcript").wait_for(timeout=60_000)


def transcript(seen: Visit) -> str:
    """Return the text of all segments."""
    return " ".join(area.input_value() for area in seen.page.locator(".segment-text").all())


def test_a_recording_is_transcribed_edited_and_saved(server: ServerProcess, visit: Visiting, recording: Path) -> None:
    """A spoken file becomes segments with times; one is played, one edited, and the subtitles have the edited text."""
    seen = visit(server, "#/sound")
    choose(seen, recording)
    transcribe(seen)
    assert "quick brown fox" in transcript(seen)
    seen.page.locator(".segment-time").last.click()
    seen.page.locator(".segment-now").wait_for()
    first = seen.page.locator(".segment-text").first
    first.fill("A slow red fox <sleeps>.")
    seen.page.get_by_role("button", name="Save the transcript").click()
    with seen.page.expect_download() as download:
        seen.find("menuitem", "Subtitles (.srt)").click()
    assert download.value.suggested_filename == "two sentences.srt"
    lines = Path(download.value.path()).read_text("utf-8").splitlines()
    assert lines[0] == "1"
    assert lines[1].startswith("00:00:0")
    assert lines[2] == "A slow red fox <sleeps>."
    seen.page.get_by_role("button", name="Save the transcript").click()
    with seen.page.expect_download() as download:
        seen.find("menuitem", "Web subtitles (.vtt)").click()
    assert "A slow red fox &lt;sleeps&gt;." in Path(download.value.path()).read_text("utf-8")


def test_the_transcript_stays_while_another_view_is_shown(
    server: ServerProcess, visit: Visiting, recording: Path
) -> None:
    """The recording and its edited text are still there after a look at another view."""
    seen = visit(server, "#/sound")
    choose(seen, recording)
    transcribe(seen)
    seen.page.locator(".segment-text").first.fill("Edited.")
    seen.open_chat()
    seen.page.get_by_role("navigation").get_by_role("link", name="Sound").click()
    seen.page.locator(".segment-text").first.wait_for()
    assert seen.page.locator(".segment-text").first.input_value() == "Edited."


def test_a_file_without_sound_is_refused_in_the_servers_words(
    server: ServerProcess, visit: Visiting, recording: Path, tmp_path: Path
) -> None:
    """What cannot be decoded is said by the server, and another file can be chosen."""
    broken = tmp_path / "broken.mp3"
    broken.write_text("no sound")
    seen = visit(server, "#/sound")
    choose(seen, broken)
    seen.find("button", "Transcribe").click()
    expect(seen.page.get_by_role("alert")).to_contain_text("Invalid file format")
    seen.find("button", "Choose another recording").click()
    choose(seen, recording)
    expect(seen.page.get_by_role("alert")).to_have_count(0)


def test_the_microphone_is_recorded_and_transcribed(speaker: Visit) -> None:
    """What the microphone hears is recorded, shown as a waveform and transcribed."""
    speaker.find("button", "Record").focus()
    speaker.page.keyboard.press("Enter")
    speaker.page.locator(".level-time", has_text="0:06").wait_for()
    expect(speaker.find("button", "Finish")).to_be_focused()
    speaker.page.keyboard.press("Enter")
    speaker.find("slider", "Position").wait_for()
    transcribe(speaker)
    assert "quick brown fox" in transcript(speaker)


def test_dictation_gives_the_words(speaker: Visit) -> None:
    """The button that other views use records, transcribes, and gives the text."""
    speaker.find("heading", "Sound").wait_for()
    speaker.page.evaluate(PROBE)
    speaker.find("button", "Dictate").click()
    speaker.page.locator(".level-time", has_text="0:06").wait_for()
    speaker.find("button", "Finish and transcribe").click()
    speaker.page.locator("output").wait_for(timeout=60_000)
    assert "quick brown fox" in speaker.page.locator("output").inner_text()
    speaker.find("button", "Dictate").wait_for()


def test_a_refused_microphone_is_explained(server: ServerProcess, visit: Visiting) -> None:
    """If the browser may not use the microphone, a notice says so, and the button is there again."""
    seen = visit(server)
    denied = "navigator.mediaDevices.getUserMedia = () => Promise.reject(new DOMException('no', 'NotAllowedError'))"
    seen.page.add_init_script(denied)
    seen.page.goto(f"http://127.0.0.1:{server.port}/?#/sound")
    seen.find("button", "Record").click()
    seen.page.get_by_text("The browser may not use the microphone.").wait_for()
    seen.find("button", "Record").wait_for()


def test_a_text_is_spoken_and_saved(server: ServerProcess, visit: Visiting, kokoro: Mapping[str, Path]) -> None:
    """All voices can be chosen; the speech is listed with what it leaves out, has a length, and can be saved."""
    assert kokoro
    seen = visit(server, "#/sound/speak")
    expect(seen.page.get_by_label("Voice").locator("option")).to_have_count(13 + 54)
    seen.page.get_by_label("Voice").select_option("zf_xiaobei")
    seen.page.get_by_label("Format").select_option("wav")
    seen.find("textbox", "Text").fill("今天天气很好。ไทย")
    seen.find("button", "Speak").click()
    seen.page.locator(".spoken-list li").wait_for(timeout=60_000)
    expect(seen.page.locator(".spoken-list .notice")).to_contain_text("ไทย")
    with seen.page.expect_download() as download:
        seen.find("button", "Download").click()
    assert seconds(Path(download.value.path()).read_bytes(), "wav") > 1
    seen.find("button", "Remove from the list").click()
    seen.page.locator(".spoken-list").wait_for(state="detached")


def test_stopping_frees_the_engine(server: ServerProcess, visit: Visiting, kokoro: Mapping[str, Path]) -> None:
    """A long speech that is stopped is not listed, and the server computes nothing more of it."""
    assert kokoro
    seen = visit(server, "#/sound/speak")
    seen.find("textbox", "Text").fill("This is a rather long sentence about nothing. " * 80)
    seen.find("button", "Speak").click()
    server.wait("the engine speaks", lambda: not server.is_idle(), 30)
    seen.find("button", "Stop").focus()
    seen.page.keyboard.press("Enter")
    expect(seen.find("button", "Speak")).to_be_focused()
    server.wait("the engine is free", server.is_idle, 30)
    assert seen.page.locator(".spoken-list").count() == 0


def test_music_is_composed_and_saved(server: ServerProcess, visit: Visiting, tunes: Mapping[str, Path]) -> None:
    """A prompt becomes music that plays and is saved; the same seed as MIDI has no player."""
    assert tunes
    seen = visit(server, "#/sound/compose")
    seen.find("textbox", "What to play").fill("a slow waltz in D minor")
    seen.find("textbox", "Seed").fill("7")
    seen.page.get_by_label("Length").select_option("10")
    seen.page.get_by_label("Format").select_option("wav")
    seen.find("button", "Compose").click()
    seen.page.locator(".spoken-list .waveform").wait_for(timeout=60_000)
    expect(seen.page.locator(".spoken-list li")).to_contain_text("seed 7")
    with seen.page.expect_download() as download:
        seen.find("button", "Download").click()
    assert download.value.suggested_filename == "a-slow-waltz-in-D-minor.wav"
    assert seconds(Path(download.value.path()).read_bytes(), "wav") > 5
    seen.page.get_by_label("Format").select_option("midi")
    seen.find("button", "Compose").click()
    expect(seen.page.locator(".spoken-list li")).to_have_count(2)
    assert seen.page.locator(".spoken-list .waveform").count() == 1


def test_lyrics_are_sung_and_can_be_stopped(
    server: ServerProcess, visit: Visiting, tunes: Mapping[str, Path], kokoro: Mapping[str, Path]
) -> None:
    """With lyrics a voice can be chosen, and stopping the song frees the engine."""
    assert tunes
    assert kokoro
    seen = visit(server, "#/sound/compose")
    seen.find("textbox", "Lyrics").fill("Row your boat\nGently down the stream")
    expect(seen.page.get_by_label("Voice").locator("option")).to_have_count(13 + 54)
    seen.find("button", "Compose").click()
    server.wait("the engine composes", lambda: not server.is_idle(), 30)
    seen.find("button", "Stop").click()
    expect(seen.find("button", "Compose")).to_be_focused()
    server.wait("the engine is free", server.is_idle, 30)
    assert seen.page.locator(".spoken-list").count() == 0


@pytest.mark.parametrize("color_scheme", ["light", "dark"])
def test_it_is_accessible_and_fits_a_phone(
    server: ServerProcess, visit: Visiting, recording: Path, color_scheme: str
) -> None:
    """On a phone nothing is wider than the screen, and axe-core finds nothing serious in all tabs, in Chinese."""
    seen = visit(server, "#/sound", color_scheme=color_scheme, size=PHONE, locale="zh-CN")
    seen.find("heading", "声音").wait_for()
    assert seen.accessibility_faults() == []
    seen.page.locator("input[type=file]").set_input_files(recording)
    seen.find("button", "开始转写").click()
    seen.page.get_by_role("button", name="保存转写结果").wait_for(timeout=60_000)
    assert seen.page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert seen.accessibility_faults() == []
    seen.find("tab", "文字转语音").click()
    seen.find("textbox", "文本").fill("你好")
    seen.find("button", "开始合成").click()
    seen.page.locator(".spoken-list li").wait_for(timeout=60_000)
    assert seen.page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert seen.accessibility_faults() == []
    seen.find("tab", "作曲").click()
    seen.find("textbox", "歌词").fill("月亮代表我的心")
    assert not seen.is_sideways()
    assert seen.accessibility_faults() == []
