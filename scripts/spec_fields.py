"""Extract from OpenAI's published specs the names and types of fields, which tests compare with the API.

Usage: python scripts/spec_fields.py openai-2023.yaml openai-latest.yaml > tests/data/openai_fields.json
"""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

SCHEMAS = {
    "completions": "CreateCompletionRequest",
    "chat": "CreateChatCompletionRequest",
    "responses": "CreateResponse",
    "conversations": "CreateConversationBody",
    "conversation_updates": "UpdateConversationBody",
    "edits": "CreateEditRequest",
    "embeddings": "CreateEmbeddingRequest",
    "moderations": "CreateModerationRequest",
    "transcriptions": "CreateTranscriptionRequest",
    "translations": "CreateTranslationRequest",
    "speech": "CreateSpeechRequest",
    "files": "CreateFileRequest",
    "uploads": "CreateUploadRequest",
    "vector_stores": "CreateVectorStoreRequest",
    "vector_store_updates": "UpdateVectorStoreRequest",
    "vector_store_files": "CreateVectorStoreFileRequest",
    "vector_store_file_batches": "CreateVectorStoreFileBatchRequest",
    "vector_store_searches": "VectorStoreSearchRequest",
    "batches": "CreateBatchRequest",
    "images": "CreateImageRequest",
    "image_edits": "CreateImageEditRequest EditImageBodyJsonParam",
    "image_variations": "CreateImageVariationRequest",
}
"""The schema of each kind of body that an endpoint accepts. Of a property of two schemas, the first one's is kept."""
KEPT = ("type", "nullable", "default", "minimum", "maximum", "minItems", "maxItems", "enum", "deprecated")


class Spec:
    """One OpenAPI document."""

    def __init__(self, path: Path) -> None:
        self.schemas: dict[str, Any] = yaml.safe_load(path.read_text("utf-8"))["components"]["schemas"]

    def follow(self, schema: dict[str, Any]) -> dict[str, Any]:
        """Resolve a reference."""
        while "$ref" in schema:
            schema = self.schemas[schema["$ref"].rpartition("/")[2]]
        return schema

    def properties(self, schema: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
        """Yield every property of a schema, including those of its parts."""
        schema = self.follow(schema)
        for part in schema.get("allOf", ()):
            yield from self.properties(part)
        yield from schema.get("properties", {}).items()

    def brief(self, schema: dict[str, Any]) -> dict[str, Any]:
        """The type and bounds of a property, without its description."""
        schema = self.follow(schema)
        short = {key: schema[key] for key in KEPT if key in schema}
        for union in ("oneOf", "anyOf"):
            if union in schema:
                short["any_of"] = [self.brief(part) for part in schema[union]]
        if "items" in schema:
            short["items"] = self.brief(schema["items"])
        return short


def main(paths: list[str]) -> None:
    """Print the fields of each endpoint in each spec as JSON."""
    found: dict[str, dict[str, Any]] = {}
    for path in map(Path, paths):
        spec = Spec(path)
        for endpoint, names in SCHEMAS.items():
            fields: dict[str, dict[str, Any]] = {}
            for name in names.split():
                fields = {**dict(spec.properties(spec.schemas.get(name, {}))), **fields}
            if fields:
                found.setdefault(path.stem, {})[endpoint] = {each: spec.brief(fields[each]) for each in sorted(fields)}
    json.dump(found, sys.stdout, indent=1)
    sys.stdout.write("\n")


if __name__ == "__main__":
    main(sys.argv[1:])
