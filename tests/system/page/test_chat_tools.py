"""The chat's settings, tools, JSON answers, token probabilities, and the code of requests."""

import json
import math
from typing import Any

import pytest

from tests.system.page.conftest import KEY, Visiting
from tests.system.page.visits import Visit
from tests.system.server import ServerProcess

PHONE = (390, 844)
WIDE = (1440, 900)
VIEW = "document.querySelector('script[src$=main\\\\.js]').src.replace(/main\\.js$/, '') + 'views/chat/'"


def open_settings(seen: Visit, tab: str = "Answers") -> None:
    """Show the panel and one of its tabs."""
    seen.page.get_by_role("button", name="Settings").click()
    seen.page.get_by_role("tab", name=tab).click()


def set_number(seen: Visit, label: str, value: object) -> None:
    """Fill in a number of the settings."""
    seen.page.get_by_label(label, exact=True).fill(str(value))


def ask(seen: Visit, text: str) -> dict[str, Any]:
    """Send a message, wait until the answer is complete, and return the request."""
    answers = seen.page.locator(".message-assistant > .message-foot")
    before = answers.count()
    with seen.page.expect_request("**/v1/chat/completions") as sent:
        seen.ask(text)
    answers.nth(before).wait_for(timeout=90_000)
    body: dict[str, Any] = sent.value.post_data_json
    return body


def answer_with_calls(seen: Visit, *calls: tuple[str, str]) -> None:
    """Have the next answers be calls: names and arguments, in pieces."""
    deltas: list[Any] = []
    for index, (name, arguments) in enumerate(calls):
        half = len(arguments) // 2
        first = {"index": index, "id": f"call_{index}", "type": "function", "function": {"name": name, "arguments": ""}}
        pieces = [{"index": index, "function": {"arguments": each}} for each in (arguments[:half], arguments[half:])]
        deltas += [{"tool_calls": [piece]} for piece in (first, *pieces)]
    chunks: list[Any] = [{"choices": [{"delta": delta}]} for delta in deltas]
    chunks.append({"choices": [{"delta": {}, "finish_reason": "tool_calls"}]})
    body = "".join(f"data: {json.dumps(chunk)}\n\n" for chunk in chunks) + "data: [DONE]\n\n"
    seen.page.route("**/v1/chat/completions", lambda route: route.fulfill(body=body, content_type="text/event-stream"))


def test_what_is_set_is_sent_and_kept(server: ServerProcess, visit: Visiting) -> None:
    """Only what is set is in the request; it is still set after a reload, and no more after a reset."""
    seen = visit(server, "#/chat", size=WIDE)
    seen.find("textbox", "Write a message").wait_for()
    open_settings(seen)
    set_number(seen, "Temperature", 0)
    set_number(seen, "Maximum tokens", 5)
    set_number(seen, "Seed", -7)
    seen.page.get_by_text("More", exact=True).click()
    set_number(seen, "Min p", "0,05")
    seen.page.get_by_label("Stop texts").fill("\\n\\n\nEND")
    seen.find("textbox", "System prompt").fill("Be brief.")
    expected = {"temperature": 0, "max_tokens": 5, "seed": -7, "min_p": 0.05, "stop": ["\n\n", "END"]}
    frame = {"model": "smollm2-135m", "stream": True, "stream_options": {"include_usage": True}}
    messages = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hello"}]
    assert ask(seen, "Hello") == {**frame, **expected, "messages": messages}
    seen.page.reload()
    seen.page.get_by_role("button", name="Settings (6 set)").click()
    assert seen.page.get_by_label("Seed", exact=True).input_value() == "-7"
    assert seen.page.get_by_label("Stop texts").input_value() == "\\n\\n\nEND"
    seen.find("button", "Reset").click()
    seen.page.get_by_role("dialog").get_by_role("button", name="Reset").click()
    assert seen.page.get_by_label("Seed", exact=True).input_value() == ""
    seen.set_in_requests(max_tokens=3)
    seen.find("button", "New conversation").first.click()
    assert ask(seen, "Hi") | {"max_tokens": 3} == {
        **frame,
        "max_tokens": 3,
        "messages": [{"role": "user", "content": "Hi"}],
    }


def test_a_wrong_number_is_an_error_and_is_not_sent(server: ServerProcess, visit: Visiting) -> None:
    """A number out of range, or no number, is an error at its field and is left out; it stays to be corrected."""
    seen = visit(server, "#/chat", size=WIDE)
    seen.find("textbox", "Write a message").wait_for()
    open_settings(seen)
    set_number(seen, "Temperature", "2.5")
    seen.page.get_by_text("From 0 to 2.", exact=True).wait_for()
    set_number(seen, "Seed", "1.5")
    seen.page.get_by_text("This must be a whole number.").wait_for()
    set_number(seen, "Maximum tokens", 3)
    body = ask(seen, "Hello")
    assert body["max_tokens"] == 3
    assert not {"temperature", "seed"} & set(body)
    seen.page.get_by_role("tab", name="Tools").click()
    seen.page.get_by_role("tab", name="Answers").click()
    assert seen.page.get_by_label("Temperature", exact=True).input_value() == "2.5"


def test_the_ranges_are_those_of_the_server(server: ServerProcess, visit: Visiting) -> None:
    """The server accepts each number's limits and refuses what is beyond them."""
    seen = visit(server, "#/chat")
    script = (
        f"import({VIEW} + 'settings/number_fields.js').then((each) => [...each.MAIN_NUMBERS, ...each.MORE_NUMBERS])"
    )
    specs = seen.page.evaluate(script)
    assert len(specs) == 8
    base = {"model": "smollm2-135m", "messages": [{"role": "user", "content": "Hi"}], "max_tokens": 1}
    for spec in specs:
        name, step = spec["name"], 1 if spec.get("isInteger") else 0.01
        limits = (spec["min"],) if name == "max_tokens" else (spec["min"], spec["max"])
        for value in limits:
            assert server.call("POST", "/v1/chat/completions", {**base, name: value}).status == 200, (name, value)
        if name == "seed":
            continue  # JavaScript has fewer whole numbers than the server
        for value in (spec["min"] - step, spec["max"] + step):
            answer = server.call("POST", "/v1/chat/completions", {**base, name: value})
            assert (answer.status, answer.error["param"]) == (400, name), (name, value)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('[\n  {"name": }\n]', "see line 2, column 12"),
        ('{"name": "a"', "something is missing at its end"),
        ("[1]", "Tool 1 is no object"),
        ('[{"type": "web_search"}]', "has the type “web_search”"),
        ('{"description": "x"}', "Tool 1 has no name"),
        ('{"name": "a b"}', "The name “a b”"),
        ('{"name": "a", "parameters": []}', "The parameters of “a”"),
        ('[{"name": "a"}, {"name": "a"}]', "Two tools are called “a”"),
    ],
)
def test_wrong_tools_say_where_they_are_wrong(server: ServerProcess, visit: Visiting, text: str, problem: str) -> None:
    """Text that is no list of tools is an error that says where it is wrong."""
    seen = visit(server, "#/chat", size=WIDE)
    seen.find("textbox", "Write a message").wait_for()
    open_settings(seen, "Tools")
    seen.page.get_by_label("Tools as JSON").fill(text)
    error = seen.page.locator(".chat-panel .field-error")
    error.wait_for()
    assert problem in error.inner_text()
    assert "Until then it is not sent." in error.inner_text()


def test_all_forms_of_tools_are_understood(server: ServerProcess, visit: Visiting) -> None:
    """Today's tools, 2023's functions, those of responses, a single one and a whole request become the same field."""
    seen = visit(server, "#/chat", size=WIDE)
    seen.find("textbox", "Write a message").wait_for()
    function = {"name": "f", "parameters": {"type": "object", "properties": {}}}
    tool = {"type": "function", "function": function}
    custom = {"type": "custom", "custom": {"name": "c"}}
    forms: list[tuple[Any, Any]] = [
        ([tool], [tool]),
        (function, [tool]),
        ([{"type": "function", **function}], [tool]),
        ({"model": "m", "tools": [tool, custom]}, [tool, custom]),
        ({"functions": [function]}, [tool]),
        ({"type": "custom", "name": "c"}, [custom]),
        ([], None),
    ]
    script = f"""(texts) => import({VIEW} + 'settings/tools_text.js')
        .then((module) => texts.map((text) => module.parseTools(text) ?? null))"""
    assert seen.page.evaluate(script, [json.dumps(given) for given, _ in forms]) == [wanted for _, wanted in forms]


def test_a_call_is_answered_by_hand(default_server: ServerProcess, visit: Visiting) -> None:
    """A real model calls the example's tool; its result, written by hand, is sent, and the model continues."""
    seen = visit(default_server, "#/chat", size=WIDE)
    seen.find("textbox", "Write a message").wait_for()
    open_settings(seen)
    set_number(seen, "Temperature", 0)
    set_number(seen, "Maximum tokens", 80)
    seen.page.get_by_role("tab", name="Tools").click()
    seen.find("button", "Example").click()
    seen.page.get_by_label("Which to call").select_option("get_weather")
    body = ask(seen, "What is the weather in Paris in celsius?")
    assert body["tool_choice"] == {"type": "function", "function": {"name": "get_weather"}}
    card = seen.page.get_by_role("region", name="Call of get_weather")
    shown = json.loads(card.locator("pre").inner_text())
    assert shown["unit"] in ("celsius", "fahrenheit")
    assert "\n  " in card.locator("pre").inner_text()
    send = seen.find("button", "Send the result")
    assert send.is_disabled()
    card.get_by_role("textbox").fill('{"temperature": 21}')
    seen.page.get_by_label("Which to call").select_option("none")
    with seen.page.expect_request("**/v1/chat/completions") as sent:
        send.click()
    roles = [message["role"] for message in sent.value.post_data_json["messages"]]
    assert roles == ["user", "assistant", "tool"]
    assert sent.value.post_data_json["messages"][2]["content"] == '{"temperature": 21}'
    seen.page.locator(".message-assistant").nth(1).locator(".message-foot").wait_for(timeout=90_000)
    assert not seen.page.locator(".message-error").all_inner_texts()
    assert "21" in card.locator(".call-result").inner_text()
    assert seen.page.get_by_role("button", name="Send the result").count() == 0
    assert seen.page.locator(".message-note").count() == 0


def test_parallel_calls_are_answered_together(server: ServerProcess, visit: Visiting) -> None:
    """Each of several calls has a field; all results are sent in the calls' order. What is no JSON stays as it is."""
    seen = visit(server, "#/chat")
    answer_with_calls(seen, ("first", '{"a":[1,2]}'), ("second", '{"cut": '))
    ask(seen, "Call them.")
    cards = seen.page.locator(".call")
    assert cards.nth(0).locator("pre").inner_text() == '{\n  "a": [\n    1,\n    2\n  ]\n}'
    assert cards.nth(1).locator("pre").inner_text() == '{"cut": '
    seen.page.get_by_label("Result of second").fill("two")
    assert seen.find("button", "Send the results").is_disabled()
    seen.page.get_by_label("Result of first").fill("one")
    with seen.page.expect_request("**/v1/chat/completions") as sent:
        seen.page.get_by_label("Result of first").press("Control+Enter")
    results = [(each["tool_call_id"], each["content"]) for each in sent.value.post_data_json["messages"][2:]]
    assert results == [("call_0", "one"), ("call_1", "two")]
    assert cards.nth(0).locator(".call-result").inner_text().split() == ["Result", "one"]


def test_an_answer_matches_its_schema(server: ServerProcess, visit: Visiting) -> None:
    """An answer by a schema is shown as JSON with a mark, also one that was cut, which does not match."""
    seen = visit(server, "#/chat", size=WIDE)
    seen.find("textbox", "Write a message").wait_for()
    open_settings(seen, "Format")
    seen.page.get_by_label("The answer is").select_option("json_schema")
    schema = {
        "type": "object",
        "properties": {"ok": {"type": "boolean"}, "size": {"enum": ["small", "large"]}},
        "required": ["ok", "size"],
        "additionalProperties": False,
    }
    area = seen.page.get_by_label("JSON Schema", exact=True)
    area.fill('["no object"]')
    seen.page.get_by_text("A schema is an object in braces.").wait_for()
    area.fill(json.dumps(schema))
    body = ask(seen, "Is it?")
    assert body["response_format"]["json_schema"] == {"name": "answer", "strict": True, "schema": schema}
    answer = seen.page.locator(".json-answer")
    assert set(json.loads(answer.locator("pre").inner_text())) == {"ok", "size"}
    assert answer.locator(".json-mark").inner_text().strip() == "Matches the schema"
    seen.page.get_by_role("tab", name="Answers").click()
    set_number(seen, "Maximum tokens", 2)
    ask(seen, "And now?")
    assert "no valid JSON" in answer.nth(1).locator(".json-mark-wrong").inner_text()


def test_values_are_compared_with_schemas(server: ServerProcess, visit: Visiting) -> None:
    """The place of the first difference between a value and a schema is found, and none where they agree."""
    seen = visit(server, "#/chat")
    item = {"type": "object", "properties": {"n": {"type": "integer", "minimum": 1}}, "required": ["n"]}
    tree = {"$defs": {"t": {"properties": {"c": {"items": {"$ref": "#/$defs/t"}}, "v": {"type": "string"}}}},
            "$ref": "#/$defs/t"}  # fmt: skip
    cases: list[tuple[Any, Any, str | None]] = [
        ([{"n": 1}, {"n": 2}], {"type": "array", "items": item}, None),
        ([{"n": 1}, {"n": 0}], {"items": item}, "$[1].n"),
        ([{"n": 1.5}], {"items": item}, "$[0].n"),
        ([{}], {"items": item}, "$[0].n"),
        ({"a": 1, "b": 2}, {"properties": {"a": True}, "additionalProperties": False}, "$.b"),
        ("中文", {"type": "string", "maxLength": 2, "pattern": "^\\p{L}+$"}, None),
        ("abc", {"type": "string", "pattern": "^b"}, "$"),
        (None, {"type": ["string", "null"]}, None),
        (True, {"type": "integer"}, "$"),
        ({"x": [1, 2]}, {"const": {"x": [1, 2]}}, None),
        (3, {"anyOf": [{"type": "string"}, {"maximum": 2}]}, "$"),
        (3, {"oneOf": [{"type": "number"}, {"type": "integer"}]}, "$"),
        ({"c": [{"c": [], "v": "x"}]}, tree, None),
        ({}, {"required": 1}, None),
        ({"c": [{"c": [{"v": 1}]}]}, tree, "$.c[0].c[0].v"),
    ]
    script = f"""(cases) => import({VIEW} + 'schema_answer/json_schema.js')
        .then((module) => cases.map(([value, schema]) => module.findDifference(value, schema)))"""
    found = seen.page.evaluate(script, [[value, schema] for value, schema, _ in cases])
    assert found == [place for _, _, place in cases]


def test_tokens_show_their_probabilities(server: ServerProcess, visit: Visiting) -> None:
    """Each token has its probability and alternatives, by pointing and by arrow keys, with one stop for Tab."""
    seen = visit(server, "#/chat", size=WIDE)
    seen.find("textbox", "Write a message").wait_for()
    open_settings(seen)
    set_number(seen, "Temperature", 0)
    set_number(seen, "Maximum tokens", 12)
    seen.find("switch", "Token probabilities").click()
    with seen.page.expect_response("**/v1/chat/completions") as answered:
        body = ask(seen, "Count to five.")
    assert (body["logprobs"], body["top_logprobs"]) == (True, 5)
    lines = [line.removeprefix("data: ") for line in answered.value.text().splitlines() if line.startswith("data: {")]
    choices = [choice for line in lines for choice in json.loads(line)["choices"]]
    entries = [entry for choice in choices for entry in (choice.get("logprobs") or {}).get("content") or []]
    seen.find("button", "Show the token probabilities").click()
    tokens = seen.page.get_by_role("listbox").get_by_role("option")
    tokens.first.wait_for()
    assert tokens.count() == len(entries) > 1
    shown = "".join(tokens.all_text_contents())
    assert shown == "".join(entry["token"] for entry in entries)
    assert seen.page.locator(".tokens [tabindex='0'], .tokens button, .tokens a").count() == 1
    seen.page.get_by_role("listbox").focus()
    seen.page.keyboard.press("End")
    seen.page.keyboard.press("ArrowLeft")
    assert seen.page.locator("[role=option][aria-selected=true]").get_attribute("data-index") == str(len(entries) - 2)
    rows = seen.page.locator(".alternatives tr")
    assert rows.count() == 5
    chosen = seen.page.locator(".alternative-chosen td").last.inner_text()
    wanted = math.exp(entries[-2]["logprob"]) * 100
    assert abs(float(chosen.removesuffix("%").removeprefix("<")) - wanted) <= 0.1
    tokens.first.hover()
    assert tokens.first.get_attribute("aria-selected") == "true"
    assert seen.accessibility_faults() == []
    seen.find("button", "Hide the token probabilities").click()
    assert seen.page.locator(".tokens").count() == 0


def test_an_answer_is_shown_as_code(keyed_server: ServerProcess, visit: Visiting) -> None:
    """The code of an answer has its very request and this server's address, and the key only by its variable's name."""
    seen = visit(keyed_server, size=WIDE)
    seen.page.get_by_label("API key").fill(KEY)
    seen.find("button", "Sign in").click()
    seen.open_chat()
    open_settings(seen)
    set_number(seen, "Maximum tokens", 3)
    body = ask(seen, 'It\'s "me" & $HOME')
    seen.page.locator(".message-assistant").get_by_role("button", name="As code").click()
    dialog = seen.page.get_by_role("dialog", name="As code")
    code = dialog.locator("pre").inner_text()
    assert f"http://127.0.0.1:{keyed_server.port}/v1/chat/completions" in code
    assert "Bearer $OPENAI_API_KEY" in code
    assert json.loads(code.split("<<'JSON'\n")[1].rsplit("JSON", 1)[0]) == body
    dialog.get_by_role("switch", name="Streamed").click()
    dialog.locator("pre", has_text='"stream"').wait_for(state="detached")
    for tab in ("Python", "Python (openai 0.28)", "Node"):
        dialog.get_by_role("tab", name=tab, exact=True).click()
        assert "OPENAI_API_KEY" in dialog.inner_text()
        assert KEY not in dialog.inner_text()
    assert seen.accessibility_faults() == []


def test_what_would_be_sent_is_shown_as_code(server: ServerProcess, visit: Visiting) -> None:
    """The panel shows the request with what is written in the field, before it is sent; nothing is sent for it."""
    seen = visit(server, "#/chat", size=WIDE)
    seen.find("textbox", "Write a message").fill("Not sent yet")
    open_settings(seen)
    set_number(seen, "Temperature", 0.5)
    seen.find("button", "As code").click()
    code = seen.page.get_by_role("dialog").locator("pre").inner_text()
    body = json.loads(code.split("<<'JSON'\n")[1].rsplit("JSON", 1)[0])
    assert body["messages"] == [{"role": "user", "content": "Not sent yet"}]
    assert body["temperature"] == 0.5
    assert "OPENAI_API_KEY" not in code
    assert seen.page.locator(".message").count() == 0


@pytest.mark.parametrize("color_scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [PHONE, WIDE], ids=["phone", "wide"])
def test_the_tools_are_accessible(
    server: ServerProcess, visit: Visiting, color_scheme: str, size: tuple[int, int]
) -> None:
    """axe-core finds nothing serious in the settings and the calls, and nothing is wider than a phone."""
    seen = visit(server, "#/chat", color_scheme=color_scheme, size=size)
    seen.find("textbox", "Write a message").wait_for()
    open_settings(seen)
    set_number(seen, "Temperature", 9)
    assert seen.accessibility_faults() == []
    seen.page.get_by_role("tab", name="Tools").click()
    seen.find("button", "Example").click()
    assert seen.accessibility_faults() == []
    assert seen.page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    seen.find("button", "Close the settings").click()
    seen.find("button", "Close the settings").wait_for(state="detached")
    answer_with_calls(
        seen, ("a_function_with_a_name_of_all_characters_that_are_allowed_1234", '{"a": "' + "b" * 300 + '"}')
    )
    seen.ask("Call it.")
    seen.page.locator(".call textarea").wait_for()
    assert seen.accessibility_faults() == []
    assert seen.page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert seen.page.evaluate("(log => log.scrollWidth <= log.clientWidth)(document.querySelector('.chat-log'))")


def test_a_shared_keys_settings_stay_in_the_tab(keyed_server: ServerProcess, visit: Visiting) -> None:
    """With a key that others may share, settings survive a reload, but not signing out, and never leave the tab."""
    seen = visit(keyed_server, size=WIDE)
    seen.page.get_by_label("API key").fill(KEY)
    seen.find("button", "Sign in").click()
    seen.open_chat()
    open_settings(seen)
    seen.find("textbox", "System prompt").fill("A secret of mine.")
    seen.page.get_by_role("button", name="Settings (1 set)").wait_for()
    seen.page.reload()
    seen.page.get_by_role("button", name="Settings (1 set)").click()
    assert seen.find("textbox", "System prompt").input_value() == "A secret of mine."
    assert "secret" not in seen.page.evaluate("JSON.stringify(localStorage)")
    seen.page.get_by_role("button", name="Account").click()
    seen.find("menuitem", "Sign out").click()
    seen.find("heading", "Sign in").wait_for()
    assert "secret" not in seen.page.evaluate("JSON.stringify(sessionStorage)")
