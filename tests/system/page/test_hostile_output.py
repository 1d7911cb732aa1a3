"""Whatever a model writes is text: it loads nothing, runs nothing and leads nowhere unasked."""

from tests.system.page.conftest import Visiting
from tests.system.server import ServerProcess

HOSTILE = """# Title

<script>window.broken = 1</script> <img src=x onerror="window.broken = 2"> <svg onload="window.broken = 3"></svg>

<iframe src="https://evil.example/"></iframe><style>body { display: none }</style>

![pixel](https://evil.example/pixel.png) ![data](data:image/svg+xml;base64,PHN2Zz4=)

[one](javascript:window.broken=4) [two](JaVaScRiPt:window.broken=5) [three](data:text/html,<script>alert(1)</script>)
[four](vbscript:x) [five](#/link/stolen) [six](/admin/v1/keys) [seven](//evil.example/x)
[eight]( java&#10;script:alert(1)) [nine](file:///etc/passwd)
[ten](https://example.org/fine "title\\" onclick=alert(1)")

<https://example.org/auto> <javascript:alert(1)>

| a | b |
|:-:|--:|
| <b onclick=alert(1)>bold</b> | `<script>` |

```html"><script>window.broken=6</script>
<script>window.broken = 7</script>
```

```svg
<svg onload="window.broken = 8"><a href="javascript:alert(1)">x</a></svg>
```

$\\href{javascript:window.broken=9}{click} \\includegraphics{https://evil.example/a.png}$
$$\\class{x}{\\style{background:url(https://evil.example/b)}{y}} \\url{javascript:alert(1)}$$
$$x^2 + \\frac{1}{2}$$

Last words.
"""


def test_hostile_output_does_nothing(server: ServerProcess, visit: Visiting) -> None:
    """HTML, SVG, scripts, foreign images, and links that are no web addresses become text and do nothing."""
    seen = visit(server)
    seen.answer_with(*(HOSTILE[i : i + 7] for i in range(0, len(HOSTILE), 7)))
    seen.open_chat()
    seen.ask("Be hostile.")
    seen.page.locator(".message-foot").wait_for()
    seen.page.get_by_text("Last words.").wait_for()
    seen.page.locator("math").first.wait_for()
    assert seen.page.evaluate("window.broken") is None
    markdown = seen.page.locator(".markdown").first
    for tag in ("script", "img", "iframe", "style", "object", "b", "[onclick]", "[onload]", "[onerror]", "a svg"):
        assert markdown.locator(tag).count() == 0, tag
    links = seen.page.evaluate("[...document.querySelectorAll('.markdown a')].map((a) => [a.href, a.rel])")
    assert links
    assert {rel for _, rel in links} == {"noopener noreferrer nofollow"}
    assert [href for href, _ in links if not href.startswith("https://")] == []
    assert "<script>window.broken = 1</script>" in markdown.inner_text()
    assert seen.page.evaluate("location.hash").startswith("#/chat/")


def test_the_policy_refuses_inline_code(server: ServerProcess, visit: Visiting) -> None:
    """Even if markup got into the page, the browser refuses to make HTML of text and to run inline code."""
    seen = visit(server)
    seen.find("heading", "Welcome").wait_for()
    refused = seen.page.evaluate(
        """() => [
          () => { document.body.innerHTML = "<b>x</b>"; },
          () => { document.body.setAttribute("onclick", "window.broken = 1"); },
          () => { document.createElement("script").text = "window.broken = 2"; },
          () => { setTimeout("window.broken = 3"); },
        ].map((attempt) => {
          try { attempt(); return "done"; } catch (error) { return error.name; }
        })"""
    )
    assert refused == ["TypeError"] * 4
    assert seen.faults
    seen.faults.clear()  # the violations that this test caused


LED_ASTRAY = [
    "/v1/batches/../files",
    "/v1/batches/%2e%2E/files",
    "/v1/batches/..\\..\\admin\\v1\\keys",
    "/v1/batches/x/../../../admin/v1/keys/key_1/rotate?",
    "//evil.example/v1/models",
    "https://evil.example/v1/models",
]
"""Paths that a name in them leads elsewhere."""


def test_a_name_leads_a_request_nowhere_else(server: ServerProcess, visit: Visiting) -> None:
    """A link's or a file's name with dots, slashes or backslashes asks for no other path, by no method."""
    seen = visit(server)
    seen.find("heading", "Welcome").wait_for()
    asked: list[str] = []
    seen.page.on("request", lambda request: asked.append(request.url))
    statuses = seen.page.evaluate(
        """async (paths) => {
          const address = document.querySelector('link[rel=modulepreload][href$="js/client.js"]').href;
          const {send} = await import(address);
          const status = (path) => send(path, {method: "POST"}).then(() => 200, (error) => error.status ?? error.name);
          return Promise.all(paths.map(status));
        }""",
        LED_ASTRAY,
    )
    assert statuses == [404] * len(LED_ASTRAY)
    assert asked == []
    seen.page.evaluate("location.hash = '#/jobs/batches/..%2F..%2Fadmin%2Fv1%2Fself'")
    seen.page.get_by_role("alert").wait_for()
    assert any("/v1/batches/..%2F..%2Fadmin%2Fv1%2Fself" in each for each in asked)
    assert not any(each.endswith("/admin/v1/self") for each in asked)
