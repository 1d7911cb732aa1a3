"""When to wait for another candidate's prefix rather than compute it again. Knows nothing of turns or room."""

from collections.abc import Sequence

from homeport.engines.text.kv_cache import KVCache
from homeport.engines.text.prefix_tree import common_length
from homeport.engines.text.scheduled_request import Candidate

MIN_SHARED_TOKENS = 16  # tokens: a shorter shared prefix is computed again rather than waited for


def should_wait_for_prefix(candidate: Candidate, running: Sequence[Candidate], cache: KVCache) -> bool:
    """Whether a running candidate is about to compute a longer beginning of this prompt than is kept now.

    It can be trusted to: it holds a sequence and has credit. Once it loses either, the question is asked anew.
    """
    leader = candidate.leader
    if leader is not None and (leader.is_scoring or not leader.started):
        return True  # its answer begins with the scored prompt; and the leader alone says what was found cached
    awaited = candidate.awaited
    if awaited is not None and awaited.will_reach(candidate.awaits_length):
        return True
    candidate.awaited = None
    if not cache.can_fork:
        return False
    match = cache.match(candidate.group.namespace, candidate.tokens, candidate.reusable)
    known = match.length if match else 0
    for other in running:
        if other.group.namespace != candidate.group.namespace or not other.will_reach(other.prompt_length):
            continue
        # A twin takes over the whole prompt with its last logits; others recompute at least one token.
        takes_all = candidate.is_twin(other) and not candidate.is_scoring
        limit = candidate.prompt_length if takes_all else min(candidate.reusable, other.prompt_length)
        shared = common_length(candidate.tokens, other.tokens, limit)
        if other.will_reach(shared) and (takes_all or shared - known >= MIN_SHARED_TOKENS):
            candidate.awaited, candidate.awaits_length = other, shared
            return True
    return False
