"""Chat templates in the style of well-known families, each a short one for one feature of such templates."""

_TURN = "<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n"

NO_SYSTEM = """
{{- bos_token }}
{%- if messages[0]['role'] == 'system' %}{{ raise_exception('No system role here') }}{% endif %}
{%- for m in messages %}
    {%- if (m['role'] == 'user') != (loop.index0 % 2 == 0) %}
        {{- raise_exception('Roles must take turns: user, assistant, user, ...') }}
    {%- endif %}
    {%- set role = 'model' if m['role'] == 'assistant' else m['role'] %}
    {{- '<|im_start|>' + role + '\n' + m['content'] | trim + '<|im_end|>\n' }}
{%- endfor %}
{%- if add_generation_prompt %}{{ '<|im_start|>model\n' }}{% endif %}
"""
"""Like Gemma's: no system message, strictly alternating roles, contents trimmed."""

STRICT_TURNS = """
{%- if messages[0].role == 'system' %}
    {%- set system = messages[0].content %}{%- set rest = messages[1:] %}
{%- else %}
    {%- set rest = messages %}
{%- endif %}
{%- if not tools is defined %}{%- set tools = none %}{%- endif %}
{%- set ns = namespace(index=0) %}
{%- for m in rest %}
    {%- if (m.role == 'user') != (ns.index % 2 == 0) %}{{ raise_exception('Roles must alternate') }}{% endif %}
    {%- set ns.index = ns.index + 1 %}
{%- endfor %}
{%- for m in rest %}
    {%- if m.role == 'user' %}
        {%- if tools is not none %}{{ '[TOOLS]' + tools | tojson }}{% endif %}
        {{- '<|im_start|>' }}
        {%- if loop.last and system is defined %}{{ system + '\n\n' }}{% endif %}
        {{- m.content + '<|im_end|>' }}
    {%- elif m.role == 'assistant' %}
        {{- m.content.strip() + eos_token }}
    {%- else %}
        {{- raise_exception('Only user and assistant roles') }}
    {%- endif %}
{%- endfor %}
"""
"""Like Mistral's: only the first message may be a system message, and is written last; roles alternate; tools optional.
"""

SILENT_ABOUT_SYSTEM = "{% for m in messages %}{% if m.role != 'system' %}" + _TURN + "{% endif %}{% endfor %}"
"""A template that silently omits system messages."""

GENERATION = (
    "{% for m in messages %}{% if m.role == 'assistant' %}<|im_start|>assistant\n{% generation %}{{ m.content }}"
    "<|im_end|>\n{% endgeneration %}{% else %}" + _TURN + "{% endif %}{% endfor %}"
)
"""Like SmolLM3's: the assistant's text is marked for training."""

PARTS = """
{%- for m in messages %}
    {{- '<|im_start|>' + m['role'] + '\n' }}
    {%- for part in m['content'] %}{% if part['type'] == 'text' %}{{ part['text'] }}{% endif %}{% endfor %}
    {{- '<|im_end|>\n' }}
{%- endfor %}
"""
"""Like those of vision models: a content is a list of parts, never a string."""

DEVELOPER_IN_PASSING = (
    "{# The developer role is not for this model. #}{% for m in messages %}{% if m.role == 'developer' %}"
    "{{ raise_exception('Unexpected role') }}{% endif %}" + _TURN + "{% endfor %}"
)
"""A template that contains the word `developer` but refuses the role."""

DEVELOPER_AS_A_WORD = "{# as every developer knows #}{% for m in messages %}" + _TURN + "{% endfor %}"
"""A template that contains the word `developer` and writes the name of any role."""

DEVELOPER = (
    "{% for m in messages %}{% if m.role == 'developer' %}<|im_start|>rules\n{{ m.content }}<|im_end|>\n"
    "{% else %}" + _TURN + "{% endif %}{% endfor %}"
)
"""Like gpt-oss's: the role is handled specially."""

THINKING = """
{%- for m in messages %}
    {%- set content = m.content %}
    {%- if m.role == 'assistant' and '</think>' in content %}
        {%- set content = content.split('</think>')[-1].lstrip('\n') %}
    {%- endif %}
    {{- '<|im_start|>' + m.role + '\n' + content + '<|im_end|>\n' }}
{%- endfor %}
"""
"""Like Qwen3's and R1's: earlier thoughts are removed."""

ITEMS = """
{%- for m in messages %}
    {{- '<|im_start|>' }}
    {%- for key, value in m.items() %}{{ key }}={{ value | tojson(ensure_ascii=False) }} {% endfor %}
    {{- '<|im_end|>\n' }}
{%- endfor %}
"""
"""A template that writes every message as JSON."""

_TOOL_TURNS = """
{%- if tools %}<|im_start|>system
{{ tools | tojson }}<|im_end|>
{% endif %}
{%- for m in messages %}
    {{- '<|im_start|>' + m.role + '\n' }}
    {%- if m.tool_calls %}
        CALLS
    {%- else %}
        {{- m.content }}
    {%- endif %}
    {{- '<|im_end|>\n' }}
{%- endfor %}
{%- if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}
"""

JSON_ANSWERS = _TOOL_TURNS.replace(
    "CALLS",
    """{%- if m.tool_calls | length > 1 %}{{ raise_exception('one call at a time') }}{% endif %}
        {%- set call = m.tool_calls[0].function %}
        {{- '{"name": "' + call.name + '", "parameters": ' + call.arguments | tojson + '}' }}""",
)
"""Like Llama 3's: a call is JSON without a mark, and a turn has one of them."""

PYTHONIC = _TOOL_TURNS.replace(
    "CALLS",
    """{{- '[' }}
        {%- for call in m.tool_calls %}
            {{- call.function.name + '(' }}
            {%- for key, value in call.function.arguments.items() %}
                {{- key + '=' + value | tojson }}{% if not loop.last %}{{ ', ' }}{% endif %}
            {%- endfor %}
            {{- ')' }}{% if not loop.last %}{{ ', ' }}{% endif %}
        {%- endfor %}
        {{- ']' }}""",
)
"""Like Llama 4's: calls are a list of Python calls."""

SENTENCES = _TOOL_TURNS.replace(
    "CALLS",
    """{%- for call in m.tool_calls %}
            {%- for key, value in call.function.arguments.items() %}
                {{- key + ' of ' + call.function.name + ' is ' + value | string + '.' }}
            {%- endfor %}
        {%- endfor %}""",
)
"""A template that writes calls as sentences, and a call without arguments not at all."""

MARKED = _TOOL_TURNS.replace(
    "CALLS",
    """{%- for call in m.tool_calls %}
            {{- '<|tool_call|>' + call.function | tojson + '<|/tool_call|>' }}
        {%- endfor %}""",
)
"""Like Phi-4's: each call is JSON between control tokens."""
