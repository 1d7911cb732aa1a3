"""The tool `file_search`: its items, events and citations, what the model reads, and what it refuses."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from homeport.domain.content import ToolResultPart
from homeport.domain.text import ChatPrompt, TextRequest
from homeport.domain.worker_messages import EngineRequest
from tests.api.fakes import Script, answer
from tests.api.responses.fakes import FakeConversationRepository, FakeResponseRepository
from tests.api.responses.hosted import Call, calls, events_of, output_of
from tests.api.vector_stores.calls import StoreApp, StoreServing

FILES = ("Cats sleep sixteen hours a day|Dogs bark at night.txt", "Prices rise in spring.md")
ANSWER = "Cats sleep sixteen hours. Nothing else."
KIND = "response.file_search_call"


def searching(query: str = "How long do cats sleep?") -> Call:
    return "file_search", json.dumps({"query": query})


class SearchApp(StoreApp):
    """An application whose model plays `turns`, the last one again and again."""

    def __init__(self, folder: Path) -> None:
        self.turns: list[Script] = [calls(searching()), answer(ANSWER)]
        conversations = FakeConversationRepository()
        repositories = {"responses": FakeResponseRepository(conversations), "conversations": conversations}
        super().__init__(folder, StoreServing(self._next), **repositories)

    def _next(self, _: EngineRequest) -> Script:
        return self.turns.pop(0) if len(self.turns) > 1 else self.turns[0]

    async def ask(self, store_id: str, tool: dict[str, Any] | None = None, **fields: Any) -> Any:
        """Create a response with the tool on one store."""
        declared = {"type": "file_search", "vector_store_ids": [store_id], **(tool or {})}
        return await self.send("POST", "/v1/responses", {"model": "tiny", "input": "Hi", "tools": [declared], **fields})

    def last_result(self) -> str:
        """Return what the model has read of the last search."""
        requests = [request for _, request in self.serving.requests if isinstance(request, TextRequest)]
        [prompt] = requests[-1].prompts
        assert isinstance(prompt, ChatPrompt)
        parts = [part for message in prompt.messages for part in message.parts]
        return [part for part in parts if isinstance(part, ToolResultPart)][-1].text


@pytest.fixture
def app(tmp_path: Path) -> Iterator[SearchApp]:
    made = SearchApp(tmp_path)
    yield made
    made.database.close()


async def test_the_model_reads_what_was_found_and_the_answer_cites_it(app: SearchApp) -> None:
    """A call becomes an item without results; the model reads the chunks; the answer cites the file."""
    store_id = await app.store_of(*FILES)
    call, message = output_of((await app.ask(store_id)).json)
    assert call == {
        "id": call["id"],
        "type": "file_search_call",
        "status": "completed",
        "queries": ["How long do cats sleep?", "Hi"],
        "results": None,
    }
    assert call["id"].startswith("fs_")
    assert app.last_result().startswith(f"[1] {FILES[0]}\nCats sleep sixteen hours a day\n\n[2] ")
    [part] = message["content"]
    [citation] = part["annotations"]
    assert (citation["type"], citation["filename"]) == ("file_citation", FILES[0])
    assert part["text"][: citation["index"]] == "Cats sleep sixteen hours."
    assert citation["quote"] == "Cats sleep sixteen hours a day"


async def test_results_are_returned_if_they_are_asked_for(app: SearchApp) -> None:
    """With `include` the item has its results, which the stored response keeps."""
    store_id = await app.store_of(*FILES)
    body = (await app.ask(store_id, include=["file_search_call.results"])).json
    [first, *_] = output_of(body)[0]["results"]
    assert first["text"] == "Cats sleep sixteen hours a day"
    assert set(first) == {"file_id", "filename", "text", "score", "attributes"}
    assert (await app.get(f"/v1/responses/{body['id']}"))["output"] == body["output"]


async def test_a_stream_has_the_events_of_a_search(app: SearchApp) -> None:
    """A stream tells of the search, and then of the citation before the text is complete."""
    store_id = await app.store_of(*FILES)
    events = events_of(await app.ask(store_id, stream=True))
    types = [event["type"] for event in events]
    start = types.index("response.output_item.added")
    assert types[start : start + 5] == [
        "response.output_item.added",
        f"{KIND}.in_progress",
        f"{KIND}.searching",
        f"{KIND}.completed",
        "response.output_item.done",
    ]
    assert events[start + 4]["item"]["results"] is None
    added = types.index("response.output_text.annotation.added")
    assert types.index("response.output_text.done") == added + 1
    done = events[types.index("response.content_part.done")]
    assert done["part"]["annotations"] == [events[added]["annotation"]]
    assert events[-1]["response"]["output"][1]["content"][0]["annotations"] == [events[added]["annotation"]]


async def test_fields_of_the_tool_limit_the_search(app: SearchApp) -> None:
    """The number of results, filters and ranking are those of the declaration."""
    store_id = await app.store_of(*FILES)
    [prices, cats] = (await app.get(f"/{store_id}/files"))["data"]
    await app.post(f"/{store_id}/files/{prices['id']}", attributes={"shelf": 1})
    tool = {
        "max_num_results": 1,
        "filters": {"type": "eq", "key": "shelf", "value": 1},
        "ranking_options": {"ranker": "auto", "hybrid_search": {"embedding_weight": 1, "text_weight": 0}},
    }
    body = (await app.ask(store_id, tool, include=["file_search_call.results"])).json
    assert [result["file_id"] for result in output_of(body)[0]["results"]] == [prices["id"]]
    assert cats["id"] not in app.last_result()


async def test_a_search_without_results_says_so(app: SearchApp) -> None:
    """The model reads that nothing was found, and nothing is cited."""
    _, message = output_of((await app.ask(await app.store_of())).json)
    assert app.last_result() == "Nothing was found."
    assert message["content"][0]["annotations"] == []


async def test_a_failed_search_is_an_item_that_says_so(app: SearchApp) -> None:
    """If the store is deleted after the response began, the item has failed with the reason, and the model reads it."""
    store_id = await app.store_of(*FILES)
    delete = app.stores.delete

    def next_turn(_: EngineRequest) -> Script:
        if len(app.turns) > 1:
            delete("local", store_id)
        return app._next(_)

    app.serving.script = next_turn
    call, _ = output_of((await app.ask(store_id)).json)
    assert (call["status"], "not found" in call["error"]) == ("failed", True)
    assert app.last_result().startswith("The files could not be searched. Vector store")


async def test_wrong_arguments_fail_the_call_only(app: SearchApp) -> None:
    """A model that writes no query gets an error to read, and the response goes on."""
    app.turns = [calls(("file_search", '{"q": 1}')), answer("Sorry")]
    call, message = output_of((await app.ask(await app.store_of(*FILES))).json)
    assert (call["status"], call["queries"]) == ("failed", [])
    assert message["content"][0]["text"] == "Sorry"


async def test_the_tool_can_be_required(app: SearchApp) -> None:
    """`tool_choice` may name the tool, for its first turn."""
    body = (await app.ask(await app.store_of(*FILES), tool_choice={"type": "file_search"})).json
    assert [item["type"] for item in output_of(body)] == ["file_search_call", "message"]


async def test_a_later_response_reads_what_the_item_has(app: SearchApp) -> None:
    """Of a stored search without results the next response reads that they are not kept; with them it reads them."""
    store_id = await app.store_of(*FILES)
    for include, expected in (
        ([], "The results of this search are not kept."),
        (["file_search_call.results"], "[1] "),
    ):
        app.turns = [calls(searching()), answer(ANSWER), answer("Again")]
        first = (await app.ask(store_id, include=include)).json
        await app.ask(store_id, previous_response_id=first["id"])
        assert app.last_result().startswith(expected)


async def test_what_is_returned_is_accepted_back(app: SearchApp) -> None:
    """The output of a response, with its search and its citations, is valid input of the next one."""
    store_id = await app.store_of(*FILES)
    body = (await app.ask(store_id, include=["file_search_call.results"])).json
    again = await app.ask(store_id, input=[*body["output"], {"role": "user", "content": "More"}])
    assert again.status == 200, again.body


async def test_another_function_may_have_the_same_name(app: SearchApp) -> None:
    """If the caller's function is called `file_search`, the hosted one has another name, and both work."""
    store_id = await app.store_of(*FILES)
    own = {"type": "function", "name": "file_search", "parameters": {"type": "object"}, "strict": False}
    app.turns = [calls(("hosted__file_search", searching()[1])), answer(ANSWER)]
    tool = {"type": "file_search", "vector_store_ids": [store_id]}
    body = await app.send("POST", "/v1/responses", {"model": "tiny", "input": "Hi", "tools": [own, tool]})
    assert [item["type"] for item in output_of(body.json)] == ["file_search_call", "message"]


@pytest.mark.parametrize(
    ("tool", "status", "param"),
    [
        ({"vector_store_ids": None}, 400, "tools[0].vector_store_ids"),
        ({"vector_store_ids": []}, 400, "tools[0].vector_store_ids"),
        ({"vector_store_ids": ["vs"] * 11}, 400, "tools[0].vector_store_ids"),
        ({"vector_store_ids": ["vs_none"]}, 404, "tools[0].vector_store_ids"),
        ({"max_num_results": 51}, 400, "tools[0].max_num_results"),
        ({"filters": {"type": "eq"}}, 400, "tools[0].filters.key"),
        ({"ranking_options": {"ranker": "x"}}, 400, "tools[0].ranking_options.ranker"),
        ({"ranking_options": {"ranker": "none"}}, 400, "tools[0].ranking_options.ranker"),
        ({"unknown": 1}, 400, "tools[0].unknown"),
        ({"allowed_callers": ["programmatic"]}, 400, "tools[0].allowed_callers"),
    ],
)
async def test_what_is_wrong_is_named(app: SearchApp, tool: dict[str, Any], status: int, param: str) -> None:
    """A wrong field of the declaration is an error that names it, before any work."""
    store_id = await app.store_of(*FILES)
    response = await app.ask(store_id, tool)
    assert (response.status, response.error["param"]) == (status, param), response.body
    assert app.serving.requests == []
