"""The limits within which llguidance compiles a grammar and follows an answer in it."""

from llguidance import LLParserLimits


def parser_limits() -> LLParserLimits:
    """Return the limits: a step computes for at most about 20 ms, a lexer's states take at most about 100 MB.

    Large patterns are not computed for the whole vocabulary in advance, which takes longer than it saves for most
    answers.
    """
    return LLParserLimits(max_lexer_states=50_000, precompute_large_lexemes=False, verbose_errors=False)
