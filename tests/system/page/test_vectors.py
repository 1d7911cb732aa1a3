"""Embeddings and moderation in the page, by real models: similarities, picture search, categories."""

import base64
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.system.page.conftest import KEY, Visiting
from tests.system.page.visits import Visit
from tests.system.server import ServerProcess

DRAWINGS = sorted((Path(__file__).parents[2] / "data" / "glance").glob("*.webp"))
TEXTS = ["A dog runs in the park.", "一只小狗在公园里跑。", "Interest rates rose again."]
E5, GLANCE = "multilingual-e5-small", "homeport-glance-256"
PHONE = (390, 844)


def cosines(server: ServerProcess, model: str, inputs: list[Any]) -> np.ndarray[Any, Any]:
    """Return the cosines of all pairs by the endpoint's own vectors."""
    answer = server.call("POST", "/v1/embeddings", {"model": model, "input": inputs}).json()
    rows = np.array([each["embedding"] for each in answer["data"]])
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    return np.asarray(rows @ rows.T)


def shown_cosines(seen: Visit) -> np.ndarray[Any, Any]:
    """Return the values of the heat map."""
    cells = seen.page.locator(".heat-table tbody td").all_inner_texts()
    return np.array([float(cell) for cell in cells]).reshape(2 * (round(len(cells) ** 0.5),))


def search(seen: Visit, words: str) -> str:
    """Search pictures by words and return the name of the best one."""
    seen.page.get_by_label("Search by words").fill(words)
    with seen.page.expect_response("**/v1/embeddings"):
        seen.page.keyboard.press("Enter")
    seen.find("button", "Search").and_(seen.page.locator("[aria-busy=false]")).wait_for()
    return str(seen.page.locator(".result .clipped").first.inner_text())


def add_drawings(seen: Visit) -> None:
    """Choose the dozen drawings and wait until they are embedded."""
    seen.page.locator(".search input[type=file]").first.set_input_files(DRAWINGS)
    seen.page.get_by_text(f"Pictures: {len(DRAWINGS)}", exact=True).wait_for()


def test_a_heat_map_shows_the_cosines_of_texts(picture_server: ServerProcess, visit: Visiting) -> None:
    """The values are the cosines of `/v1/embeddings`; more alike pairs are stronger colored, and the best is named."""
    seen = visit(picture_server, "#/vectors")
    seen.page.get_by_label("Model").select_option(E5)
    seen.page.get_by_label("Texts, one per line").fill("\n".join(TEXTS) + "\n\n")
    seen.find("button", "Compare").click()
    seen.page.locator(".heat-table").wait_for()
    expected = cosines(picture_server, E5, TEXTS)
    assert np.abs(shown_cosines(seen) - expected).max() <= 0.001
    seen.page.get_by_text(f"Most alike: 1 and 2, {expected[0, 1]:.3f}").wait_for()
    levels = [int(name.removeprefix("heat-")) for name in _classes(seen) if name != "heat-same"]
    values = [value for at, value in enumerate(shown_cosines(seen).flat) if at % 4]
    in_order = [level for _, level in sorted(zip(values, levels, strict=True))]
    assert all(a <= b for a, b in pairwise(in_order))
    assert in_order[0] < in_order[-1]


def test_a_heat_map_compares_texts_with_pictures(picture_server: ServerProcess, visit: Visiting) -> None:
    """With a model for pictures, drawings are compared with words; each is nearest to its name."""
    seen = visit(picture_server, "#/vectors/compare")
    seen.page.get_by_label("Model").select_option(GLANCE)
    seen.page.get_by_label("Texts, one per line").fill("a dog\n一把吉他")
    chosen = [path for path in DRAWINGS if path.stem in ("dog", "guitar")]
    seen.page.locator("input[type=file]").set_input_files(chosen)
    seen.page.locator(".compared-list li").nth(1).wait_for()
    seen.find("button", "Compare").click()
    seen.page.locator(".heat-table tbody tr").nth(3).wait_for()
    shown = shown_cosines(seen)
    assert shown[0, 2] > shown[0, 3]
    assert shown[1, 3] > shown[1, 2]
    urls = [f"data:image/webp;base64,{base64.b64encode(path.read_bytes()).decode()}" for path in chosen]
    images = [{"type": "image_url", "image_url": {"url": url}} for url in urls]
    expected = cosines(picture_server, GLANCE, ["a dog", "一把吉他", *images])
    assert np.abs(shown - expected).max() <= 0.002


def test_pictures_are_found_by_words_and_by_pictures(picture_server: ServerProcess, visit: Visiting) -> None:
    """Of a dozen drawings, words in two languages and another drawing find the right one."""
    seen = visit(picture_server, "#/vectors/search")
    add_drawings(seen)
    assert seen.page.locator(".result").count() == len(DRAWINGS)
    for words, name in (("a guitar", "guitar"), ("汽车", "car"), ("斑马", "zebra"), ("an elephant", "elephant")):
        assert search(seen, words) == f"{name}.webp"
    scores = [float(text) for text in seen.page.locator(".result-score").all_text_contents()]
    assert scores == sorted(scores, reverse=True)
    seen.find("button", "Find pictures like zebra.webp").click()
    seen.page.get_by_text("Like zebra.webp").wait_for()
    assert seen.page.locator(".result .clipped").first.inner_text() == "zebra.webp"
    seen.find("button", "End this search").click()
    seen.page.locator(".search-ask input[type=file]").set_input_files(
        next(path for path in DRAWINGS if path.stem == "trumpet")
    )
    seen.page.get_by_text("Like trumpet.webp").wait_for()
    assert seen.page.locator(".result .clipped").first.inner_text() == "trumpet.webp"
    seen.find("button", "Open trumpet.webp").click()
    seen.page.get_by_role("dialog").locator("img").wait_for()


def test_reading_pictures_can_be_stopped_and_continued(
    picture_server: ServerProcess, visit: Visiting, tmp_path: Path
) -> None:
    """Pictures of a folder are sent in batches of 16; a stop keeps those that are done; broken files are named."""
    for at in range(40):
        Image.new("RGB", (64, 48), (at * 6, 255 - at * 6, 80)).save(tmp_path / f"{at}.png")
    (tmp_path / "notes.txt").write_text("no picture", "utf-8")
    (tmp_path / "broken.png").write_bytes(b"no picture")
    seen = visit(picture_server, "#/vectors/search")
    batches: list[int] = []
    held: list[Any] = []

    def hold_second(route: Any) -> None:
        batches.append(len(route.request.post_data_json["input"]))
        if len(batches) == 2:
            held.append(route)
        else:
            route.continue_()

    seen.page.route("**/v1/embeddings", hold_second)
    seen.page.locator(".search input[type=file]").nth(1).set_input_files(tmp_path)
    seen.page.locator(".result").nth(14).wait_for()
    seen.find("button", "Stop").click()
    seen.find("button", "Continue").click()
    seen.page.get_by_text("Pictures: 41", exact=True).wait_for()
    assert len(held) == 1
    assert max(batches) == 16
    assert sum(batches) - batches[1] == 40
    assert seen.page.locator(".result").count() == 40
    seen.page.get_by_text("Files that cannot be read: 1").click()
    seen.page.get_by_text("broken.png").wait_for()
    seen.find("button", "Forget these pictures").click()
    seen.find("heading", "Find pictures by what they show").wait_for()


def test_moderation_shows_all_categories(picture_server: ServerProcess, visit: Visiting) -> None:
    """A threat is flagged, with the scores of the endpoint and the highest first; a harmless text is not."""
    seen = visit(picture_server, "#/vectors/moderation", locale="zh-CN")
    seen.page.get_by_label("文本", exact=True).fill("我要杀了你")
    seen.find("button", "检查").click()
    seen.find("heading", "已标记为有害").wait_for()
    answer = picture_server.call("POST", "/v1/moderations", {"input": "我要杀了你"}).json()["results"][0]
    rows = seen.page.locator(".verdict tbody tr")
    assert rows.count() == len(answer["category_scores"]) == 13
    scores = [float(text) for text in seen.page.locator(".verdict td.number").all_inner_texts()]
    assert np.allclose(scores, sorted(answer["category_scores"].values(), reverse=True), atol=0.001)
    assert seen.page.locator(".category-flagged").count() == sum(answer["categories"].values()) > 0
    assert seen.page.locator(".category-flagged", has_text="暴力").count()
    seen.page.get_by_label("文本", exact=True).fill("今天天气很好。")
    seen.find("button", "检查").click()
    seen.find("heading", "未标记").wait_for()
    assert seen.page.locator(".category-flagged").count() == 0


def test_moderation_of_a_picture(picture_server: ServerProcess, visit: Visiting) -> None:
    """A drawing alone is checked too, and is harmless."""
    seen = visit(picture_server, "#/vectors/moderation")
    seen.page.locator("input[type=file]").set_input_files(DRAWINGS[0])
    seen.page.get_by_text(DRAWINGS[0].name).wait_for()
    seen.find("button", "Check").click()
    seen.find("heading", "Not flagged").wait_for()


def test_errors_are_shown_as_the_server_says_them(picture_server: ServerProcess, visit: Visiting) -> None:
    """A text over the model's window is refused in the server's own words, and the former table stays."""
    seen = visit(picture_server, "#/vectors")
    seen.find("button", "Try an example").click()
    seen.page.locator(".heat-table").wait_for()
    long = "word " * 2000
    seen.page.get_by_label("Texts, one per line").fill(f"{long}\nshort")
    seen.find("button", "Compare").click()
    alert = seen.page.get_by_role("alert")
    alert.wait_for()
    body = {"model": E5, "input": [long.strip(), "short"]}
    assert alert.inner_text() == picture_server.call("POST", "/v1/embeddings", body).error["message"]
    assert seen.page.locator(".heat-table").count() == 1


def test_only_tabs_with_models_are_shown(picture_server: ServerProcess, visit: Visiting) -> None:
    """Tabs whose models are not installed are not shown; what to pull for them is."""
    seen = visit(picture_server)
    listed = picture_server.call("GET", "/v1/models").json()

    def show(*models: str) -> None:
        kept = [each for each in listed["data"] if each["id"] in models]
        seen.page.route("**/v1/models", lambda route: route.fulfill(json={**listed, "data": kept}))
        seen.page.goto(f"http://127.0.0.1:{picture_server.port}/#/vectors")
        seen.page.reload()

    show(E5)
    seen.find("tab", "Compare").wait_for()
    assert seen.page.get_by_role("tab").count() == 1
    seen.page.get_by_text("homeport pull homeport-glance-256").wait_for()
    show()
    seen.page.get_by_text("homeport pull homeport-moderation").wait_for()
    assert seen.page.get_by_role("tab").count() == 0


def test_another_key_does_not_see_the_work_of_the_last_one(keyed_server: ServerProcess, visit: Visiting) -> None:
    """What is written here stays while other views are shown, and is forgotten when the tab signs out."""
    seen = visit(keyed_server, "#/vectors/moderation")
    sign_in = seen.find("button", "Sign in")
    seen.page.get_by_label("API key").fill(KEY)
    sign_in.click()
    field = seen.page.get_by_label("Text", exact=True)
    field.fill("a secret")
    seen.page.get_by_role("navigation").get_by_role("link", name="Start").click()
    seen.page.go_back()
    field.wait_for()
    assert field.input_value() == "a secret"
    seen.page.get_by_role("button", name="Account").click()
    seen.find("menuitem", "Sign out").click()
    sign_in.wait_for()
    seen.page.get_by_label("API key").fill(KEY)
    sign_in.click()
    field.wait_for()
    assert field.input_value() == ""


@pytest.mark.parametrize("color_scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [PHONE, (1280, 800)], ids=["phone", "wide"])
def test_it_fits_and_is_accessible(
    picture_server: ServerProcess, visit: Visiting, color_scheme: str, size: tuple[int, int]
) -> None:
    """axe-core finds nothing serious in any tab, and nothing is wider than the window, also with long names."""
    seen = visit(picture_server, "#/vectors", color_scheme=color_scheme, size=size)

    def check() -> None:
        assert seen.accessibility_faults() == []
        assert seen.page.evaluate("(main => main.scrollWidth <= main.clientWidth)(document.querySelector('main'))")
        assert seen.page.evaluate("document.documentElement.scrollWidth <= innerWidth")

    seen.page.get_by_label("Model").select_option(GLANCE)
    seen.page.get_by_label("Texts, one per line").fill("x" * 200 + "\n" + "\n".join("abcdefghijkl"))
    seen.find("button", "Compare").click()
    seen.page.locator(".heat-table").wait_for()
    check()
    seen.find("tab", "Picture search").click()
    check()
    long_name = {"name": "x" * 120 + ".webp", "mimeType": "image/webp", "buffer": DRAWINGS[0].read_bytes()}
    seen.page.locator(".search input[type=file]").first.set_input_files(long_name)
    seen.page.get_by_text("Pictures: 1", exact=True).wait_for()
    search(seen, "a dog")
    check()
    seen.find("tab", "Moderation").click()
    seen.page.get_by_label("Text", exact=True).fill("I will kill you")
    seen.find("button", "Check").click()
    seen.find("heading", "Flagged").wait_for()
    check()


def _classes(seen: Visit) -> list[str]:
    """Return the classes of the heat map's cells."""
    found: list[str] = seen.page.locator(".heat-table tbody td").evaluate_all(
        "cells => cells.map((each) => each.className)"
    )
    return found
