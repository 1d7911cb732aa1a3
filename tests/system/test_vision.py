"""Images through the current official client over real HTTP, on the default model with the colour eye.

What the eye sees of a picture are the model's own embeddings of colour words, so its answers can be compared with those
to the words.
"""

import base64
import http.server
import io
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openai
import pytest
from PIL import Image

from homeport.api.image_inputs.vision import SUGGESTED_MODEL
from homeport.domain.kinds import VISION
from homeport.models import catalogue
from homeport.models.model_store import ModelStore
from tests.api.image_inputs.vision_app import huge_png
from tests.samples import colour_eye
from tests.system.seeing_model import NAME, install_seeing_model
from tests.system.server import ServerProcess, running

EYE, BLIND = NAME, "smollm2-135m"
SQUARES = (" red", " blue", " green", " white")
QUESTION = "\nRepeat the names of these colours."


class _ImageHandler(http.server.BaseHTTPRequestHandler):
    """Serves a picture, and a redirect to an address of a cloud's metadata."""

    def do_GET(self) -> None:
        """Answer by the path."""
        status = {"/squares.png": 200, "/away.png": 302}.get(self.path, 404)
        body = colour_eye.picture(SQUARES) if status == 200 else b""
        self.send_response(status)
        self.send_header("content-length", str(len(body)))
        self.send_header("location", "http://169.254.169.254/latest/meta-data")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Print nothing."""


@pytest.fixture(scope="module")
def image_host() -> Iterator[str]:
    """The URL of a host of images."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _ImageHandler) as host:
        thread = threading.Thread(target=host.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{host.server_port}"
        host.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def seeing_server(
    tmp_path_factory: pytest.TempPathFactory, qwen: Path, smollm2: Path, image_host: str
) -> Iterator[ServerProcess]:
    """A server with a model that sees and one that does not, in a home of its own, which may fetch from one host."""
    folder = tmp_path_factory.mktemp("seeing_server")
    install_seeing_model(folder, qwen)
    ModelStore(folder / "home").folder(BLIND).symlink_to(smollm2.parent, target_is_directory=True)
    flags = ("--model", EYE, "--default-model", EYE)
    home = str(folder / "home")
    with running(folder / "log", *flags, HOME=home, WINDOW="1024", PROMPTS="off", IMAGE_HOSTS=image_host) as started:
        yield started


@pytest.fixture
def client(seeing_server: ServerProcess) -> Iterator[openai.OpenAI]:
    """The official client; it does not retry."""
    with openai.OpenAI(base_url=seeing_server.base, api_key="sk-test", max_retries=0, timeout=120) as made:
        yield made


def data_url(data: bytes) -> str:
    """Return a file as a data: URL."""
    return f"data:image/png;base64,{base64.b64encode(data).decode()}"


def shown(*words: str) -> str:
    """Return a picture of these colours as a data: URL."""
    return data_url(colour_eye.picture(words))


def messages(*parts: Any) -> Any:
    """Return a chat about these parts: a text, or the URL of an image."""
    content = [
        {"type": "image_url", "image_url": {"url": part}}
        if part.startswith(("data:", "http"))
        else {"type": "text", "text": part}
        for part in ("Colours.", *parts, QUESTION)
    ]
    return [{"role": "user", "content": content}]


def ask(client: openai.OpenAI, *parts: str, **changes: Any) -> Any:
    """Answer a chat greedily."""
    fields = {"model": EYE, "messages": messages(*parts), "max_tokens": 12, "temperature": 0, **changes}
    return client.chat.completions.create(**fields)


def test_an_image_is_what_its_words_are(client: openai.OpenAI) -> None:
    """A picture has the answer, and the prompt's tokens, of the colours as words; swapped squares have another one."""
    seen, told = ask(client, shown(*SQUARES)), ask(client, "".join(SQUARES))
    assert seen.choices[0].message.content == told.choices[0].message.content
    assert seen.usage.prompt_tokens == told.usage.prompt_tokens
    assert seen.usage.total_tokens == seen.usage.prompt_tokens + seen.usage.completion_tokens
    swapped = ask(client, shown(*SQUARES[::-1]))
    assert swapped.choices[0].message.content != seen.choices[0].message.content


def test_a_stream_and_several_answers_see_the_same(client: openai.OpenAI) -> None:
    """Streamed, and with `n`, the answers to an image are those of the whole answer."""
    whole = ask(client, shown(*SQUARES)).choices[0].message.content
    stream = ask(client, shown(*SQUARES), stream=True)
    assert "".join(chunk.choices[0].delta.content or "" for chunk in stream if chunk.choices) == whole
    both = ask(client, shown(*SQUARES), n=2)
    assert [choice.message.content for choice in both.choices] == [whole, whole]


def test_the_order_of_images_matters(client: openai.OpenAI) -> None:
    """Two images with text between them are read in order."""
    two = (shown(*SQUARES), " and", shown(*SQUARES[::-1]))
    words = ("".join(SQUARES), " and", "".join(SQUARES[::-1]))
    assert ask(client, *two).choices[0].message.content == ask(client, *words).choices[0].message.content


def test_a_tool_shows_an_image(client: openai.OpenAI) -> None:
    """The result of a tool may be an image, in chats and in responses."""
    call = {"id": "c", "type": "function", "function": {"name": "look", "arguments": "{}"}}
    image = {"type": "image_url", "image_url": {"url": shown(*SQUARES)}}
    history: list[dict[str, Any]] = [
        {"role": "user", "content": "Look."},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c", "content": [{"type": "text", "text": "Colours."}, image]},
    ]
    seen = ask(client, messages=history)
    history[-1]["content"] = "Colours." + "".join(SQUARES)
    told = ask(client, messages=history)
    assert seen.choices[0].message.content == told.choices[0].message.content
    assert seen.usage.prompt_tokens == told.usage.prompt_tokens
    items: Any = [
        {"role": "user", "content": "Look."},
        {"type": "function_call", "call_id": "c", "name": "look", "arguments": "{}"},
        {
            "type": "function_call_output",
            "call_id": "c",
            "output": [{"type": "input_image", "image_url": shown(" red")}],
        },
    ]
    assert client.responses.create(model=EYE, input=items, max_output_tokens=16).output_text is not None


def test_a_response_is_continued_with_its_image(client: openai.OpenAI) -> None:
    """A response sees an image, counts its tokens beforehand, and what continues it sees the image again."""
    given: Any = [
        {"role": "user", "content": [{"type": "input_image", "image_url": shown(*SQUARES), "detail": "auto"}]}
    ]
    counted = client.responses.input_tokens.count(model=EYE, input=given)
    first = client.responses.create(model=EYE, input=given, max_output_tokens=16, temperature=0)
    assert first.usage is not None
    assert counted.input_tokens == first.usage.input_tokens
    (item,) = client.responses.input_items.list(first.id, include=["message.input_image.image_url"]).data
    assert item.to_dict(mode="json")["content"] == given[0]["content"]
    later = client.responses.create(
        model=EYE, input="And now?", previous_response_id=first.id, max_output_tokens=16, temperature=0
    )
    sent = [*given, *(each.to_dict(mode="json") for each in first.output), {"role": "user", "content": "And now?"}]
    again = client.responses.create(model=EYE, input=sent, max_output_tokens=16, temperature=0)
    assert (later.output_text, later.usage and later.usage.input_tokens) == (
        again.output_text,
        again.usage and again.usage.input_tokens,
    )


def test_an_uploaded_image_is_seen(client: openai.OpenAI) -> None:
    """An image named by the id of a file is what it is as a data: URL."""
    file = client.files.create(file=("a.png", colour_eye.picture(SQUARES)), purpose="vision")
    parts: Any = [{"type": "file", "file": {"file_id": file.id}}, {"type": "text", "text": QUESTION}]
    named = ask(client, messages=[{"role": "user", "content": parts}])
    parts[0] = {"type": "image_url", "image_url": {"url": shown(*SQUARES)}}
    assert (
        named.choices[0].message.content
        == ask(client, messages=[{"role": "user", "content": parts}]).choices[0].message.content
    )


def test_a_batch_has_images(seeing_server: ServerProcess, client: openai.OpenAI) -> None:
    """The lines of a batch may have images; one with an image that is refused fails alone."""
    urls = {"seen": shown(*SQUARES), "huge": data_url(huge_png())}
    bodies = {name: {"model": EYE, "messages": messages(url), "max_tokens": 8} for name, url in urls.items()}
    path: Any = "/v1/chat/completions"
    lines = [{"custom_id": name, "method": "POST", "url": path, "body": body} for name, body in bodies.items()]
    content = "\n".join(map(json.dumps, lines)).encode()
    file = client.files.create(file=("batch.jsonl", content), purpose="batch")
    batch = client.batches.create(input_file_id=file.id, endpoint=path, completion_window="24h")
    ends = ("completed", "failed", "expired", "cancelled")
    seeing_server.wait("the batch has ended", lambda: client.batches.retrieve(batch.id).status in ends, 120)
    counts = client.batches.retrieve(batch.id).request_counts
    assert counts is not None
    assert (counts.completed, counts.failed) == (1, 1)


def cut_png() -> bytes:
    """Return an image whose pixels end early."""
    data = io.BytesIO()
    Image.effect_noise((200, 200), 50).save(data, "PNG")
    return data.getvalue()[:-3000]


@pytest.mark.parametrize(
    ("urls", "code"),
    [
        ([data_url(b"hello")], "invalid_image_format"),
        (["data:text/plain;base64,aGVsbG8="], "invalid_image_url"),
        ([data_url(huge_png())], "image_too_large"),
        ([data_url(cut_png())], "invalid_image"),
        ([shown(" red")] * 100, "array_above_max_length"),
        (["http://127.0.0.1:22/a.png"], "remote_image_refused"),
        (["http://169.254.169.254/latest/meta-data"], "remote_image_refused"),
        (["https://example.com/a.png"], "remote_image_refused"),
    ],
    ids=["text", "type", "huge", "cut", "hundred", "loopback", "metadata", "remote"],
)
def test_what_is_no_image_is_a_400(client: openai.OpenAI, urls: list[str], code: str) -> None:
    """An image that cannot be used is a 400 naming its field, and the next request is answered."""
    with pytest.raises(openai.BadRequestError) as caught:
        ask(client, *urls)
    assert caught.value.code == code
    assert (caught.value.param or "").startswith("messages")
    assert ask(client, "Hi").choices


def test_an_image_of_an_allowed_host_is_seen(client: openai.OpenAI, image_host: str) -> None:
    """An image by URL is what it is as a data: URL; a redirect is not followed, and a missing image is refused."""
    fetched, sent = ask(client, f"{image_host}/squares.png"), ask(client, shown(*SQUARES))
    assert fetched.choices[0].message.content == sent.choices[0].message.content
    for name in ("away.png", "gone.png"):
        with pytest.raises(openai.BadRequestError) as caught:
            ask(client, f"{image_host}/{name}")
        assert (caught.value.code, caught.value.param) == ("invalid_image_url", "messages[0].content[1].image_url.url")


def test_a_text_model_names_one_that_sees(client: openai.OpenAI) -> None:
    """A model without vision is a 400 that names one with it, which the list of models shows."""
    with pytest.raises(openai.BadRequestError, match=f"`{EYE}`") as caught:
        ask(client, shown(*SQUARES), model=BLIND)
    assert (caught.value.code, caught.value.param) == ("unsupported_content_type", "messages[0].content[1]")
    able = {model.id: getattr(model, "capabilities", ()) for model in client.models.list().data}
    assert "vision" in able[EYE]
    assert "vision" not in able[BLIND]


def test_the_suggested_model_is_in_the_catalogue() -> None:
    """What an error says to pull if no installed model sees can be pulled, and sees."""
    entry = catalogue.built_in().find(SUGGESTED_MODEL)
    assert entry is not None
    assert VISION in entry.capabilities
