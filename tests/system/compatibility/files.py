"""For every field of the endpoints that store files: a value that changes the answer, and the change to check."""

from collections.abc import Mapping
from typing import Any

from tests.api.form_bodies import HEADERS, form
from tests.system.compatibility.field_trials import Effect, EndpointTrial, Probes
from tests.system.server import HttpAnswer

_LINE = b'{"prompt": "a", "completion": "b"}\n'


class FileTrial(EndpointTrial):
    """Uploads a file. The field `file` is its content."""

    def send(self, body: dict[str, Any]) -> HttpAnswer:
        """Send the fields as a form; mappings as `name[key]`."""
        fields: list[tuple[str, str]] = []
        for name, value in body.items():
            if isinstance(value, dict):
                fields += [(f"{name}[{key}]", str(each)) for key, each in value.items()]
            elif name != "file":
                fields.append((name, value))
        files = [("file", body["file"])] if "file" in body else []
        return self.server.call(
            "POST", self.probes.path, form(fields, files), {"Content-Type": HEADERS["content-type"]}
        )


def _file(trial: FileTrial) -> None:
    assert trial.ask(file=_LINE * 3)["bytes"] == 3 * len(_LINE)
    assert trial.raw(file=...).error["param"] == "file"
    assert "Line 2" in trial.raw(file=_LINE + b"{}").error["message"]


def _purpose(trial: EndpointTrial) -> None:
    assert trial.ask(purpose="user_data")["purpose"] == "user_data"
    assert trial.raw(purpose="fun").error["param"] == "purpose"


def _expires_after(trial: EndpointTrial) -> None:
    assert _kept_s(trial, "created_at", 7200) - _kept_s(trial, "created_at", 3600) == 3600


def _anchor(trial: EndpointTrial) -> None:
    refused = trial.raw(expires_after={"anchor": "last_active_at", "seconds": 3600})
    assert refused.error["param"] == "expires_after.anchor"


def _seconds(trial: EndpointTrial) -> None:
    assert trial.raw(expires_after={"anchor": "created_at", "seconds": 5}).error["param"] == "expires_after.seconds"


def _kept_s(trial: EndpointTrial, anchor: str, seconds: int) -> int:
    said = trial.ask(expires_after={"anchor": anchor, "seconds": seconds})
    if said["object"] == "upload":
        uploaded = trial.server.call(
            "POST",
            f"/v1/uploads/{said['id']}/parts",
            form([], [("data", _LINE)]),
            {"Content-Type": HEADERS["content-type"]},
        ).json()
        body = {"part_ids": [uploaded["id"]]}
        said = trial.server.call("POST", f"/v1/uploads/{said['id']}/complete", body).json()["file"]
    return int(said["expires_at"] - said["created_at"])


def _filename(trial: EndpointTrial) -> None:
    assert trial.ask(filename="b.jsonl")["filename"] == "b.jsonl"
    assert trial.raw(filename="").error["param"] == "filename"


def _bytes(trial: EndpointTrial) -> None:
    assert trial.ask(bytes=7)["bytes"] == 7
    assert trial.raw(bytes=0).error["param"] == "bytes"


def _mime_type(trial: EndpointTrial) -> None:
    assert trial.raw(mime_type="image/png").error["param"] == "mime_type"
    assert trial.raw(mime_type="image/png", purpose="vision").status == 200


_EXPIRY: Mapping[str, Effect] = {
    "expires_after": _expires_after,
    "expires_after.anchor": _anchor,
    "expires_after.seconds": _seconds,
}
PROBES: Mapping[str, Probes] = {
    "files": Probes(
        path="/v1/files",
        plain={"file": _LINE, "purpose": "fine-tune"},
        effects={"file": _file, "purpose": _purpose, **_EXPIRY},
        trial_type=FileTrial,
    ),
    "uploads": Probes(
        path="/v1/uploads",
        plain={"filename": "a.jsonl", "purpose": "fine-tune", "bytes": len(_LINE), "mime_type": "text/jsonl"},
        effects={"filename": _filename, "purpose": _purpose, "bytes": _bytes, "mime_type": _mime_type, **_EXPIRY},
    ),
}
