"""Shapes are made of words and pictures, turned and saved. The model is tiny and makes a ball of every picture."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import trimesh

from homeport.domain.operations import NullProgress
from homeport.models.model_store import ModelStore
from homeport.models.pull import pull
from homeport.models.pull_options import PullOptions
from tests.engines.shapes.tiny_pair import install_pair, picture
from tests.system.page.conftest import Visiting
from tests.system.page.visits import Visit, expect
from tests.system.server import ServerProcess, running

PHONE = (390, 844)


@pytest.fixture(scope="module")
def shape_server(tmp_path_factory: pytest.TempPathFactory, multilingual_e5: Path) -> Iterator[ServerProcess]:
    """A server with a tiny shape model and the bundled image model."""
    folder = tmp_path_factory.mktemp("shape_page")
    install_pair(folder / "home")
    store = ModelStore(folder / "home")
    store.folder(multilingual_e5.parent.name).symlink_to(multilingual_e5.parent, target_is_directory=True)
    pull("homeport-emoji-128", store, PullOptions(offline=True), NullProgress())
    with running(folder / "log", HOME=str(folder / "home")) as started:
        yield started


def make(seen: Visit, name: str = "Make the shape") -> None:
    """Have the shape made, and wait until it is drawn."""
    seen.find("button", name).click()
    seen.page.locator(".shape-canvas[data-drawn]").first.wait_for(timeout=120_000)


def test_words_become_a_shape_that_is_turned_and_saved(
    shape_server: ServerProcess, visit: Visiting, tmp_path: Path
) -> None:
    """A prompt is painted and made a shape; the keys turn it; the file that is saved is a closed mesh."""
    seen = visit(shape_server, "#/shapes")
    seen.find("textbox", "Or describe it").fill("a red apple")
    seen.find("textbox", "Seed").fill("7")
    make(seen)
    canvas = seen.page.locator(".shape-canvas")
    canvas.focus()
    seen.page.keyboard.press("ArrowLeft")
    before = canvas.screenshot()
    seen.page.keyboard.press("-")
    assert canvas.screenshot() != before
    expect(seen.page.locator(".shape-foot")).to_contain_text("seed 7")
    with seen.page.expect_download() as download:
        seen.find("button", "Download").click()
    assert download.value.suggested_filename == "a-red-apple-7.glb"
    download.value.save_as(tmp_path / "apple.glb")
    assert trimesh.load_mesh(tmp_path / "apple.glb").is_watertight
    seen.find("button", "Remove from the list").click()
    seen.page.locator(".shape-list").wait_for(state="detached")


def test_a_picture_becomes_a_shape(shape_server: ServerProcess, visit: Visiting, tmp_path: Path) -> None:
    """A picture from the disk is sent instead of words; what was chosen can be taken back."""
    (tmp_path / "thing.png").write_bytes(picture())
    seen = visit(shape_server, "#/shapes")
    seen.find("textbox", "Or describe it").wait_for()
    seen.page.locator("input[type=file]").set_input_files(tmp_path / "thing.png")
    expect(seen.page.get_by_label("Or describe it")).to_have_count(0)
    make(seen)
    expect(seen.page.locator(".shape-title")).to_have_text("thing.png")
    expect(seen.page.locator(".shape-foot")).not_to_contain_text("seed")
    seen.find("button", "Without the picture").click()
    seen.find("textbox", "Or describe it").wait_for()


def test_a_shape_is_stopped(shape_server: ServerProcess, visit: Visiting) -> None:
    """Stopping ends the server's work, and nothing is listed."""
    seen = visit(shape_server, "#/shapes")
    seen.find("textbox", "Or describe it").fill("a red apple")
    seen.find("button", "Make the shape").click()
    seen.find("button", "Stop").click()
    seen.find("button", "Make the shape").wait_for()
    shape_server.wait("the engines are free", shape_server.is_idle, 30)
    assert seen.page.locator(".shape-list").count() == 0


def test_without_a_model_the_command_is_shown(server: ServerProcess, visit: Visiting) -> None:
    """If no shape model is installed, the view says which command pulls one."""
    seen = visit(server, "#/shapes")
    expect(seen.page.locator("code")).to_have_text("homeport pull triposr")


@pytest.mark.parametrize("color_scheme", ["light", "dark"])
def test_it_is_accessible_and_fits_a_phone(shape_server: ServerProcess, visit: Visiting, color_scheme: str) -> None:
    """On a phone nothing is wider than the screen, and axe-core finds nothing serious, in Chinese."""
    seen = visit(shape_server, "#/shapes", color_scheme=color_scheme, size=PHONE, locale="zh-CN")
    seen.find("textbox", "或者描述它").fill("一个红苹果")
    make(seen, "生成三维模型")
    assert not seen.is_sideways()
    assert seen.accessibility_faults() == []
