"""Pictures in the page, by the bundled image model: generated with progress, edited with a brush, varied."""

import io
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.system.page.conftest import Visiting
from tests.system.page.visits import Visit
from tests.system.server import ServerProcess

PHONE = (390, 844)
READ = """async (images) => {
  const pixels = [];
  for (const image of images) {
    await image.decode();
    const canvas = document.createElement("canvas");
    [canvas.width, canvas.height] = [image.naturalWidth, image.naturalHeight];
    const context = canvas.getContext("2d");
    context.drawImage(image, 0, 0);
    pixels.push(context.getImageData(0, 0, canvas.width, canvas.height).data);
  }
  return pixels;
}"""
COMPARE = f"""async () => {{
  const images = [document.querySelector(".mask-frame img"), document.querySelector(".tile img")];
  const [before, after] = await ({READ})(images);
  const canvas = document.querySelector(".mask-frame canvas");
  const marks = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
  const found = {{size: marks.length === after.length, marked: 0, changed: 0, changedOutside: 0}};
  for (let at = 0; at < marks.length; at += 4) {{
    const isMarked = marks[at + 3] >= 128;
    const isChanged = [0, 1, 2].some((channel) => before[at + channel] !== after[at + channel]);
    found.marked += isMarked;
    if (isChanged) found[isMarked ? "changed" : "changedOutside"] += 1;
  }}
  return found;
}}"""


def open_pictures(seen: Visit, tab: str = "Generate") -> None:
    """Wait until a tab of the view is shown."""
    seen.find("tab", tab).wait_for()


def generate(seen: Visit, prompt: str, *, pictures: int = 1) -> None:
    """Generate pictures and wait until they are there."""
    before = tiles(seen).count()
    seen.page.get_by_label("Describe the picture").fill(prompt)
    seen.page.get_by_label("Pictures", exact=True).select_option(str(pictures))
    seen.find("button", "Generate").click()
    tiles(seen).nth(before + pictures - 1).wait_for()
    seen.find("button", "Generate").wait_for()


def tiles(seen: Visit) -> Any:
    """Return the finished pictures."""
    return seen.page.locator(".tile:not(.tile-job)")


def size_of(seen: Visit, index: int) -> list[int]:
    """Return the width and height of a finished picture."""
    image = tiles(seen).nth(index).locator("img")
    found: list[int] = image.evaluate(
        "async (image) => (await image.decode(), [image.naturalWidth, image.naturalHeight])"
    )
    return found


def stroke(seen: Visit) -> None:
    """Draw a stroke over the middle of the edited picture with the mouse."""
    box = seen.page.locator(".mask-frame canvas").bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    seen.page.mouse.move(x - 60, y)
    seen.page.mouse.down()
    seen.page.mouse.move(x + 60, y + 30, steps=5)
    seen.page.mouse.up()


def test_pictures_are_generated_with_progress(picture_server: ServerProcess, visit: Visiting) -> None:
    """While two pictures are generated, steps and previews are shown; then both, with what was drawn."""
    seen = visit(picture_server, "#/pictures")
    open_pictures(seen)
    seen.find("heading", "No pictures yet").wait_for()
    seen.page.evaluate("""() => {
      window.shares = new Set();
      new MutationObserver(() => {
        const bar = document.querySelector(".tile-job progress");
        if (bar && bar.hasAttribute("value")) window.shares.add(bar.value);
        window.hadPreview ||= Boolean(document.querySelector(".tile-job img"));
      }).observe(document.body, {subtree: true, childList: true, attributes: true});
    }""")
    generate(seen, "a red apple", pictures=2)
    shares = seen.page.evaluate("[...window.shares]")
    assert len(shares) >= 4
    assert shares == sorted(shares)
    assert seen.page.evaluate("window.hadPreview")
    assert size_of(seen, 0) == size_of(seen, 1) == [512, 512]
    assert "apple" in tiles(seen).nth(0).locator(".tile-caption").inner_text()
    name = tiles(seen).nth(0).get_by_role("link", name="Download").get_attribute("download")
    assert name.startswith("a-red-apple-")
    assert name.endswith(".png")
    tiles(seen).nth(0).locator(".tile-picture").click()
    dialog = seen.page.get_by_role("dialog")
    facts = dialog.locator(".picture-facts").inner_text()
    assert facts.startswith("homeport-emoji-128 · 512 × 512 · seed ")
    seen.page.keyboard.press("ArrowRight")
    dialog.locator(".picture-facts").filter(has_not_text=facts).wait_for()
    seen.page.keyboard.press("Escape")
    dialog.wait_for(state="detached")


def test_a_stopped_generation_frees_the_engine(picture_server: ServerProcess, visit: Visiting) -> None:
    """Stopping keeps the pictures that are finished, and the engine generates nothing more."""
    seen = visit(picture_server, "#/pictures")
    open_pictures(seen)
    seen.page.get_by_label("Size").select_option("1024x1024")
    seen.page.get_by_label("Quality").select_option("high")
    seen.page.get_by_label("Pictures", exact=True).select_option("10")
    seen.page.get_by_label("Describe the picture").fill("a cat")
    seen.page.keyboard.press("Enter")
    tiles(seen).first.wait_for()
    seen.find("button", "Stop").click()
    seen.find("button", "Generate").wait_for()
    picture_server.wait("the engine is free", picture_server.is_idle, 10)
    assert 1 <= tiles(seen).count() < 10
    assert seen.page.get_by_role("alert").count() == 0


def test_an_edit_changes_only_the_mask(picture_server: ServerProcess, visit: Visiting) -> None:
    """An edit with a brushed mask changes pixels inside it, and every pixel outside stays as it was."""
    seen = visit(picture_server, "#/pictures")
    open_pictures(seen)
    generate(seen, "a dog")
    seen.find("button", "Edit this picture").click()
    seen.page.locator(".mask-frame img").wait_for()
    assert seen.find("button", "Generate").is_disabled()
    stroke(seen)
    seen.page.get_by_text("of the picture is marked").wait_for()
    seen.page.get_by_label("What to draw where it is marked").fill("a blue car")
    seen.find("button", "Generate").click()
    tiles(seen).nth(1).wait_for()
    found = seen.page.evaluate(COMPARE)
    assert found["size"]
    assert found["marked"] > 2_000
    assert found["changed"] > 1_000
    assert found["changedOutside"] == 0


def test_the_mask_is_marked_by_keys_and_fingers(picture_server: ServerProcess, visit: Visiting) -> None:
    """Arrow keys and the space bar mark, a finger too; the eraser, undo and clear take marks back."""
    seen = visit(picture_server, "#/pictures/edit")
    open_pictures(seen, "Edit")
    seen.page.locator("input[type=file]").set_input_files(_photo("JPEG", 300, 200))
    canvas = seen.page.locator(".mask-frame canvas")
    canvas.focus()
    keys = seen.page.keyboard

    def marked() -> float:
        text = seen.page.locator(".mask-note").first.inner_text()
        return float(text.split("%")[0]) if "%" in text else 0

    keys.down("Space")
    for _ in range(8):
        keys.press("ArrowRight")
    keys.up("Space")
    by_keys = marked()
    assert by_keys > 1
    keys.press("ArrowDown")
    assert marked() == by_keys
    box = canvas.bounding_box()
    touches = seen.page.context.new_cdp_session(seen.page)
    place = {"x": box["x"] + 20, "y": box["y"] + 20}
    touches.send("Input.dispatchTouchEvent", {"type": "touchStart", "touchPoints": [place]})
    touches.send("Input.dispatchTouchEvent", {"type": "touchMove", "touchPoints": [{**place, "x": box["x"] + 90}]})
    touches.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    by_finger = marked()
    assert by_finger > by_keys
    seen.find("button", "Undo").click()
    assert marked() == by_keys
    seen.find("button", "Erase marks").click()
    stroke(seen)
    assert marked() < by_keys
    seen.find("button", "Mark the whole picture").click()
    assert marked() == 100
    seen.find("button", "Clear the marks").click()
    seen.page.get_by_text("Mark what is to be replaced.").wait_for()


def test_a_picture_of_ones_own_is_edited_and_varied(picture_server: ServerProcess, visit: Visiting) -> None:
    """A JPEG from the disk is edited in its own size; its variation is a square, as the server needs it."""
    seen = visit(picture_server, "#/pictures/edit")
    open_pictures(seen, "Edit")
    seen.page.locator("input[type=file]").set_input_files(_photo("JPEG", 300, 200))
    seen.page.locator(".mask-frame img").wait_for()
    stroke(seen)
    seen.page.get_by_label("What to draw where it is marked").fill("a sun")
    seen.find("button", "Generate").click()
    tiles(seen).first.wait_for()
    assert size_of(seen, 0) == [300, 200]
    assert seen.page.evaluate(COMPARE)["changedOutside"] == 0
    seen.find("button", "Variation of the whole picture").click()
    tiles(seen).nth(1).wait_for()
    assert size_of(seen, 0) == [300, 300]
    assert tiles(seen).first.locator(".tile-caption").inner_text() == "Variation of: photo.jpeg"


def test_a_picture_is_varied(picture_server: ServerProcess, visit: Visiting) -> None:
    """A variation of a generated picture is another picture, before it in the list."""
    seen = visit(picture_server, "#/pictures")
    open_pictures(seen)
    generate(seen, "a cat")
    seen.find("button", "Make a variation").click()
    tiles(seen).nth(1).wait_for()
    assert tiles(seen).first.locator(".tile-caption").inner_text() == "Variation of: a cat"
    differences = seen.page.evaluate(f"""async () => {{
      const [a, b] = await ({READ})([...document.querySelectorAll(".tile img")]);
      return a.reduce((count, value, at) => count + (value !== b[at]), 0);
    }}""")
    assert differences > 1_000


def test_errors_are_shown_as_the_server_says_them(picture_server: ServerProcess, visit: Visiting) -> None:
    """What the server refuses is shown in its own words, and the next attempt removes them."""
    seen = visit(picture_server, "#/pictures")
    open_pictures(seen)
    seen.page.get_by_text("More settings").click()
    seen.page.get_by_label("Steps").fill("999")
    seen.page.get_by_label("Describe the picture").fill("a cat")
    seen.page.get_by_label("Describe the picture").press("Enter")
    alert = seen.page.get_by_role("alert")
    alert.wait_for()
    body = {"model": "homeport-emoji-128", "prompt": "a cat", "steps": 999}
    assert alert.inner_text() == picture_server.call("POST", "/v1/images/generations", body).error["message"]
    seen.page.get_by_label("Steps").fill("")
    generate(seen, "a cat")
    assert alert.count() == 0


def test_all_pictures_are_removed_after_a_question(picture_server: ServerProcess, visit: Visiting) -> None:
    """Removing all pictures asks first; until then they stay, also while another view is shown."""
    seen = visit(picture_server, "#/pictures")
    open_pictures(seen)
    generate(seen, "a cat")
    seen.page.get_by_role("navigation").get_by_role("link", name="Start").click()
    seen.page.go_back()
    tiles(seen).first.wait_for()
    seen.find("button", "Remove all pictures").click()
    seen.find("button", "Cancel").click()
    assert tiles(seen).count() == 1
    seen.find("button", "Remove all pictures").click()
    seen.find("button", "Remove").click()
    seen.find("heading", "No pictures yet").wait_for()


def test_without_a_model_the_view_says_what_to_pull(server: ServerProcess, visit: Visiting) -> None:
    """Without a model for images, the view names the command that pulls one."""
    seen = visit(server)
    seen.page.route("**/v1/models", lambda route: route.fulfill(json={"object": "list", "data": []}))
    seen.page.goto(f"http://127.0.0.1:{server.port}/#/pictures")
    seen.page.get_by_text("homeport pull homeport-emoji-128").wait_for()


@pytest.mark.parametrize("color_scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [PHONE, (1280, 800)], ids=["phone", "wide"])
def test_it_fits_and_is_accessible(
    picture_server: ServerProcess, visit: Visiting, color_scheme: str, size: tuple[int, int]
) -> None:
    """axe-core finds nothing serious in form, gallery, dialog and editor, and nothing is wider than the window."""
    seen = visit(picture_server, "#/pictures", color_scheme=color_scheme, size=size)
    open_pictures(seen)
    assert seen.accessibility_faults() == []
    generate(seen, "a cat " + "x" * 300)
    tiles(seen).first.locator(".tile-picture").click()
    assert seen.accessibility_faults() == []
    seen.page.get_by_role("dialog").get_by_role("button", name="Edit this picture").click()
    stroke(seen)
    assert seen.accessibility_faults() == []
    assert seen.page.evaluate("(main => main.scrollWidth <= main.clientWidth)(document.querySelector('main'))")
    assert seen.page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def _photo(kind: str, width: int, height: int) -> dict[str, Any]:
    """Return a picture as a file: a disk on a gradient."""
    image = Image.linear_gradient("L").resize((width, height)).convert("RGB")
    image.paste((200, 40, 40), (width // 3, height // 3, width // 2, height // 2))
    data = io.BytesIO()
    image.save(data, kind)
    name = Path("photo").with_suffix(f".{kind.lower()}").name
    return {"name": name, "mimeType": f"image/{kind.lower()}", "buffer": data.getvalue()}
