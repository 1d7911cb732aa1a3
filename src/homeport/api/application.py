"""The ASGI application: the table of all routes, and the middleware around them. Knows nothing of what handlers do."""

from collections.abc import Awaitable, Callable, Mapping, Sequence

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send
from starlette.websockets import WebSocketClose

from homeport.api import legacy_engine_list, monitoring
from homeport.api.admin import keys, logs, project_lists, self_info, series, usage, workers
from homeport.api.admin.models import aliases, model_jobs
from homeport.api.admin.models import routes as library
from homeport.api.azure import AzureMiddleware
from homeport.api.batches import routes as batches
from homeport.api.chat import routes as chat
from homeport.api.chat import stored_routes as stored_chats
from homeport.api.completions import routes as completions
from homeport.api.conversations import routes as conversations
from homeport.api.edits import routes as edits
from homeport.api.embeddings import routes as embeddings
from homeport.api.error_formats import formatted_error
from homeport.api.files import routes as files
from homeport.api.fine_tuning import legacy_routes as fine_tunes
from homeport.api.fine_tuning import routes as fine_tuning_jobs
from homeport.api.images import downloads
from homeport.api.images import routes as images
from homeport.api.messages import routes as messages
from homeport.api.middleware.authentication import AuthenticationMiddleware
from homeport.api.middleware.cors import CorsMiddleware
from homeport.api.middleware.errors import ErrorMiddleware
from homeport.api.middleware.headers import HeadersMiddleware
from homeport.api.models import routes as models
from homeport.api.moderations import routes as moderations
from homeport.api.music import routes as music
from homeport.api.page import routes as page
from homeport.api.page.page_files import PAGE_FILE_ROUTE
from homeport.api.request_context import context_of
from homeport.api.responses import background, compaction, counting
from homeport.api.responses import routes as responses
from homeport.api.services import Services
from homeport.api.shapes import routes as shapes
from homeport.api.speech import routes as speech
from homeport.api.tokenize import routes as tokenize
from homeport.api.transcriptions import routes as transcriptions
from homeport.api.unknown_paths import is_normalized, unknown_url
from homeport.api.uploads import routes as uploads
from homeport.api.vector_stores import file_routes as store_files
from homeport.api.vector_stores import routes as vector_stores
from homeport.domain.errors import MethodNotAllowed

Handler = Callable[[Request], Awaitable[Response]]

ROUTES: Mapping[str, Mapping[str, Handler]] = {
    "/": {"GET": page.root},
    "/page/session": {"POST": page.begin_session, "DELETE": page.end_session},
    PAGE_FILE_ROUTE: {"GET": page.file},
    "/health": {"GET": monitoring.live},
    "/health/live": {"GET": monitoring.live},
    "/health/ready": {"GET": monitoring.ready},
    "/metrics": {"GET": monitoring.scrape},
    "/v1/models": {"GET": models.list_models},
    "/v1/models/{model:path}": {"GET": models.retrieve, "DELETE": models.delete},
    "/v1/completions": {"POST": completions.create},
    "/v1/chat/completions": {"GET": stored_chats.list_completions, "POST": chat.create},
    "/v1/chat/completions/{completion_id}": {
        "GET": stored_chats.retrieve,
        "POST": stored_chats.update,
        "DELETE": stored_chats.delete,
    },
    "/v1/chat/completions/{completion_id}/messages": {"GET": stored_chats.list_messages},
    "/v1/responses": {"POST": responses.create},
    "/v1/responses/input_tokens": {"POST": counting.count},
    "/v1/responses/compact": {"POST": compaction.compact},
    "/v1/responses/{response_id}": {"GET": responses.retrieve, "DELETE": responses.delete},
    "/v1/responses/{response_id}/cancel": {"POST": background.cancel},
    "/v1/responses/{response_id}/input_items": {"GET": responses.input_items},
    "/v1/messages": {"POST": messages.create},
    "/v1/messages/count_tokens": {"POST": messages.count_tokens},
    "/v1/conversations": {"POST": conversations.create},
    "/v1/conversations/{conversation_id}": {
        "GET": conversations.retrieve,
        "POST": conversations.update,
        "DELETE": conversations.delete,
    },
    "/v1/conversations/{conversation_id}/items": {"GET": conversations.list_items, "POST": conversations.create_items},
    "/v1/conversations/{conversation_id}/items/{item_id}": {
        "GET": conversations.retrieve_item,
        "DELETE": conversations.delete_item,
    },
    "/v1/edits": {"POST": edits.create},
    "/tokenize": {"POST": tokenize.tokenize},
    "/detokenize": {"POST": tokenize.detokenize},
    "/tokenizer_info": {"GET": tokenize.info},
    "/v1/audio/music": {"POST": music.create},
    "/v1/audio/speech": {"POST": speech.create},
    "/v1/audio/transcriptions": {"POST": transcriptions.transcribe},
    "/v1/audio/translations": {"POST": transcriptions.translate},
    "/v1/sound-generation": {"POST": music.create_sound},
    "/v1/embeddings": {"POST": embeddings.create},
    "/v1/moderations": {"POST": moderations.create},
    "/v1/images/generations": {"POST": images.generate},
    "/v1/images/edits": {"POST": images.edit},
    "/v1/images/variations": {"POST": images.vary},
    "/images/{name}": {"GET": downloads.fetch_image},
    "/v1/3d/generations": {"POST": shapes.generate},
    "/shapes/{name}": {"GET": downloads.fetch_shape},
    "/v1/files": {"GET": files.list_files, "POST": files.create},
    "/v1/files/{file_id}": {"GET": files.retrieve, "DELETE": files.delete},
    "/v1/files/{file_id}/content": {"GET": files.content},
    "/v1/uploads": {"POST": uploads.create},
    "/v1/uploads/{upload_id}/parts": {"POST": uploads.add},
    "/v1/uploads/{upload_id}/complete": {"POST": uploads.complete},
    "/v1/uploads/{upload_id}/cancel": {"POST": uploads.cancel},
    "/v1/vector_stores": {"GET": vector_stores.list_stores, "POST": vector_stores.create},
    "/v1/vector_stores/{vector_store_id}": {
        "GET": vector_stores.retrieve,
        "POST": vector_stores.update,
        "DELETE": vector_stores.delete,
    },
    "/v1/vector_stores/{vector_store_id}/search": {"POST": vector_stores.search},
    "/v1/vector_stores/{vector_store_id}/files": {"GET": store_files.list_files, "POST": store_files.create},
    "/v1/vector_stores/{vector_store_id}/files/{file_id}": {
        "GET": store_files.retrieve,
        "POST": store_files.update,
        "DELETE": store_files.delete,
    },
    "/v1/vector_stores/{vector_store_id}/files/{file_id}/content": {"GET": store_files.content},
    "/v1/vector_stores/{vector_store_id}/file_batches": {"POST": store_files.create_batch},
    "/v1/vector_stores/{vector_store_id}/file_batches/{batch_id}": {"GET": store_files.retrieve_batch},
    "/v1/vector_stores/{vector_store_id}/file_batches/{batch_id}/cancel": {"POST": store_files.cancel_batch},
    "/v1/vector_stores/{vector_store_id}/file_batches/{batch_id}/files": {"GET": store_files.list_batch_files},
    "/v1/batches": {"GET": batches.list_batches, "POST": batches.create},
    "/v1/batches/{batch_id}": {"GET": batches.retrieve},
    "/v1/batches/{batch_id}/cancel": {"POST": batches.cancel},
    "/v1/fine-tunes": {"GET": fine_tunes.list_fine_tunes, "POST": fine_tunes.create},
    "/v1/fine-tunes/{job_id}": {"GET": fine_tunes.retrieve},
    "/v1/fine-tunes/{job_id}/cancel": {"POST": fine_tunes.cancel},
    "/v1/fine-tunes/{job_id}/events": {"GET": fine_tunes.events},
    "/v1/fine_tuning/jobs": {"GET": fine_tuning_jobs.list_jobs, "POST": fine_tuning_jobs.create},
    "/v1/fine_tuning/jobs/{job_id}": {"GET": fine_tuning_jobs.retrieve},
    "/v1/fine_tuning/jobs/{job_id}/cancel": {"POST": fine_tuning_jobs.cancel},
    "/v1/fine_tuning/jobs/{job_id}/pause": {"POST": fine_tuning_jobs.pause},
    "/v1/fine_tuning/jobs/{job_id}/resume": {"POST": fine_tuning_jobs.resume},
    "/v1/fine_tuning/jobs/{job_id}/events": {"GET": fine_tuning_jobs.events},
    "/v1/fine_tuning/jobs/{job_id}/checkpoints": {"GET": fine_tuning_jobs.checkpoints},
    "/v1/engines": {"GET": legacy_engine_list.list_engines},
    "/v1/engines/{engine:path}/completions": {"POST": completions.create},
    "/v1/engines/{engine:path}/edits": {"POST": edits.create},
    "/v1/engines/{engine:path}/embeddings": {"POST": embeddings.create},
    "/v1/engines/{engine:path}": {"GET": legacy_engine_list.retrieve},
    "/admin/v1/keys": {"GET": keys.list_keys, "POST": keys.create},
    "/admin/v1/keys/{key_id}": {"GET": keys.retrieve, "POST": keys.update, "DELETE": keys.revoke},
    "/admin/v1/keys/{key_id}/rotate": {"POST": keys.rotate},
    "/admin/v1/page_links": {"POST": page.create_link},
    "/admin/v1/usage": {"GET": usage.get_usage},
    "/admin/v1/self": {"GET": self_info.describe},
    "/admin/v1/metrics/series": {"GET": series.get_series},
    "/admin/v1/metrics/series/events": {"GET": series.stream_samples},
    "/admin/v1/logs": {"GET": logs.list_lines},
    "/admin/v1/logs/events": {"GET": logs.stream_lines},
    "/admin/v1/files": {"GET": project_lists.list_files},
    "/admin/v1/batches": {"GET": project_lists.list_batches},
    "/admin/v1/fine_tuning/jobs": {"GET": project_lists.list_jobs},
    "/admin/v1/fine_tuning/jobs/{job_id}/events": {"GET": project_lists.list_job_events},
    "/admin/v1/fine_tuning/jobs/{job_id}/checkpoints": {"GET": project_lists.list_job_checkpoints},
    "/admin/v1/storage": {"GET": usage.storage},
    "/v1/organization/usage/{kind}": {"GET": usage.get_organization_usage},
    "/admin/v1/models": {"GET": library.list_models},
    "/admin/v1/models/pulls": {"GET": model_jobs.list_pulls, "POST": model_jobs.create_pull},
    "/admin/v1/models/pulls/{job_id}": {"GET": model_jobs.retrieve, "DELETE": model_jobs.delete},
    "/admin/v1/models/pulls/{job_id}/events": {"GET": model_jobs.events},
    "/admin/v1/models/pulls/{job_id}/pause": {"POST": model_jobs.pause},
    "/admin/v1/models/pulls/{job_id}/resume": {"POST": model_jobs.resume},
    "/admin/v1/models/pulls/{job_id}/cancel": {"POST": model_jobs.cancel},
    "/admin/v1/models/optimizations": {"GET": model_jobs.list_optimizations},
    "/admin/v1/models/optimizations/{job_id}": {"GET": model_jobs.retrieve, "DELETE": model_jobs.delete},
    "/admin/v1/models/optimizations/{job_id}/events": {"GET": model_jobs.events},
    "/admin/v1/models/optimizations/{job_id}/resume": {"POST": model_jobs.resume},
    "/admin/v1/models/optimizations/{job_id}/cancel": {"POST": model_jobs.cancel},
    "/admin/v1/models/aliases": {"GET": aliases.list_aliases},
    "/admin/v1/models/aliases/{alias:path}/reset": {"POST": aliases.reset},
    "/admin/v1/models/aliases/{alias:path}": {"PUT": aliases.replace, "DELETE": aliases.delete},
    "/admin/v1/models/{model:path}/optimize": {"POST": model_jobs.create_optimization},
    "/admin/v1/models/{model:path}/load": {"POST": library.load},
    "/admin/v1/models/{model:path}/unload": {"POST": library.unload},
    "/admin/v1/models/{model:path}": {"GET": library.retrieve, "DELETE": library.delete},
    "/admin/v1/workers": {"GET": workers.list_workers},
    "/admin/v1/workers/{model:path}/stop": {"POST": workers.stop},
}
"""Path templates in the order of matching, and the handler of each method."""


def build_application(services: Services) -> Starlette:
    """Build the application."""
    routes: list[Route] = []
    routes += [Route(path, _MethodRouter(path, handlers, routes)) for path, handlers in ROUTES.items()]
    application = _Application(routes=routes)
    application.router.redirect_slashes = False
    application.router.default = _Unknown(routes)
    application.state.services = services
    return application


class _Application(Starlette):
    """Starlette without its own middleware, which answers in plain text."""

    def build_middleware_stack(self) -> ASGIApp:
        """Stack the middleware, innermost first."""
        services: Services = self.state.services
        stack: ASGIApp = AuthenticationMiddleware(self.router, services.access, services.rate_limiter)
        stack = AzureMiddleware(CorsMiddleware(ErrorMiddleware(stack), services.access))
        return HeadersMiddleware(stack, services.metrics, services.organization)


class _MethodRouter:
    """One path: calls the handler of the request's method, or answers 405 with the methods that exist.

    A template that matches any path, such as a model's name with slashes, matches none that ends in a slash.
    """

    def __init__(self, template: str, handlers: Mapping[str, Handler], routes: Sequence[Route]) -> None:
        self._template = template
        self._handlers = handlers
        self._routes = routes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request. HEAD is handled as GET; the HTTP server omits the body."""
        context_of(scope).route = self._template
        if not is_normalized(scope["path"]):
            raise unknown_url(scope["method"], scope["path"], self._routes)
        method = scope["method"]
        handler = self._handlers.get("GET" if method == "HEAD" else method)
        if handler:
            response = await handler(Request(scope, receive, send))
        else:
            response = formatted_error(
                _method_not_allowed(method, scope["path"]), scope, {"allow": self._allow_header()}
            )
        await response(scope, receive, send)

    def _allow_header(self) -> str:
        return ", ".join([*self._handlers, *(["HEAD"] if "GET" in self._handlers else [])])


def _method_not_allowed(method: str, path: str) -> MethodNotAllowed:
    return MethodNotAllowed(
        f"Not allowed to {method} on {path[:200]} (HINT: Perhaps you meant to use a different HTTP method?)",
        code="method_not_supported",
    )


class _Unknown:
    """Answers every path that no route matches."""

    def __init__(self, routes: Sequence[Route]) -> None:
        self._routes = routes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Raise NotFound, or close a WebSocket."""
        if scope["type"] == "websocket":
            await WebSocketClose()(scope, receive, send)
            return
        raise unknown_url(scope["method"], scope["path"], self._routes)
