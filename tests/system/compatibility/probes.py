"""The probes of every endpoint, and the verdict on each response.

The verdict is observed, not declared: `changes the answer`, `accepted, no effect`, or `400 that names it`. Its
agreement with the notes of `api.compatibility_index` is what the test checks.
"""

from collections.abc import Mapping

from homeport.api.compatibility import FieldNote, FieldSupport
from homeport.api.compatibility_index import FIELDS
from tests.system.compatibility import (
    audio,
    batches,
    conversations,
    embeddings,
    files,
    fine_tuning,
    images,
    moderations,
    music,
    responses,
    shapes,
    speech,
    text,
    vector_stores,
)
from tests.system.compatibility.field_trials import Probes
from tests.system.server import ServerProcess

PROBES: Mapping[str, Probes] = {
    **text.PROBES,
    **responses.PROBES,
    **conversations.PROBES,
    **embeddings.PROBES,
    **audio.PROBES,
    **speech.PROBES,
    **music.PROBES,
    **moderations.PROBES,
    **images.PROBES,
    **shapes.PROBES,
    **files.PROBES,
    **vector_stores.PROBES,
    **batches.PROBES,
    **fine_tuning.PROBES,
}


def judge(server: ServerProcess, endpoint: str, field: FieldNote) -> str:
    """Try one field on a real server and return the verdict. Raises AssertionError if the note is wrong."""
    probes = PROBES[endpoint]
    trial = probes.trial_type(server, probes)
    if field.support is FieldSupport.SERVED:
        probes.effects[field.name](trial)
        return "changes the answer"
    if field.support is FieldSupport.ACCEPTED:
        value = probes.accepted[field.name]
        answer = trial.raw(**(value if "." in field.name else {field.name: value}))
        assert answer.status == 200, answer.body
        return "accepted, no effect"
    answer = trial.raw(**probes.refused[field.name])
    assert answer.status == 400, answer.body
    top = field.name.split(".")[0]
    assert (answer.error["param"] or "").split("[")[0].split(".")[0] == top, answer.body
    return "400 that names it"


def every_field() -> list[tuple[str, FieldNote]]:
    """Return the endpoint and the note of every field."""
    return [(endpoint, field) for endpoint, fields in FIELDS.items() for field in fields]
