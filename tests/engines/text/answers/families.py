"""Answer formats of known model families, with their exact marks, from each family's documented format."""

from homeport.engines.text.answers.answer_format import (
    CALL_INDEX,
    GENERIC_CALLS,
    UNMARKED_JSON_CALLS,
    AnswerFormat,
    CallFormat,
    ContentFormat,
    PythonArguments,
    ReasoningFormat,
    TaggedArguments,
)

THINK = ReasoningFormat("<think>", "</think>")
"""Qwen3, DeepSeek-R1 and most others."""
BRACKET_THINK = ReasoningFormat("[THINK]", "[/THINK]")
"""Mistral's Magistral."""
HARMONY_ANALYSIS = ReasoningFormat("<|channel|>analysis<|message|>", "<|end|><|start|>assistant")
GEMMA_THOUGHT = ReasoningFormat("<|channel>thought\n", "<channel|>")

HERMES_CALLS = CallFormat(
    begin='<tool_call>\n{"name": "',
    name_end='", "arguments": ',
    end="}\n</tool_call>",
    separator="\n",
    unmarked=UNMARKED_JSON_CALLS,
)
LLAMA3_CALLS = CallFormat(
    begin='{"name": "',
    name_end='", "parameters": ',
    end="}",
    is_whole_answer=True,
    optional_begin="<|python_tag|>",
    is_single=True,
)
MISTRAL_LIST_CALLS = CallFormat(
    section_begin="[TOOL_CALLS][",
    begin='{"name": "',
    name_end='", "arguments": ',
    end="}",
    separator=", ",
    section_end="]",
)
MISTRAL_CALLS = CallFormat(begin="[TOOL_CALLS]", name_end="[ARGS]", end="")
QWEN3_CODER_CALLS = CallFormat(
    begin="<tool_call>\n<function=",
    name_end=">\n",
    end="</function>\n</tool_call>",
    arguments=TaggedArguments(begin="<parameter=", key_end=">\n", end="\n</parameter>\n"),
    separator="\n",
)
HARMONY_CALLS = CallFormat(
    begin="<|channel|>commentary to=functions.", name_end=" <|constrain|>json<|message|>", end="", is_single=True
)
PHI4_MINI_CALLS = CallFormat(begin='<|tool_call|>{"name": "', name_end='", "arguments": ', end="}<|/tool_call|>")
GRANITE_CALLS = CallFormat(
    section_begin="<|tool_call|>[",
    begin='{"name": "',
    name_end='", "arguments": ',
    end="}",
    separator=", ",
    section_end="]",
)
DEEPSEEK_CALLS = CallFormat(
    section_begin="<｜tool▁calls▁begin｜>",
    begin="<｜tool▁call▁begin｜>function<｜tool▁sep｜>",
    name_end="\n```json\n",
    end="\n```<｜tool▁call▁end｜>",
    separator="\n",
    section_end="<｜tool▁calls▁end｜>",
)
DEEPSEEK_V31_CALLS = CallFormat(
    section_begin="<｜tool▁calls▁begin｜>",
    begin="<｜tool▁call▁begin｜>",
    name_end="<｜tool▁sep｜>",
    end="<｜tool▁call▁end｜>",
    section_end="<｜tool▁calls▁end｜>",
)
GLM_CALLS = CallFormat(
    begin="<tool_call>",
    name_end="\n",
    end="</tool_call>",
    arguments=TaggedArguments(begin="<arg_key>", key_end="</arg_key>\n<arg_value>", end="</arg_value>\n"),
    separator="\n",
)
KIMI_CALLS = CallFormat(
    section_begin="<|tool_calls_section_begin|>",
    begin="<|tool_call_begin|>functions.",
    name_end=f":{CALL_INDEX}<|tool_call_argument_begin|>",
    end="<|tool_call_end|>",
    section_end="<|tool_calls_section_end|>",
)
MINIMAX_CALLS = CallFormat(
    section_begin="<minimax:tool_call>\n",
    begin='<invoke name="',
    name_end='">\n',
    end="</invoke>\n",
    arguments=TaggedArguments(begin='<parameter name="', key_end='">', end="</parameter>\n"),
    section_end="</minimax:tool_call>",
)
GEMMA4_CALLS = CallFormat(
    begin="<|tool_call>call:",
    name_end="{",
    end="}<tool_call|>",
    arguments=TaggedArguments(begin="", key_end=":", end="", separator=",", string_mark='<|"|>'),
)
FUNCTIONARY_CALLS = CallFormat(begin="", name_end="\n", end="", separator=">>>", is_whole_answer=True)
LLAMA4_CALLS = CallFormat(
    section_begin="[",
    begin="",
    name_end="(",
    end=")",
    arguments=PythonArguments(),
    separator=", ",
    section_end="]",
    is_whole_answer=True,
)

FAMILIES = {
    format.family: format
    for format in (
        AnswerFormat("generic", calls=GENERIC_CALLS),
        AnswerFormat("hermes", calls=HERMES_CALLS),
        AnswerFormat("qwen3", reasoning=THINK, calls=HERMES_CALLS),
        AnswerFormat("llama3", calls=LLAMA3_CALLS),
        AnswerFormat("llama4", calls=LLAMA4_CALLS),
        AnswerFormat("mistral", calls=MISTRAL_CALLS),
        AnswerFormat("mistral-list", calls=MISTRAL_LIST_CALLS),
        AnswerFormat("magistral", reasoning=BRACKET_THINK, calls=MISTRAL_CALLS),
        AnswerFormat("qwen3-coder", calls=QWEN3_CODER_CALLS),
        AnswerFormat(
            "harmony",
            reasoning=HARMONY_ANALYSIS,
            contents=(
                ContentFormat("<|channel|>final<|message|>"),
                ContentFormat("<|channel|>commentary<|message|>", "<|end|><|start|>assistant"),
            ),
            calls=HARMONY_CALLS,
        ),
        AnswerFormat("phi-4-mini", calls=PHI4_MINI_CALLS),
        AnswerFormat("granite", calls=GRANITE_CALLS),
        AnswerFormat("deepseek-r1", reasoning=THINK, calls=DEEPSEEK_CALLS),
        AnswerFormat("deepseek-v3", calls=DEEPSEEK_CALLS),
        AnswerFormat("deepseek-v3.1", reasoning=THINK, calls=DEEPSEEK_V31_CALLS),
        AnswerFormat("glm-4.5", reasoning=THINK, calls=GLM_CALLS),
        AnswerFormat("kimi-k2", calls=KIMI_CALLS),
        AnswerFormat("minimax-m2", reasoning=THINK, calls=MINIMAX_CALLS),
        AnswerFormat("gemma4", reasoning=GEMMA_THOUGHT, calls=GEMMA4_CALLS),
        AnswerFormat("functionary", contents=(ContentFormat("all\n", ">>>"),), calls=FUNCTIONARY_CALLS),
    )
}
"""The formats by the family's name."""
