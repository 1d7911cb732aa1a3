"""An untrusted chat template does no harm in a process of its own."""

import gc
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator

import psutil
import pytest

from homeport.domain.errors import EngineFailed
from homeport.engines.text import isolated_process, isolated_worker
from homeport.engines.text.templates.process import IsolatedProgram
from homeport.engines.text.templates.sandbox import ChatTemplateError, Run, TemplateStopped

ECHO = "{{ x }}"
LOOP = "{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}"


def run(**variables: object) -> list[Run]:
    return [Run(dict(variables), characters=100)]


def children() -> list[psutil.Process]:
    return [child for child in psutil.Process().children() if child.status() != psutil.STATUS_ZOMBIE]


@pytest.fixture(autouse=True)
def nothing_is_left() -> Iterator[None]:
    """Check that every test leaves no process running."""
    before = {child.pid for child in children()}
    yield
    if not {child.pid for child in children()} <= before:
        gc.collect()  # ends the processes of programs that a failure left in a cycle
    assert {child.pid for child in children()} <= before


def test_renders_what_the_template_says() -> None:
    """One request returns several renderings, also with half surrogate pairs, and refusals as errors."""
    program = IsolatedProgram("{{ raise_exception(x) if x == 'no' else '<' + x + '>' }}")
    assert program.render([*run(x="é你"), *run(x="\ud83d")]) == ["<é你>", "<\ud83d>"]
    with pytest.raises(ChatTemplateError, match="refused the messages: no"):
        program.render(run(x="no"))
    assert program.render(run(x="a")) == ["<a>"]
    program.close()


def test_trying_leaves_out_what_is_refused() -> None:
    """Of several renderings, those that the template refuses are none; one that takes too long ends all."""
    program = IsolatedProgram("{{ raise_exception(x) if x == 'no' else x }}{% if x == 'loop' %}" + LOOP + "{% endif %}")
    assert program.try_render([*run(x="a"), *run(x="no"), *run(x="b")]) == ["a", None, "b"]
    with pytest.raises(TemplateStopped):
        program.try_render([*run(x="a"), *run(x="loop")])
    assert program.try_render(run(x="c")) == ["c"]
    program.close()


@pytest.mark.parametrize(
    "source",
    [
        LOOP,
        "{% set ns = namespace(n=3) %}{% for i in range(60) %}{% set ns.n = ns.n * ns.n %}{% endfor %}",
        "{{ 'x' | center(4000000000) | length }}",
        "{{ '%4000000000d' % 1 }}",
        "{{ '{:>4000000000}'.format(1) | length }}",
        "{% set ns = namespace(s='x') %}{% for i in range(40) %}{% set ns.s = ns.s ~ ns.s %}{% endfor %}",
        "{% set y = 'x' | center(900000) %}{{ y.replace('', y) | length }}",
        "{{ range(99999) | batch(1) | map('list') | list | tojson(indent=99999) | length }}",
    ],
)
def test_endless_templates_are_stopped(source: str) -> None:
    """Limits on time and memory apply also within one C call, and the next conversation is rendered."""
    program = IsolatedProgram("{% if x %}" + source + "{% endif %}done")
    began = time.monotonic()
    with pytest.raises(ChatTemplateError):
        program.render(run(x=True))
    assert time.monotonic() - began < 30  # 2 s of CPU time, on a machine that is busy otherwise
    assert program.render(run(x=False)) == ["done"]
    program.close()


@pytest.mark.parametrize(
    "source",
    [
        "{{ 'x' | center(4000000000) | length }}",
        "{{ 10**9**9 }}",
        "{% if x %}" * 500 + "{% endif %}" * 500,
        "{{ " + "-" * 100_000 + "1 }}",
        "{{ x" + "[0]" * 50_000 + " }}",
    ],
)
def test_compiling_has_the_same_limits(source: str) -> None:
    """Endless computing or nesting while compiling is an error then or when it is rendered."""
    with pytest.raises(ChatTemplateError):
        IsolatedProgram(source).render(run(x=1))


def test_time_is_cpu_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that gets no CPU time does not take too long, up to a wall-clock limit."""
    program = IsolatedProgram(ECHO)
    stopped = children()[-1]
    stopped.send_signal(signal.SIGSTOP)
    go_on = threading.Timer(1.5 * isolated_worker.CPU_S, lambda: stopped.send_signal(signal.SIGCONT))
    go_on.start()
    assert program.render(run(x="y")) == ["y"]
    go_on.join()
    stopped.send_signal(signal.SIGSTOP)
    with monkeypatch.context() as patched:
        patched.setattr(isolated_process, "WAIT_S", 0.2)
        with pytest.raises(TemplateStopped, match="too long"):
            program.render(run(x="y"))
    assert program.render(run(x="y")) == ["y"]
    program.close()


def test_a_check_ends_the_wait() -> None:
    """An exception of the check ends a running rendering at once."""
    program = IsolatedProgram(LOOP)

    def check() -> None:
        raise KeyError

    began = time.process_time()
    with pytest.raises(KeyError):
        program.render(run(), check)
    assert time.process_time() - began < 1
    program.close()


def test_two_threads_render_at_once() -> None:
    """A slow rendering does not hold up another thread's."""
    program = IsolatedProgram("{% if x %}" + LOOP + "{% endif %}done")
    ends = threading.Event()

    def check() -> None:
        if ends.is_set():
            raise KeyError

    def slow() -> None:
        with pytest.raises(KeyError):
            program.render(run(x=True), check)

    thread = threading.Thread(target=slow)
    thread.start()
    assert program.render(run(x=False)) == ["done"]
    ends.set()
    thread.join()
    program.close()


def test_a_process_that_died_is_replaced() -> None:
    """A killed process is replaced for the next conversation; a running rendering is refused."""
    program = IsolatedProgram("{% if x %}" + LOOP + "{% endif %}done")
    killed = children()[-1]
    killed.kill()
    while killed in children():
        os.sched_yield()
    assert program.render(run(x=False)) == ["done"]
    killed = children()[-1]
    with pytest.raises(TemplateStopped, match="crashed the process"):
        program.render(run(x=True), killed.kill)
    program.close()


def test_a_process_that_exits_is_an_engine_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that exits by itself is an error of the engine, not of the template."""
    monkeypatch.setattr(isolated_process, "_BOOT", "raise SystemExit(7)")
    with pytest.raises(EngineFailed, match="exit code 7"):
        IsolatedProgram(ECHO)


def test_an_idle_process_is_small() -> None:
    """It contains Python and Jinja, and nothing of the engine."""
    program = IsolatedProgram(ECHO)
    assert program.render(run(x="y")) == ["y"]
    assert children()[-1].memory_info().rss < 30 << 20
    program.close()


def test_it_ends_with_its_parent() -> None:
    """A process whose parent is killed exits."""
    code = (
        "import psutil, signal; from homeport.engines.text.templates.process import IsolatedProgram as Program; "
        "kept = Program('x'); print(psutil.Process().children()[0].pid, flush=True); signal.pause()"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        child = psutil.Process(int(parent.stdout.readline()))
        parent.kill()
    psutil.wait_procs([child], timeout=20)
    assert not child.is_running() or child.status() == psutil.STATUS_ZOMBIE
