"""`POST /v1/responses/input_tokens`: how many tokens the prompt of a response would have."""

from starlette.requests import Request
from starlette.responses import Response

from homeport.api.forms import respond_and_hold
from homeport.api.image_inputs.collection import ImageInputs
from homeport.api.image_inputs.request_images import images_of
from homeport.api.request_body import read_json, run_in_thread_if_large
from homeport.api.request_runner import resolve, run
from homeport.api.responses.checks import check_state
from homeport.api.responses.convert import PromptFields, check_prompt_fields, conversation_id, to_prompt
from homeport.api.responses.prompt_reader import PromptSource, read_prompt
from homeport.api.responses.schema import InputTokensBody
from homeport.api.responses.state import load_earlier
from homeport.api.responses.tool_reader import DeclaredTools, read_tools
from homeport.api.tokenize.render import TokenWriter
from homeport.domain import validation
from homeport.domain.events import TokenizeResult
from homeport.domain.text import TokenRequest


async def count(request: Request) -> Response:
    """Count the tokens of a prompt, which is not computed."""
    body = await read_json(request, InputTokensBody)
    resolved = resolve(request, body.model, "chat")
    conversation = conversation_id(body.conversation)
    check_state("previous_response_id", body.previous_response_id, conversation)
    fields = PromptFields(body.text, body.reasoning, body.truncation)
    await run_in_thread_if_large(request, check_prompt_fields, fields)
    if body.personality is not None:
        raise validation.unsupported_field("personality", "Models have no other personality: use 'instructions'.")
    earlier = await load_earlier(request, body.previous_response_id, conversation)
    source = PromptSource(body.instructions, body.input, earlier)

    async def respond(images: ImageInputs) -> Response:
        content = await read_prompt(request, source, images)
        declared = DeclaredTools(body.tools, body.tool_choice, body.parallel_tool_calls)
        tools = await read_tools(request, declared, content)
        # Only the number is returned, so it does not matter whose ids an alias promises: no encoding.
        engine_request = TokenRequest((to_prompt(content.messages, tools.use, fields),))
        return await run(request, resolved, engine_request, TokenWriter(_render), endpoint="tokenize")

    return await respond_and_hold(images_of(request, resolved), respond)


def _render(result: TokenizeResult, _window: int | None) -> dict[str, object]:
    return {"object": "response.input_tokens", "input_tokens": len(result.ids)}
