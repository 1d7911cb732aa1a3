"""The images of a request: limits, shared files, and images by URL."""

import asyncio
from pathlib import Path

import pytest

from homeport.api.image_inputs import collection
from homeport.api.image_inputs.collection import ImageInputs, ImagePlace, ImageSource
from homeport.domain.errors import InvalidRequest
from homeport.domain.ports.remote_images import RemoteImageFailed
from tests.api.form_bodies import is_empty
from tests.api.image_inputs.vision_app import BLUE, RED, SEEING, SeeingServing, png, post, shown, user, vision_app

PLACE = ImagePlace("messages[0].content[0]", "image_url", "messages[0].content[0].image_url.url", "detail")
URL = "https://images.example.com/a.png"


class FakeRemoteImages:
    """Fetches images from a mapping; hosts other than `images.example.com` are not allowed."""

    def __init__(self, **files: bytes) -> None:
        self.files = files
        self.fetched: list[str] = []

    def check(self, url: str) -> None:
        """Allow one host."""
        if not url.startswith("https://images.example.com/"):
            raise ValueError("its host is not one that this server may reach")

    async def fetch(self, url: str, target: Path, max_bytes: int) -> None:
        """Write a file."""
        self.fetched.append(url)
        data = self.files.get(url.rpartition("/")[2].partition(".")[0])
        if data is None or len(data) > max_bytes:
            raise RemoteImageFailed("It responds with the HTTP status 404.")
        await asyncio.to_thread(target.write_bytes, data)


def inputs(spool: Path) -> ImageInputs:
    """Return the inputs of a request whose model sees."""
    return ImageInputs(spool, lambda *_: None)


def file_names(folder: Path) -> list[str]:
    """Return the names of the images in a folder."""
    return sorted(path.name for path in folder.rglob("image_*"))


async def test_images_that_a_prompt_does_not_have_are_forgotten(tmp_path: Path) -> None:
    """An earlier image that is no part of the prompt is neither checked nor counted nor saved."""

    def refuse(place: str, kind: str) -> None:
        raise InvalidRequest(f"{place} has {kind}")

    earlier = ImagePlace("input", "input_image", "input", "input", is_earlier=True)
    async with ImageInputs(tmp_path, refuse) as images:
        part = images.add(ImageSource(url="https://example.com/a.png"), earlier)
        for _ in range(100):
            images.add(ImageSource(url=RED), earlier)
        with pytest.raises(InvalidRequest, match="input has input_image"):
            images.select([part], "input")
        images.select([], "input")
        await images.save()
        assert is_empty(tmp_path)


async def test_images_are_read_again_into_the_same_files(tmp_path: Path) -> None:
    """A prompt that is read twice has the same files, and an equal image is written once."""
    async with inputs(tmp_path) as images:
        for _ in range(2):
            first, second, third = (images.add(ImageSource(url=url), PLACE) for url in (RED, BLUE, RED))
            await images.save()
            assert first == third != second
            images.select((first, second, third), "messages")
            assert file_names(tmp_path) == ["image_0", "image_1"]
        assert images.source_of(second) == ImageSource(url=BLUE)
        assert (second.image.local_path.stat().st_mode & 0o777, second.image.local_path.read_bytes()) == (
            0o600,
            png("blue"),
        )


async def test_all_images_together_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Images that are too large together are refused as soon as that is known, and the next ones are not decoded."""
    monkeypatch.setattr(collection, "MAX_TOTAL_BYTES", len(png("red")) + 1)
    async with inputs(tmp_path) as images:
        for url in (RED, BLUE, "data:image/png;base64,####"):
            images.add(ImageSource(url=url), PLACE)
        with pytest.raises(InvalidRequest, match="together") as caught:
            await images.save()
    assert caught.value.code == "image_too_large"
    assert is_empty(tmp_path)


@pytest.mark.parametrize(
    "source",
    [ImageSource(url="data:image/png;base64," + "A" * 26_700_000), ImageSource(data="A" * 26_700_000)],
    ids=["url", "data"],
)
def test_a_large_image_is_refused_before_it_is_decoded(tmp_path: Path, source: ImageSource) -> None:
    """The length of base64 tells that an image is too large."""
    with pytest.raises(InvalidRequest) as caught:
        inputs(tmp_path).add(source, PLACE)
    assert caught.value.param == PLACE.source


async def test_images_of_allowed_hosts_are_fetched(tmp_path: Path) -> None:
    """Images by URL reach the worker as files, each fetched once for a request."""
    serving, remote = SeeingServing(), FakeRemoteImages(a=png("red"), b=png("blue"))
    app = vision_app(serving, tmp_path, remote_images=remote)
    parts = [shown(URL), shown("https://images.example.com/b.png"), shown(URL)]
    response = await post(app, "/v1/chat/completions", {"model": SEEING, "messages": user(*parts)})
    assert response.status == 200, response.body
    assert serving.seen == [[png("red"), png("blue"), png("red")]]
    assert sorted(remote.fetched) == [URL, "https://images.example.com/b.png"]
    assert is_empty(tmp_path)


@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("https://other.example.com/a.png", "remote_image_refused"),
        ("http://169.254.169.254/latest", "remote_image_refused"),
        ("https://images.example.com/gone.png", "invalid_image_url"),
        ("https://images.example.com/text.png", "invalid_image_format"),
    ],
)
async def test_what_cannot_be_fetched_is_refused_by_name(tmp_path: Path, url: str, code: str) -> None:
    """A URL that is not allowed, leads to nothing, or to no image, is a 400 naming its field."""
    serving, remote = SeeingServing(), FakeRemoteImages(a=png("red"), text=b"hello")
    app = vision_app(serving, tmp_path, remote_images=remote)
    body = {"model": SEEING, "messages": user(shown(URL), shown(url))}
    response = await post(app, "/v1/chat/completions", body)
    assert (response.status, response.error["code"]) == (400, code), response.body
    assert response.error["param"] == "messages[0].content[1].image_url.url"
    assert not serving.requests
    assert bool(remote.fetched) == (code != "remote_image_refused")
    assert is_empty(tmp_path)
