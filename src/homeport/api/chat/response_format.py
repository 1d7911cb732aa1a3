"""The format that a chat's answer must have: OpenAI's `response_format`, or one of the extensions."""

from homeport.api.chat.schema import ChatBody, JsonSchemaBody
from homeport.api.text_generation.output_format import to_output_format
from homeport.domain import validation
from homeport.domain.errors import InvalidRequest
from homeport.domain.format_fields import to_schema_text
from homeport.domain.tool_fields import check_name
from homeport.domain.tools import JsonFormat, OutputFormat

_PLACE = "response_format"
_TYPES = ("text", "json_object", "json_schema")


def to_answer_format(body: ChatBody) -> OutputFormat | None:
    """Convert the field that binds the answer's text, if one does. Raises InvalidRequest, also for more than one."""
    extension = to_output_format(body)
    fields = body.response_format
    if fields is None:
        return extension
    validation.check_choice(f"{_PLACE}.type", fields.type, _TYPES)
    if fields.type == "json_schema":
        if fields.json_schema is None:
            raise validation.missing(f"{_PLACE}.json_schema")
        found = _to_json_format(fields.json_schema, f"{_PLACE}.json_schema")
    elif fields.json_schema is not None:
        raise InvalidRequest(
            f"A response format of type '{fields.type}' has no 'json_schema'.", param=f"{_PLACE}.json_schema"
        )
    elif fields.type == "json_object":
        found = JsonFormat(None, _PLACE)
    else:
        return extension
    if extension is not None:
        raise InvalidRequest(
            f"Only one field can bind the answer's text, but both '{_PLACE}' and '{extension.param}' are given.",
            param=extension.param,
            code="invalid_parameter_combination",
        )
    return found


def _to_json_format(fields: JsonSchemaBody, place: str) -> JsonFormat:
    check_name(fields.name, f"{place}.name")
    if fields.schema is None:
        raise validation.missing(f"{place}.schema")
    return JsonFormat(to_schema_text(fields.schema, f"{place}.schema"), f"{place}.schema")
