"""The background responses that a server runs, built for it. Knows nothing of settings."""

import asyncio

from homeport.api.metrics import Metrics
from homeport.domain.ports.responses import ConversationRepository, ResponseDispatcher, ResponseRepository
from homeport.serving.background_loops import BackgroundLoops
from homeport.serving.responses.runner import ResponseRunner
from homeport.serving.responses.signals import ResponseSignals


class ResponseService:
    """The response runner of one server. It starts once the application exists, which answers its requests."""

    def __init__(
        self, responses: ResponseRepository, conversations: ConversationRepository, loops: BackgroundLoops
    ) -> None:
        self.signals = ResponseSignals()
        self._responses = responses
        self._conversations = conversations
        self._loops = loops
        self._runner: ResponseRunner | None = None
        self._task: asyncio.Task[None] | None = None

    def start(self, dispatch: ResponseDispatcher, metrics: Metrics) -> None:
        """Start to run responses; `dispatch` answers their requests."""
        runner = ResponseRunner(self._responses, self._conversations, dispatch, self.signals, self._loops)
        metrics.gauge("background_responses_running", "Background responses that run here.", lambda: runner.running)
        self._runner = runner
        self._task = asyncio.create_task(runner.run())

    def stop_claiming(self) -> None:
        """Start no more responses; those that run continue."""
        if self._runner is not None:
            self._runner.stop_claiming()

    async def stop(self) -> None:
        """Stop running responses, and their streams; the next start ends or runs what is left. Safe to call twice."""
        if self._runner is not None and self._task is not None and not self._task.done():
            await self._runner.finish_ended()
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        self.signals.close()
