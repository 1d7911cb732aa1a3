"""Compiles grammars for one model's vocabulary, within limits, each once: implements `constraint.GrammarCompiler`.

A grammar that might take long is first tried in a child process (`probe`), which can be killed; compiling it here then
takes about as long as there. Other threads run meanwhile: llguidance releases the GIL. Knows nothing of what grammars
are for.
"""

import re
from collections.abc import Sequence

from llguidance import LLMatcher

from homeport.domain.errors import InvalidRequest, excerpt
from homeport.engines.text.constraint import ConstraintFailed
from homeport.engines.text.executor import NativeTokenizer
from homeport.engines.text.grammar import json_schema, schema_errors
from homeport.engines.text.grammar.cache import CompiledCache
from homeport.engines.text.grammar.limits import parser_limits
from homeport.engines.text.grammar.matcher import LlguidanceGrammar
from homeport.engines.text.grammar.probe import GrammarProbe
from homeport.engines.text.grammar.schema_walk import EmbeddedSchema, find_wide
from homeport.engines.text.grammar.tokenizer import GrammarTokenizer
from homeport.engines.text.isolated_process import ProcessStopped

MAX_SOURCE_BYTES = 2 << 20
"""Several schemas may be part of one grammar."""
_MAX_WIDE = 8
_WIDE_CHARACTERS = 1_000  # a schema of fewer has no subschema with very many alternatives
_TOO_COMPLEX = "it takes too long to compile"
_SMALL = 16 << 10  # characters; measured: such grammars without what `_RISKY` finds compile within 50 ms
# Products of alternatives, remainders, and intersections and complements of patterns.
_RISKY = re.compile(r'multipleOf|patternProperties|allOf|oneOf|&|~|\{\d{4,}|"m(in|ax)imum"')


class LlguidanceCompiler:
    """Compiles for the vocabulary of `tokenizer`. Any thread may use it; nothing is built before the first grammar."""

    def __init__(self, tokenizer: NativeTokenizer) -> None:
        self._tokenizer = GrammarTokenizer(tokenizer)
        self._probe = GrammarProbe(self._tokenizer.size)
        self._cache = CompiledCache()

    def compile(self, source: str, *, param: str) -> LlguidanceGrammar:
        """Compile a grammar in llguidance's Lark syntax. Raises InvalidRequest (`param`) if it is invalid or too big.

        Returns within seconds even for a grammar that would take forever. Equal sources are compiled once.
        """
        if len(source) > MAX_SOURCE_BYTES:
            raise InvalidRequest(f"The grammar is larger than {MAX_SOURCE_BYTES} bytes.", param=param)
        compiled = self._cache.get(source, self._compile)
        if isinstance(compiled, str):
            raise InvalidRequest(f"The grammar is not valid: {compiled}.", param=param, code="invalid_grammar")
        return compiled

    def json_schema(self, schema: str, *, param: str, compact: bool) -> str:
        """Return the Lark term for a schema, see `json_schema.to_lark`, if it compiles.

        Raises InvalidRequest that names the path and the keyword at fault otherwise.
        """
        term = json_schema.to_lark(schema, param=param, compact=compact)
        self._check_wide(schema, param)
        compiled = self._cache.get(f"start: {term}", self._compile)
        if isinstance(compiled, str):
            schema_errors.explain(schema, compiled, param=param, find_failing=self._find_failing)
        return term

    def _check_wide(self, schema: str, param: str) -> None:
        """Refuse subschemas whose first step would be too complex, which is only found when an answer reaches them."""
        if len(schema) < _WIDE_CHARACTERS:
            return
        root = json_schema.read(schema, param)
        if not (wide := find_wide(root)):
            return
        embedded = EmbeddedSchema(root)
        for path, keyword in wide[:_MAX_WIDE]:
            compiled = self._cache.get(f"start: %json {embedded.alone(path)}", self._compile)
            if isinstance(compiled, str):
                json_schema.refuse(param, path, keyword, f"is not supported ({compiled})")

    def close(self) -> None:
        """End the child processes."""
        self._probe.close()

    def _compile(self, source: str) -> LlguidanceGrammar | str:
        """Return the compiled grammar, or the reason why it is refused."""
        if not _is_cheap(source) and not self._probe.ends_in_time(source):
            return _TOO_COMPLEX
        matcher = LLMatcher(self._tokenizer.get(), source, log_level=0, limits=parser_limits())
        if matcher.is_error():
            return excerpt(matcher.get_error().splitlines()[0])
        grammar = LlguidanceGrammar(matcher, self._tokenizer.size, self._tokenizer.end_tokens)
        try:
            return grammar if grammar.start().can_start() else "no text can match it"
        except ConstraintFailed:
            return "its first step is too complex"

    def _find_failing(self, sources: Sequence[str]) -> int | None:
        try:
            return self._probe.find_failing(sources)
        except ProcessStopped:
            return None


def _is_cheap(source: str) -> bool:
    return len(source) <= _SMALL and _RISKY.search(source) is None
