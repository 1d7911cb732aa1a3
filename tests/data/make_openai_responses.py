"""Makes `openai_responses.json` of OpenAI's specification: `python tests/data/make_openai_responses.py openai.yaml`."""

import hashlib
import json
import sys
from pathlib import Path
from typing import Any

import yaml

ROOTS = (
    "Response",
    "ResponseStreamEvent",
    "ResponseItemList",
    "CompactResource",
    "TokenCountsResource",
    "ConversationResource",
    "ConversationItemList",
    "DeletedConversationResource",
    "ChatCompletionList",
    "ChatCompletionDeleted",
)
_DROPPED = {"description", "example", "examples", "title", "deprecated", "discriminator", "externalDocs"}
_PREFIX = "#/components/schemas/"


def without_prose(schema: Any) -> Any:
    """Return a schema with only what constrains values, and its references within this file."""
    if isinstance(schema, list):
        return [without_prose(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    kept: dict[str, Any] = {}
    for key, value in schema.items():
        if key == "properties":
            kept[key] = {name: without_prose(each) for name, each in value.items()}
        elif key == "$ref":
            kept[key] = value.replace(_PREFIX, "#/$defs/")
        elif key not in _DROPPED and not key.startswith("x-"):
            kept[key] = without_prose(value)
    return kept


def references(schema: Any) -> set[str]:
    """Return the names of the schemas that a schema refers to."""
    if isinstance(schema, list):
        return {name for each in schema for name in references(each)}
    if not isinstance(schema, dict):
        return set()
    found = {schema["$ref"].removeprefix("#/$defs/")} if isinstance(schema.get("$ref"), str) else set()
    return found | {name for value in schema.values() for name in references(value)}


def main(path: Path) -> None:
    """Write the schemas that the roots need."""
    data = path.read_bytes()
    schemas = yaml.safe_load(data)["components"]["schemas"]
    needed: dict[str, Any] = {}
    waiting = list(ROOTS)
    while waiting:
        name = waiting.pop()
        if name not in needed:
            needed[name] = without_prose(schemas[name])
            waiting += references(needed[name])
    made = {
        "source": "OpenAI's OpenAPI specification, https://github.com/openai/openai-openapi",
        "licence": "MIT",
        "sha256": hashlib.sha256(data).hexdigest(),
        "$defs": dict(sorted(needed.items())),
    }
    target = Path(__file__).with_name("openai_responses.json")
    target.write_text(json.dumps(made, separators=(",", ":"), sort_keys=False) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
