"""One-time links and the sessions that they begin."""

import pytest

from homeport.api.page.sessions import LINK_S, SESSION_S, PageSessions
from homeport.domain.errors import Unauthenticated


class Clock:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_a_link_begins_one_session() -> None:
    """A link is exchanged once; the session's token is another one, and the link's is none."""
    sessions = PageSessions()
    link = sessions.create_link().token
    session = sessions.begin(link).token
    assert sessions.is_valid(session)
    assert not sessions.is_valid(link)
    with pytest.raises(Unauthenticated, match="homeport open"):
        sessions.begin(link)


@pytest.mark.parametrize("token", ["", "x", "é\ud800"])
def test_other_tokens_are_nothing(token: str) -> None:
    """A token that was never issued is neither a link nor a session, and ends none."""
    sessions = PageSessions()
    session = sessions.begin(sessions.create_link().token).token
    with pytest.raises(Unauthenticated):
        sessions.begin(token)
    assert not sessions.is_valid(token)
    sessions.end(token)
    assert sessions.is_valid(session)


def test_links_and_sessions_expire() -> None:
    """A link works for two minutes, a session for twelve hours, however often it is used."""
    clock = Clock()
    sessions = PageSessions(clock)
    late, early = sessions.create_link().token, sessions.create_link().token
    clock.now += LINK_S - 1
    session = sessions.begin(early).token
    clock.now += 1
    with pytest.raises(Unauthenticated):
        sessions.begin(late)
    clock.now += SESSION_S - 2
    assert sessions.is_valid(session)
    clock.now += 1
    assert not sessions.is_valid(session)


def test_a_session_can_be_ended() -> None:
    """Ending a session ends this one only."""
    sessions = PageSessions()
    first, second = (sessions.begin(sessions.create_link().token).token for _ in range(2))
    sessions.end(first)
    assert (sessions.is_valid(first), sessions.is_valid(second)) == (False, True)


def test_the_number_of_sessions_is_bounded() -> None:
    """Beyond the limit the oldest session ends, and beyond that of links the oldest link."""
    sessions = PageSessions()
    tokens = [sessions.begin(sessions.create_link().token).token for _ in range(300)]
    assert [sessions.is_valid(token) for token in tokens].count(True) == 256
    assert sessions.is_valid(tokens[-1])
    links = [sessions.create_link().token for _ in range(17)]
    with pytest.raises(Unauthenticated):
        sessions.begin(links[0])
    assert sessions.begin(links[1]).token
