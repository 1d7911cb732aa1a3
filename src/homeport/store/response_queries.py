"""The queries on responses that read more than one row: chains, the queue of background ones, what has expired.

`now`: the wall clock in seconds.
"""

from collections.abc import Iterable
from typing import Any

import sqlalchemy as sa

from homeport.store.response_columns import MAX_READ_BYTES
from homeport.store.schema import RESPONSE_RUNS, RESPONSES


def is_current(now: float) -> sa.ColumnElement[bool]:
    """Whether a response has not expired."""
    return sa.or_(RESPONSES.c.expires_at.is_(None), RESPONSES.c.expires_at > int(now))


def response_of(project: str, response_id: str, now: float) -> sa.ColumnElement[bool]:
    """Whether this is the response of a project with this id, and has not expired."""
    return sa.and_(RESPONSES.c.id == response_id, RESPONSES.c.project == project, is_current(now))


def chain_query(project: str, response_id: str, now: float) -> sa.Select[Any]:
    """Select a response and those that it continues, until their `total` size is over the limit.

    A response continues an older one, so even damaged rows form no endless chain.
    """
    last = (
        sa.select(RESPONSES.c.seq, RESPONSES.c.previous_id, RESPONSES.c.bytes.label("total"))
        .where(response_of(project, response_id, now))
        .cte("chain", recursive=True)
    )
    earlier = RESPONSES.alias("earlier")
    chain = last.union_all(
        sa.select(earlier.c.seq, earlier.c.previous_id, last.c.total + earlier.c.bytes)
        .select_from(last.join(earlier, earlier.c.id == last.c.previous_id))
        .where(earlier.c.project == project, earlier.c.seq < last.c.seq, last.c.total <= MAX_READ_BYTES)
    )
    return sa.select(RESPONSES, chain.c.total).select_from(chain.join(RESPONSES, RESPONSES.c.seq == chain.c.seq))


def free_query(damaged: Iterable[int], now: float) -> sa.Select[Any]:
    """Select the oldest background response that no server owns, and the number of its `run`.

    `damaged`: the numbers of the runs that are left out.
    """
    return (
        sa.select(RESPONSES, RESPONSE_RUNS.c.seq.label("run"))
        .select_from(RESPONSE_RUNS.join(RESPONSES, RESPONSES.c.id == RESPONSE_RUNS.c.response_id))
        .where(RESPONSE_RUNS.c.owned_until <= now, RESPONSE_RUNS.c.seq.not_in(damaged), is_current(now))
        .order_by(RESPONSE_RUNS.c.seq)
        .limit(1)
    )


def expired_query(now: float) -> sa.Select[Any]:
    """Select the ids of what has expired, is part of no chain that has not, and is not running.

    It starts from the rows that have expired, so its cost does not grow with the others.
    """
    child, parent, earlier = RESPONSES.alias("child"), RESPONSES.alias("parent"), RESPONSES.alias("earlier")
    # Not a join, which SQLite would start from the children, of which most have not expired.
    is_continued = sa.exists().where(
        child.c.previous_id == parent.c.id, sa.or_(child.c.expires_at.is_(None), child.c.expires_at > int(now))
    )
    first = (
        sa.select(parent.c.id, parent.c.previous_id)
        .where(parent.c.expires_at <= int(now), is_continued)
        .cte("continued", recursive=True)
    )
    continued = first.union(
        sa.select(earlier.c.id, earlier.c.previous_id)
        .select_from(first.join(earlier, earlier.c.id == first.c.previous_id))
        .where(earlier.c.expires_at <= int(now))
    )
    running = sa.select(RESPONSE_RUNS.c.response_id).where(RESPONSE_RUNS.c.owned_until > now)
    return sa.select(RESPONSES.c.id).where(
        RESPONSES.c.expires_at <= int(now),
        RESPONSES.c.id.not_in(sa.select(continued.c.id)),
        RESPONSES.c.id.not_in(running),
    )
