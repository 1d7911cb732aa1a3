"""The small model with a chat template that has a reasoning switch: its reasoning makes no sense, but can be tested."""

import subprocess
import sys
from pathlib import Path

NAME = "smollm2-135m-reasoning"
_BEGIN, _END = b"{% for message in messages %}", b"{{ '<|im_start|>assistant\n' }}{% endif %}"
_TEMPLATE = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{% if m.reasoning_content %}<think>\n{{ m.reasoning_content }}\n"
    "</think>\n\n{% endif %}{{ m.content }}<|im_end|>\n{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant"
    "\n<think>\n{% if enable_thinking is false %}\n</think>\n\n{% endif %}{% endif %}"
)


def install_reasoning_model(home: Path, smollm2: Path) -> None:
    """Install a copy of the small model whose template opens a thought, or an empty one without reasoning."""
    data = smollm2.read_bytes()
    begin = data.index(_BEGIN)
    end = data.index(_END, begin) + len(_END)
    template = _TEMPLATE.removesuffix("{% endif %}").encode() + b"{% endif"
    # Padded to the old length, so that nothing else of the file changes.
    padding = b" " * (end - begin - len(template) - len(b"%}"))
    file = home / f"{NAME}.gguf"
    home.mkdir(parents=True, exist_ok=True)
    file.write_bytes(data[:begin] + template + padding + b"%}" + data[end:])
    command = [sys.executable, "-m", "homeport", "pull", f"file:{file}", "--home", str(home)]
    subprocess.run(command, check=True, timeout=120)
    file.unlink()
