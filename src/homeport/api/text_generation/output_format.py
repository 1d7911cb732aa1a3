"""The extensions that bind an answer's text to a schema, a grammar or a choice, under vLLM's names and one of ours.

Chats also have OpenAI's `response_format`. Compiles nothing: a worker does. Knows no model.
"""

from collections.abc import Iterator

import msgspec

from homeport.api.text_generation.schema import GenerationFields, StructuredOutputs
from homeport.domain import validation
from homeport.domain.errors import InvalidRequest, excerpt
from homeport.domain.format_fields import MAX_JSON_CHARS, GrammarFields, to_definition, to_grammar, to_schema_text
from homeport.domain.tools import GrammarFormat, JsonFormat, OutputFormat

MAX_CHOICES = 1024
_META_CHARACTERS = frozenset("\\.+*?()|[]{}^$")


def to_output_format(body: GenerationFields) -> OutputFormat | None:
    """Convert the field that binds the text, if one does. Raises InvalidRequest, also for more than one."""
    formats = list(_formats(body))
    if len(formats) > 1:
        second = formats[1].param
        raise InvalidRequest(
            f"Only one field can bind the answer's text, but both '{formats[0].param}' and '{second}' are given.",
            param=second,
            code="invalid_parameter_combination",
        )
    return formats[0] if formats else None


def _formats(body: GenerationFields) -> Iterator[OutputFormat]:
    if body.grammar is not None:
        fields = GrammarFields(syntax=body.grammar.type, definition=body.grammar.definition)
        yield to_grammar(fields, "grammar", "type")
    guided = StructuredOutputs(
        json=body.guided_json, regex=body.guided_regex, choice=body.guided_choice, grammar=body.guided_grammar
    )
    yield from _structured_outputs(guided, "guided_")
    if body.structured_outputs is not None:
        formats = list(_structured_outputs(body.structured_outputs, "structured_outputs."))
        if not formats:
            raise InvalidRequest(
                "Invalid 'structured_outputs': give one of 'json', 'regex', 'choice', 'grammar' and 'json_object'.",
                param="structured_outputs",
                code="invalid_value",
            )
        yield from formats


def _structured_outputs(fields: StructuredOutputs, prefix: str) -> Iterator[OutputFormat]:
    if fields.json is not None:
        yield _json_format(fields.json, f"{prefix}json")
    if fields.json_object:
        yield JsonFormat(None, f"{prefix}json_object")
    if fields.regex is not None:
        yield to_definition("regex", fields.regex, f"{prefix}regex")
    if fields.choice is not None:
        yield _choice_format(fields.choice, f"{prefix}choice")
    if fields.grammar is not None:
        yield to_definition("lark", fields.grammar, f"{prefix}grammar")


def _json_format(schema: object, place: str) -> JsonFormat:
    """Convert a schema: an object, or its JSON text."""
    if isinstance(schema, str):
        validation.check_length(place, schema, MAX_JSON_CHARS)
        try:
            schema = msgspec.json.decode(schema)
        except (msgspec.DecodeError, RecursionError) as error:
            raise InvalidRequest(
                f"Invalid '{place}': the text is not JSON: {excerpt(str(error))}.", param=place, code="invalid_value"
            ) from error
    return JsonFormat(to_schema_text(schema, place), place)


def _choice_format(choices: list[str], place: str) -> GrammarFormat:
    """Convert texts of which the answer must be one to a regular expression."""
    validation.check_items(place, choices, MAX_CHOICES, 1)
    for at, each in enumerate(choices):
        validation.check_length(f"{place}[{at}]", each, len(each), 1)
    return to_definition("regex", f"(?:{'|'.join(map(_escape, choices))})", place)


def _escape(text: str) -> str:
    return "".join(f"\\{sign}" if sign in _META_CHARACTERS else sign for sign in text)
