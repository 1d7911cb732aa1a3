"""The limits of keys where several gateways share a database: exact, whichever gateway a request reaches.

An account is a stored row. A gateway collects what its requests ask of all accounts, and applies it in one transaction
after the other, by the same policy that a single server uses (`key_ticket`). A request of a key without a limit waits
for none: its tokens are counted once a second. Knows nothing of SQL.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, NamedTuple

from homeport.domain.errors import HomeportError, Unavailable
from homeport.domain.keys import Key
from homeport.domain.ports.limits import Gateways, LimitAccounts, States
from homeport.serving.backoff import Backoff
from homeport.serving.key_ticket import KeyTicket
from homeport.serving.limit_account import Account
from homeport.serving.rate_limit_ticket import TokensUsed
from homeport.serving.request_tickets import RequestTicket
from homeport.serving.shared_accounts import Alive, Holding, SharedAccount
from homeport.serving.shared_tickets import SharedTicket

PATIENCE_S = 5.0
"""How long a request waits for the database before it is refused."""
_FIRST_RETRY_S, _MAX_RETRY_S = 0.1, 1.0
_CLOSE_S = 5.0

_log = logging.getLogger("homeport.limits")


class _Operation(NamedTuple):
    """What a request asks of its key's account. `ticket`: None for what is counted without one."""

    key_id: str
    ticket: KeyTicket | None
    act: Callable[[Account], Any]
    result: "asyncio.Future[Any]"


class _Outcome(NamedTuple):
    """What became of a batch in one transaction."""

    results: Sequence[Any]
    accounts: Mapping[str, Account]
    holdings: Mapping[str, Holding]
    tickets: Sequence[Mapping[str, Any]]


class SharedLimiter:
    """The accounts of all keys, as one of several gateways sees them. `run` it next to the server."""

    def __init__(self, accounts: LimitAccounts, gateways: Gateways, patience_s: float = PATIENCE_S) -> None:
        self._accounts = accounts
        self._gateways = gateways
        self._patience_s = patience_s
        self._waiting: list[_Operation] = []
        self._is_waiting = asyncio.Event()
        self._is_idle = asyncio.Event()
        self._is_idle.set()
        self._holdings: dict[str, Holding] = {}
        self._latest: dict[str, Account] = {}
        self._uncounted: Counter[str] = Counter()
        self._batch = 0
        self._time = gateways.now()
        self._thread = ThreadPoolExecutor(1, "limits")  # of its own: other work of the database must not delay it

    def seed(self, used: Iterable[tuple[str, int, int]]) -> None:
        """Count what usage records have more than accounts: tokens of each key on this day and in this month.

        It is what was used before there were accounts, or what a gateway that was killed had not counted. Blocks.
        """
        totals = {key_id: (of_day, of_month) for key_id, of_day, of_month in used}
        if totals:
            self._accounts.change(sorted(totals), partial(self._seed, totals))

    def clock(self) -> float:
        """Return the time of the current transaction."""
        return self._time

    now = clock

    def request_ticket(self, key: Key, *, is_background: bool = False) -> RequestTicket:
        """Return the ticket of a request with this key, not yet acquired."""
        return SharedTicket(self, KeyTicket(self, key, Account(), is_background=is_background))

    def latest(self, key_id: str) -> tuple[Account, float]:
        """Return an account as it was after this gateway's last transaction, and the time now."""
        return self._latest.get(key_id) or Account(), self._gateways.now()

    async def read_tokens_used(self, key_id: str) -> TokensUsed:
        """Return what a key has used. Raises Unavailable."""
        stored = await asyncio.to_thread(self._accounts.read, key_id)
        alive = Alive((), self._gateways.read_alive)
        account = await asyncio.to_thread(SharedAccount, stored, self._gateways.id, Holding(), alive)
        account.account.roll_over(self._gateways.now())
        uncounted = self._uncounted[key_id]
        return TokensUsed(account.account.day.taken + uncounted, account.account.month.taken + uncounted)

    def ask(self, ticket: KeyTicket, act: Callable[[], Any]) -> "asyncio.Future[Any]":
        """Have a method of a ticket called on its account in the next transaction; return its result, or error."""

        def on_account(account: Account) -> Any:
            ticket.account = account
            return act()

        return self._add(ticket.key.id, ticket, on_account)

    async def wait_for(
        self, ticket: KeyTicket, act: Callable[[], Any], undo: Callable[[], object] | None = None
    ) -> Any:
        """Have a method of a ticket called, and wait for its result.

        `undo` is called if nobody waits for it any more. Raises what it raises, or Unavailable if there is no result
        in time.
        """
        asked = self.ask(ticket, act)
        try:
            async with asyncio.timeout(self._patience_s):
                return await asked
        except TimeoutError as error:
            if undo is not None:
                self.ask(ticket, undo)
            raise Unavailable("The limits of this key cannot be read now. Try again soon.") from error
        except asyncio.CancelledError:
            if undo is not None:
                self.ask(ticket, undo)
            raise

    def count_later(self, key_id: str, tokens: int) -> None:
        """Count tokens of a key without limits in the next second."""
        if tokens:
            self._uncounted[key_id] += tokens

    async def count(self) -> None:
        """Count what keys without limits used. Call it once a second."""
        uncounted, self._uncounted = self._uncounted, Counter()
        for key_id, tokens in uncounted.items():
            self._count(key_id, tokens)

    def hold_again(self) -> None:
        """Store again what this gateway holds, because others considered it dead for a while."""
        for key_id in self._holdings:
            self._count(key_id, 0)

    async def run(self) -> None:
        """Apply what is asked, one transaction after the other, until cancelled."""
        while True:
            await self._is_waiting.wait()
            batch, self._waiting = self._waiting, []
            self._is_waiting.clear()
            self._is_idle.clear()
            outcome = await self._apply(batch)
            self._latest.update(outcome.accounts)
            for operation, result in zip(batch, outcome.results, strict=True):
                _deliver(operation.result, result)
            if not self._waiting:
                self._is_idle.set()

    async def flush(self) -> None:
        """Wait, for a limited time, until everything that was asked is stored. Call it while `run` still runs."""
        await self.count()
        try:
            async with asyncio.timeout(_CLOSE_S):
                while self._waiting or not self._is_idle.is_set():
                    await asyncio.sleep(0)
                    await self._is_idle.wait()
        except TimeoutError:
            _log.warning("the last use of keys is not in their limits, because the database does not respond")

    def close(self) -> None:
        """Wait for the current transaction, after `run` has ended. Blocks."""
        self._thread.shutdown()

    def _seed(self, totals: Mapping[str, tuple[int, int]], states: States) -> Mapping[str, bytes]:
        alive = Alive((), self._gateways.read_alive)
        changed: dict[str, bytes] = {}
        for key_id, stored in states.items():
            shared = SharedAccount(stored, self._gateways.id, Holding(), alive)
            account = shared.account
            account.roll_over(self._gateways.now())
            of_day, of_month = totals[key_id]
            if of_day > account.day.taken or of_month > account.month.taken:
                account.day.taken = max(of_day, account.day.taken)
                account.month.taken = max(of_month, account.month.taken)
                changed[key_id] = shared.encode(0)
        return changed

    def _count(self, key_id: str, tokens: int) -> None:
        self._add(key_id, None, lambda account: account.count(tokens, self._time, self._time))

    def _add(self, key_id: str, ticket: KeyTicket | None, act: Callable[[Account], Any]) -> "asyncio.Future[Any]":
        result: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._waiting.append(_Operation(key_id, ticket, act, result))
        self._is_waiting.set()
        self._is_idle.clear()
        return result

    async def _apply(self, batch: Sequence[_Operation]) -> _Outcome:
        """Apply a batch in one transaction, until that succeeds."""
        self._batch += 1
        key_ids = sorted({operation.key_id for operation in batch})
        holdings = {key_id: self._holdings.pop(key_id, Holding()) for key_id in key_ids}
        transaction = _Transaction(batch, self._batch, holdings)
        backoff = Backoff(_FIRST_RETRY_S, _MAX_RETRY_S)
        change = partial(self._change, transaction)
        loop = asyncio.get_running_loop()
        while True:
            try:
                await loop.run_in_executor(self._thread, self._accounts.change, key_ids, change)
                break
            except HomeportError as error:
                _log.warning("the limits of keys wait: %s", error)
            except Exception:
                _log.exception("the limits of keys wait")
            await asyncio.sleep(backoff.record_failure())
        held = transaction.outcome.holdings.items()
        self._holdings.update({key_id: each for key_id, each in held if each.running or each.tokens})
        return transaction.outcome

    def _change(self, transaction: "_Transaction", states: States) -> Mapping[str, bytes]:
        """Apply a batch to the accounts as they are stored. Runs in a thread."""
        self._time = self._gateways.now()
        alive = Alive(self._gateways.seen(), self._gateways.read_alive)
        own, holdings = self._gateways.id, transaction.holdings
        accounts = {key_id: SharedAccount(stored, own, holdings[key_id], alive) for key_id, stored in states.items()}
        return transaction.apply(accounts)


class _Transaction:
    """A batch of operations that is applied until it is stored once, however often a commit fails with it stored."""

    def __init__(self, batch: Sequence[_Operation], number: int, holdings: Mapping[str, Holding]) -> None:
        self._batch = batch
        self._number = number
        self._tickets = [*{id(each.ticket): each.ticket for each in batch if each.ticket is not None}.values()]
        self._before = [ticket.save() for ticket in self._tickets]
        self.holdings = holdings
        self.outcome = _Outcome((), {}, {}, self._before)
        self._was_tried = False

    def apply(self, accounts: Mapping[str, SharedAccount]) -> Mapping[str, bytes]:
        """Apply the batch; return the states to store, none if an earlier attempt has stored them."""
        if self._was_tried and all(each.stored_batch == self._number for each in accounts.values()):
            self._restore(self.outcome.tickets)
            return {}
        self._restore(self._before)
        self._was_tried = True
        results = [_result(operation, accounts[operation.key_id].account) for operation in self._batch]
        self.outcome = _Outcome(
            results,
            {key_id: each.account for key_id, each in accounts.items()},
            {key_id: each.holding(self._number) for key_id, each in accounts.items()},
            [ticket.save() for ticket in self._tickets],
        )
        return {key_id: each.encode(self._number) for key_id, each in accounts.items()}

    def _restore(self, saved: Sequence[Mapping[str, Any]]) -> None:
        for ticket, state in zip(self._tickets, saved, strict=True):
            ticket.restore(state)


def _result(operation: _Operation, account: Account) -> Any:
    try:
        return operation.act(account)
    except Exception as error:  # of this request alone: the others of its batch are applied
        return error


def _deliver(future: "asyncio.Future[Any]", result: Any) -> None:
    if isinstance(result, Exception) and not isinstance(result, HomeportError):
        _log.error("a request's limits cannot be counted", exc_info=result)
    if future.done():
        return
    if isinstance(result, Exception):
        future.set_exception(result)
        future.exception()  # nobody waits for what is only counted
    else:
        future.set_result(result)
