"""An engine that does what a prompt says, so that tests can have a worker stream, refuse, hang or crash.

Prompts: `count N` N deltas, `wait` admitted and then nothing, `abort N` N deltas and then the process aborts,
`sleep S` the step thread is stuck for S seconds, `flood N` N deltas at once whatever the credit, `big N` one delta of
N characters, `reject` refused as invalid, `stubborn` never ends and ignores a cancel, `wait-once FILE` like `wait` if
the file does not exist, which it then creates, else like `count 1`, `files` the path and the text of each image of the
request and of its adapter, one delta each.
"""

import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from homeport.domain.content import Attachment, list_images
from homeport.domain.errors import InvalidRequest
from homeport.domain.events import (
    Admitted,
    ChoiceFinished,
    Done,
    Event,
    Failed,
    TextDelta,
    Usage,
)
from homeport.domain.models import EngineStats, LoadedModel
from homeport.domain.ports.engine import EmitEvents
from homeport.domain.text import ChatPrompt, TextPrompt, TextRequest
from homeport.domain.worker_messages import EngineRequest, EngineSpec


class Script:
    """The progress of one request through its prompt's words."""

    def __init__(self, request: EngineRequest, credit: int) -> None:
        assert isinstance(request, TextRequest)
        self.word, _, argument = _text(request).partition(" ")
        if self.word == "wait-once":
            self.word, argument = _wait_once(Path(argument))
        self.number = float(argument or 0)
        self.files = [*_images(request), *([request.adapter.file] if request.adapter else [])]
        self.credit = credit
        self.sent = 0
        self.is_admitted = False

    @property
    def can_step(self) -> bool:
        """Whether there is something to do."""
        return not self.is_admitted or (self.word not in ("wait", "stubborn") and self.credit > 0)


def _text(request: TextRequest) -> str:
    prompt = request.prompts[0]
    if isinstance(prompt, ChatPrompt):
        return prompt.messages[-1].text
    return prompt.text if isinstance(prompt, TextPrompt) else "wait"


def _images(request: TextRequest) -> list[Attachment]:
    prompt = request.prompts[0]
    return [part.image for part in list_images(prompt.messages)] if isinstance(prompt, ChatPrompt) else []


def _wait_once(file: Path) -> tuple[str, str]:
    if file.exists():
        return "count", "1"
    file.touch()
    return "wait", ""


class ScriptedEngine:
    """A `domain.ports.engine.Engine` without a model.

    Its stats count deltas that were sent (`generated_tokens`) and cancels that were received (`preemptions`).
    """

    def __init__(self, spec: EngineSpec) -> None:
        self.loaded = LoadedModel(model=spec.model, window=128, kernels="none", device="cpu")
        self._scripts: dict[int, Script] = {}
        self._changed = threading.Condition()
        self._closed = False
        self._sent = 0
        self._cancels = 0
        self._stuck_at: float | None = None
        self._ballast = bytearray(b"\1") * int(spec.options.get("ballast") or 0)

    def open(self, id: int, request: EngineRequest, credit: int) -> None:
        """Accept a request."""
        with self._changed:
            self._scripts[id] = Script(request, credit)
            self._changed.notify()

    def credit(self, id: int, n: int) -> None:
        """Allow more deltas."""
        with self._changed:
            if script := self._scripts.get(id):
                script.credit += n
            self._changed.notify()

    def grant(self, id: int, n: int) -> None:
        """Ignore the quota."""
        raise NotImplementedError

    def cancel(self, id: int) -> None:
        """Drop a request."""
        with self._changed:
            self._cancels += 1
            if id in self._scripts and self._scripts[id].word != "stubborn":
                del self._scripts[id]

    def stats(self) -> EngineStats:
        """Return the current stats."""
        since = self._stuck_at
        return EngineStats(
            running=len(self._scripts),
            generated_tokens=self._sent,
            preemptions=self._cancels,
            stalled_s=time.monotonic() - since if since else 0.0,
        )

    def run(self, emit: EmitEvents) -> None:
        """Step until closed."""
        while not self._closed:
            with self._changed:
                while not (ready := [(id, script) for id, script in self._scripts.items() if script.can_step]):
                    self._changed.wait()
                events = [(id, event) for id, script in ready for event in self._step(script)]
                for id, event in events:
                    if isinstance(event, Done | Failed):
                        del self._scripts[id]
            emit(events)
            for _, script in ready:
                if script.word == "abort" and script.sent >= script.number:
                    os.abort()
                if script.word == "sleep" and script.is_admitted:
                    self._stuck_at = time.monotonic()
                    time.sleep(script.number)

    def close(self) -> None:
        """Make `run` return."""
        self._closed = True

    def _step(self, script: Script) -> Iterator[Event]:
        if script.word == "reject":
            yield Failed(InvalidRequest("No such thing.", param="prompt").info, Usage(prompt_tokens=7))
            return
        if not script.is_admitted:
            script.is_admitted = True
            yield Admitted(prompt_tokens=1, prompt_chars=(4,))
            return
        if script.word == "flood":
            yield from (TextDelta(0, "x") for _ in range(int(script.number)))
        elif script.word == "big":
            yield TextDelta(0, "x" * int(script.number))
        elif script.word == "files":
            yield from (TextDelta(0, f"{file.path} {file.local_path.read_text()}\n") for file in script.files)
        elif script.sent < script.number:
            script.sent += 1
            script.credit -= 1
            self._sent += 1
            yield TextDelta(0, f"{script.sent} ")
            if script.sent < script.number or script.word == "abort":
                return
        yield ChoiceFinished(0, "stop")
        yield Done(Usage(prompt_tokens=1, completion_tokens=script.sent))


def load(spec: EngineSpec) -> ScriptedEngine:
    """Load as the options say: `diary` a file that gets a line per load, `load` how loading goes."""
    if diary := spec.options.get("diary"):
        with Path(str(diary)).open("a") as file:
            file.write(f"{os.getpid()}\n")
    how = spec.options.get("load")
    if gate := spec.options.get("gate"):
        Path(str(gate)).open().close()  # a named pipe: opens once the test opens the other end
    if how == "abort":
        os.abort()
    if how == "hang":
        time.sleep(600)
    if how == "missing":
        spec.files["weights"].local_path.read_bytes()
    if how == "noise":
        os.write(1, b"noise on stdout\n" * 10_000)
    if how == "abort-if-told" and Path(str(spec.options["diary"])).with_suffix(".abort").exists():
        os.abort()
    return ScriptedEngine(spec)


class PickyEngine(ScriptedEngine):
    """Raises when it takes the prompt `raise`."""

    def open(self, id: int, request: EngineRequest, credit: int) -> None:
        """Accept a request."""
        if isinstance(request, TextRequest) and request.prompts[0] == TextPrompt("raise"):
            raise KeyError("a bug in an engine")
        super().open(id, request, credit)


def load_picky(spec: EngineSpec) -> PickyEngine:
    """Load the engine that raises on a prompt."""
    return PickyEngine(spec)
