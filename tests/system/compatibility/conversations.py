"""For every field of conversations and of stored completions: a value that changes the answer."""

from collections.abc import Mapping
from typing import Any

from tests.system.compatibility.field_trials import EndpointTrial, Probes
from tests.system.server import HttpAnswer

CONVERSATIONS, COMPLETIONS = "/v1/conversations", "/v1/chat/completions"
_ITEM = {"type": "message", "role": "user", "content": "Hello"}
_CHAT = {"model": "smollm2-135m", "messages": [{"role": "user", "content": "Hi"}], "max_tokens": 2, "store": True}


class _ChildTrial(EndpointTrial):
    """Sends bodies to a path with an id: that of an object which is created first."""

    folder = CONVERSATIONS
    parent: Mapping[str, Any] = {}

    def send(self, body: dict[str, Any]) -> HttpAnswer:
        """Create the object, and send the body to its path."""
        made = self.server.call("POST", self.folder, dict(self.parent))
        assert made.status == 200, made.body
        before, _, after = self.probes.path.partition("{")
        return self.server.call("POST", f"{before}{made.json()['id']}{after.partition('}')[2]}", body)


class _CompletionTrial(_ChildTrial):
    """Sends bodies to a stored completion."""

    folder = COMPLETIONS
    parent = _CHAT


def _metadata(trial: EndpointTrial) -> None:
    assert trial.ask(metadata={"a": "b"})["metadata"] == {"a": "b"}
    assert trial.raw(metadata={"a": "b" * 513}).error["param"] == "metadata.a"


def _items(trial: EndpointTrial) -> None:
    made = trial.ask(items=[_ITEM, _ITEM])
    listed = trial.server.call("GET", f"{CONVERSATIONS}/{made['id']}/items").json()["data"]
    assert [item["content"][0]["text"] for item in listed] == ["Hello", "Hello"]


def _added(trial: EndpointTrial) -> None:
    assert len(trial.ask(items=[_ITEM, _ITEM])["data"]) == 2
    assert trial.raw(items=[{"type": "nonsense"}]).error["param"] == "items[0].type"


PROBES: Mapping[str, Probes] = {
    "conversations": Probes(CONVERSATIONS, {}, {"items": _items, "metadata": _metadata}),
    "conversation_updates": Probes(
        f"{CONVERSATIONS}/{{conversation_id}}", {}, {"metadata": _metadata}, trial_type=_ChildTrial
    ),
    "conversation_items": Probes(
        f"{CONVERSATIONS}/{{conversation_id}}/items", {"items": [_ITEM]}, {"items": _added}, trial_type=_ChildTrial
    ),
    "completion_updates": Probes(
        f"{COMPLETIONS}/{{completion_id}}", {}, {"metadata": _metadata}, trial_type=_CompletionTrial
    ),
}
