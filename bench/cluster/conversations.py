"""What the clients of a benchmark ask: conversations of several turns, some with the same system message."""

from collections.abc import Callable

from bench.cluster.model import request
from homeport.domain.text import TextRequest

SYSTEMS, TURNS, TOKENS = 8, 4, 40
_SYSTEM = "You are the assistant of team {}. " + "Follow the rules of the team and answer in few words. " * 40
_QUESTION = "Question {} of conversation {} by client {}: " + "what does this line of the program do? " * 6
_ANSWER = "It returns the value of the last line. " * 4


def client(tokens: int = TOKENS, systems: int = SYSTEMS, name: str = "") -> Callable[[int], TextRequest]:
    """Return what makes the next request of a client, by its number. `tokens`: of each answer."""
    turns: dict[int, int] = {}

    def next_request(number: int) -> TextRequest:
        conversation, turn = divmod(turns.get(number, 0), TURNS)
        turns[number] = turns.get(number, 0) + 1
        texts = [_SYSTEM.format(number % systems)]
        for past in range(turn):
            texts += [_QUESTION.format(past, conversation, f"{name}{number}"), _ANSWER]
        texts.append(_QUESTION.format(turn, conversation, f"{name}{number}"))
        return request(tuple(texts), tokens)

    return next_request
