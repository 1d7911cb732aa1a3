"""Writes docs/compatibility.md from what the probes saw. Knows nothing of how they look."""

import json
from collections.abc import Mapping
from pathlib import Path

from homeport.api.compatibility_index import FIELDS
from tests.system.compatibility.probes import PROBES

PAGE = Path(__file__).parents[3] / "docs" / "compatibility.md"
_SPEC = Path(__file__).parents[2] / "contract" / "data" / "fields.json"
_YEARS = {"openai-2023": "2023", "openai-latest": "today"}
_HEAD = """<!-- Made by `make docs` from what test_compatibility.py saw on a running server; edit the code instead. -->

# Compatibility

Every field of these endpoints in OpenAI's published documents of April 2023 and of today, and our documented
extensions. Each row was tried on a running server with real weights: *changes the answer* means that an effect was
seen, *400 that names it* that the request was refused with `param` set. Nothing is ignored in silence.
A value that asks for nothing (`n: 1`, `logit_bias: {}`, `tools: []`, null where the document allows it) always passes.

`/v1/engines/{id}/completions`, `/edits` and `/embeddings` take the same bodies as `/v1/completions`, `/v1/edits` and
`/v1/embeddings`, the model from the path.
Of a fine-tuning job, whose effects take minutes, the page tells what its description says of the field; that a model
learns is tested apart. Both APIs have the same jobs: 2023's `GET /v1/fine-tunes`, `/{id}`, `/{id}/events` (with
`?stream=true` too) and `POST /{id}/cancel`, and today's `GET /v1/fine_tuning/jobs` (with `after`, `limit` and
`metadata[key]=value`), `/{id}`, `/{id}/events`, `/{id}/checkpoints` and `POST /{id}/cancel`, `/pause`, `/resume`.
Checkpoints' permissions and graders are not served: 404.
Endpoints of other kinds (responses) are not served yet: they answer 404 in OpenAI's envelope.
"""


def render(seen: Mapping[tuple[str, str], str]) -> str:
    """The whole page. `seen` is the verdict by endpoint and field."""
    spec = json.loads(_SPEC.read_text("utf-8"))
    parts = [_HEAD]
    for endpoint, fields in FIELDS.items():
        rows = ["| field | in OpenAI's document | seen | note |", "| --- | --- | --- | --- |"]
        for field in fields:
            known = _origin(spec, endpoint, field.name)
            rows.append(f"| `{field.name}` | {known} | {seen[endpoint, field.name]} | {field.note.replace('|', '/')} |")
        parts.append(f"## POST {PROBES[endpoint].path}\n\n" + "\n".join(rows) + "\n")
    return "\n".join(parts)


def _origin(spec: Mapping[str, Mapping[str, Mapping[str, object]]], endpoint: str, name: str) -> str:
    top = name.split(".")[0]
    named = [_YEARS[year] for year, endpoints in spec.items() if top in endpoints.get(endpoint, {})]
    return ", ".join(named) or "extension"
