"""For every field of vector stores and their requests: a value that changes the answer, and the change to check."""

from collections.abc import Mapping
from typing import Any

from tests.api.form_bodies import HEADERS, form
from tests.system.compatibility.field_trials import EndpointTrial, Probes
from tests.system.server import HttpAnswer, ServerProcess

STORES = "/v1/vector_stores"
STATIC = {"type": "static", "static": {"max_chunk_size_tokens": 100, "chunk_overlap_tokens": 0}}
EXPIRY = {"anchor": "last_active_at", "days": 3}
LIGHTHOUSE = "The lighthouse was built in 1871."


def upload(server: ServerProcess, text: str) -> str:
    """Upload a text; return the file's id."""
    sent = form([("purpose", "assistants")], [("file", text.encode())])
    answer = server.call("POST", "/v1/files", sent, {"Content-Type": HEADERS["content-type"]})
    return str(answer.json()["id"])


def create_store(server: ServerProcess, *texts: str) -> str:
    """Create a store of these texts; return its id when they are indexed."""
    ids = [upload(server, text) for text in texts]
    store_id = str(server.call("POST", STORES, {"file_ids": ids}).json()["id"])
    server.wait("all is indexed", lambda: _describe(server, store_id)["status"] == "completed", 60)
    return store_id


def _describe(server: ServerProcess, store_id: str) -> Any:
    return server.call("GET", f"{STORES}/{store_id}").json()


class StoreTrial(EndpointTrial):
    """Sends bodies to a store, which is created for each trial. `FILE` in a body stands for an uploaded file."""

    def __init__(self, server: ServerProcess, probes: Probes) -> None:
        super().__init__(server, probes)
        self.store_id = ""

    def send(self, body: dict[str, Any]) -> HttpAnswer:
        """Send the body to the path with the store's id."""
        if "{" in self.probes.path and not self.store_id:
            self.store_id = create_store(self.server, LIGHTHOUSE, "Dogs bark at night.")
        return self.server.call("POST", self.probes.path.format(vector_store_id=self.store_id), self._filled(body))

    def _filled(self, value: Any) -> Any:
        if isinstance(value, dict):
            return {key: self._filled(each) for key, each in value.items()}
        if isinstance(value, list):
            return [self._filled(each) for each in value]
        return upload(self.server, "Cats sleep all day.") if value == "FILE" else value


def _is_returned(name: str, value: Any, wrong: Any) -> Any:
    """Make the effect of a field that the answer repeats. `wrong`: a value that is refused by its name."""

    def check(trial: StoreTrial) -> None:
        assert trial.ask(**{name: value})[name] == value
        assert (trial.raw(**{name: wrong}).error["param"] or "").startswith(name)

    return check


def _files(trial: StoreTrial) -> None:
    assert trial.ask(file_ids=["FILE", "FILE"])["file_counts"]["total"] == 2
    assert trial.raw(file_ids=["file-none"]).error["param"] == "file_ids[0]"


def _store_chunking(trial: StoreTrial) -> None:
    made = trial.ask(file_ids=["FILE"], chunking_strategy=STATIC)
    [file] = trial.server.call("GET", f"{STORES}/{made['id']}/files").json()["data"]
    assert file["chunking_strategy"] == STATIC


def _embedding_model(trial: StoreTrial) -> None:
    assert trial.ask()["embedding_model"] == "multilingual-e5-small"
    assert trial.raw(embedding_model="smollm2-135m").error["param"] == "embedding_model"


def _no_expiry(trial: StoreTrial) -> None:
    assert trial.ask(expires_after=EXPIRY)["expires_after"] == EXPIRY
    assert trial.ask(expires_after=None)["expires_at"] is None


def _file_id(trial: StoreTrial) -> None:
    assert trial.ask(file_id="FILE")["status"] == "in_progress"
    assert trial.raw(file_id="file-none").error["param"] == "file_id"


def _batch_files(trial: StoreTrial) -> None:
    made = trial.ask(file_ids=..., files=[{"file_id": "FILE", "attributes": {"a": 1}}, {"file_id": "FILE"}])
    assert made["file_counts"]["total"] == 2


def _batch_file(name: str, value: Any) -> Any:
    """Make the effect of a field of one file of a batch."""

    def check(trial: StoreTrial) -> None:
        made = trial.ask(file_ids=..., files=[{"file_id": "FILE", name: value}])
        path = f"{STORES}/{trial.store_id}/file_batches/{made['id']}/files"
        assert [file[name] for file in trial.server.call("GET", path).json()["data"]] == [value]

    return check


def _batch_file_id(trial: StoreTrial) -> None:
    assert trial.raw(file_ids=..., files=[{"file_id": "file-none"}]).error["param"] == "files[0].file_id"


def _batch_ids(trial: StoreTrial) -> None:
    assert trial.ask(file_ids=["FILE", "FILE", "FILE"])["file_counts"]["total"] == 3


def _of_all(name: str, value: Any) -> Any:
    """Make the effect of a field of a batch that all of its files get."""

    def check(trial: StoreTrial) -> None:
        made = trial.ask(**{name: value})
        path = f"{STORES}/{trial.store_id}/file_batches/{made['id']}/files"
        assert [file[name] for file in trial.server.call("GET", path).json()["data"]] == [value]

    return check


def _query(trial: StoreTrial) -> None:
    texts = [trial.ask(query=query)["data"][0]["content"][0]["text"] for query in ("the lighthouse", ["dogs", "bark"])]
    assert texts == [LIGHTHOUSE, "Dogs bark at night."]


def _number(trial: StoreTrial) -> None:
    assert [len(trial.ask(max_num_results=most)["data"]) for most in (1, 2)] == [1, 2]
    assert trial.raw(max_num_results=51).error["param"] == "max_num_results"


def _filters(trial: StoreTrial) -> None:
    wanted = {"type": "eq", "key": "a", "value": 1}
    assert trial.ask(filters=wanted)["data"] == []
    assert len(trial.ask(filters={**wanted, "type": "ne"})["data"]) == 2


def _ranking(trial: StoreTrial) -> None:
    fused, cosine = (trial.ask(ranking_options={"ranker": ranker})["data"][0]["score"] for ranker in ("auto", "none"))
    assert (fused, cosine < 1) == (1, True)
    assert len(trial.ask(ranking_options={"score_threshold": 1})["data"]) == 1


_METADATA = _is_returned("metadata", {"a": "b"}, {"a": "b" * 513})
_NAME = _is_returned("name", "Notes", "x" * 257)

PROBES: Mapping[str, Probes] = {
    "vector_stores": Probes(
        STORES,
        {},
        {
            "file_ids": _files,
            "name": _NAME,
            "description": _is_returned("description", "Mine.", "x" * 513),
            "expires_after": _is_returned("expires_after", EXPIRY, {**EXPIRY, "days": 366}),
            "chunking_strategy": _store_chunking,
            "metadata": _METADATA,
            "embedding_model": _embedding_model,
        },
        trial_type=StoreTrial,
    ),
    "vector_store_updates": Probes(
        f"{STORES}/{{vector_store_id}}",
        {},
        {"name": _NAME, "expires_after": _no_expiry, "metadata": _METADATA},
        trial_type=StoreTrial,
    ),
    "vector_store_files": Probes(
        f"{STORES}/{{vector_store_id}}/files",
        {"file_id": "FILE"},
        {
            "file_id": _file_id,
            "chunking_strategy": _is_returned("chunking_strategy", STATIC, {"type": "other"}),
            "attributes": _is_returned("attributes", {"a": 1}, {"a": "b" * 513}),
        },
        trial_type=StoreTrial,
    ),
    "vector_store_file_batches": Probes(
        f"{STORES}/{{vector_store_id}}/file_batches",
        {"file_ids": ["FILE"]},
        {
            "file_ids": _batch_ids,
            "files": _batch_files,
            "files.file_id": _batch_file_id,
            "files.chunking_strategy": _batch_file("chunking_strategy", STATIC),
            "files.attributes": _batch_file("attributes", {"a": 1}),
            "chunking_strategy": _of_all("chunking_strategy", STATIC),
            "attributes": _of_all("attributes", {"a": 1}),
        },
        trial_type=StoreTrial,
    ),
    "vector_store_searches": Probes(
        f"{STORES}/{{vector_store_id}}/search",
        {"query": "When was the lighthouse built?"},
        {"query": _query, "max_num_results": _number, "filters": _filters, "ranking_options": _ranking},
        refused={"rewrite_query": {"rewrite_query": True}},
        trial_type=StoreTrial,
    ),
}
