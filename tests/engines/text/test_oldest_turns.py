"""A conversation that does not fit loses whole turns from its beginning, as few as needed."""

from collections.abc import Sequence

import msgspec
import pytest

from homeport.domain.content import Message, ToolCallPart, ToolResultPart, text_message
from homeport.domain.errors import ContextOverflow
from homeport.domain.text import ChatPrompt, StoppingCriteria, TextRequest
from homeport.engines.text import oldest_turns
from homeport.engines.text.prepared_prompt import PreparedPrompt
from homeport.engines.text.prompt_processor import PromptProcessor
from tests.engines.text.fake_executor import FakeExecutor

SYSTEM = (text_message("system", "Be brief."), text_message("developer", "Be kind."))
CALL = (
    Message("assistant", (ToolCallPart("c", "add", '{"a": 1}'),)),
    Message("tool", (ToolResultPart("c", "2"),)),
    text_message("assistant", "It is 2."),
)
TURNS: Sequence[Sequence[Message]] = (
    (text_message("user", "first question"), text_message("assistant", "first answer")),
    (text_message("user", "second question"), *CALL),
    (text_message("user", "third question"), text_message("assistant", "third answer")),
    (text_message("user", "last question"),),
)


def conversation(n_dropped: int = 0) -> ChatPrompt:
    kept = [message for turn in TURNS[n_dropped:] for message in turn]
    return ChatPrompt((*SYSTEM, *kept), drops_oldest=True)


def prepared(fake: FakeExecutor, prompt: ChatPrompt, window: int, limits: StoppingCriteria) -> PreparedPrompt:
    return PromptProcessor(fake, window).prepare(TextRequest((prompt,), stopping=limits)).prompts[0]


def size_without(fake: FakeExecutor, n_dropped: int) -> int:
    whole = msgspec.structs.replace(conversation(n_dropped), drops_oldest=False)
    return len(prepared(fake, whole, 100_000, StoppingCriteria()).ids)


@pytest.mark.parametrize("n_dropped", [0, 1, 2, 3])
@pytest.mark.parametrize(
    ("limits", "room"),
    [
        (StoppingCriteria(max_tokens=20), 20),
        (StoppingCriteria(), oldest_turns.MIN_ANSWER_TOKENS),
        (StoppingCriteria(default_tokens=9), 9),
    ],
)
def test_as_few_turns_as_needed_are_dropped(
    fake: FakeExecutor, n_dropped: int, limits: StoppingCriteria, room: int
) -> None:
    """The prompt is that of the conversation without its oldest turns, in the window with the answer's room."""
    window = size_without(fake, n_dropped) + room
    found = prepared(fake, conversation(), window, limits)
    assert found.ids == prepared(fake, conversation(n_dropped), 100_000, limits).ids
    assert found.changes == ((oldest_turns.change_name(n_dropped),) if n_dropped else ())


def test_the_last_turn_may_leave_less_room_than_is_wanted(fake: FakeExecutor) -> None:
    """Without a limit of the caller, the last turn is served as long as it leaves any room."""
    window = size_without(fake, 3) + 1
    assert prepared(fake, conversation(), window, StoppingCriteria()).changes == ("oldest-turns-dropped-3",)


@pytest.mark.parametrize("limits", [StoppingCriteria(), StoppingCriteria(max_tokens=1)])
def test_a_last_turn_that_does_not_fit_is_refused(fake: FakeExecutor, limits: StoppingCriteria) -> None:
    """The error is the same as without dropping."""
    with pytest.raises(ContextOverflow) as refused:
        prepared(fake, conversation(), size_without(fake, 3), limits)
    assert refused.value.code == "context_length_exceeded"


def test_the_error_for_a_long_last_turn_states_its_length(fake: FakeExecutor) -> None:
    """A last turn many times the window is counted, as a prompt without dropping is."""
    last = ChatPrompt((*SYSTEM, text_message("user", "x" * 300_000)))
    tokens = len(prepared(fake, last, 400_000, StoppingCriteria()).ids)
    whole = ChatPrompt((*SYSTEM, *TURNS[0], text_message("user", "x" * 300_000)), drops_oldest=True)
    with pytest.raises(ContextOverflow, match=f"resulted in {tokens} tokens"):
        prepared(fake, whole, 50, StoppingCriteria())


def test_nothing_is_dropped_unless_asked(fake: FakeExecutor) -> None:
    """A conversation that does not fit is refused by default."""
    whole = msgspec.structs.replace(conversation(), drops_oldest=False)
    with pytest.raises(ContextOverflow):
        prepared(fake, whole, size_without(fake, 0), StoppingCriteria())


def test_turns_far_beyond_the_window_are_dropped_without_an_error(fake: FakeExecutor) -> None:
    """Turns that no window holds are dropped before they are rendered."""
    long = tuple(text_message("user", "x" * 300_000) for _ in range(3))
    window = size_without(fake, 3) + oldest_turns.MIN_ANSWER_TOKENS
    found = prepared(fake, ChatPrompt((*SYSTEM, *long, *TURNS[3]), drops_oldest=True), window, StoppingCriteria())
    assert found.changes == ("oldest-turns-dropped-3",)


def test_a_turn_begins_with_a_users_message() -> None:
    """Calls, results and answers belong to the user's message before them; system messages at the start to none."""
    system, turns = oldest_turns.split_turns(conversation().messages)
    assert (tuple(system), [tuple(turn) for turn in turns]) == (SYSTEM, [tuple(turn) for turn in TURNS])
    answer = text_message("assistant", "Hello!")
    assert oldest_turns.split_turns((answer, *TURNS[3])) == ((), [(answer,), TURNS[3]])
    assert oldest_turns.split_turns(SYSTEM) == (SYSTEM, [])
