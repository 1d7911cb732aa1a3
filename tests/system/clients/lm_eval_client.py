"""Scores cases with lm-evaluation-harness's `local-completions` client. Reads JSON from standard input:

`{"url", "model", "ids": {text: token ids}, "cases": [[context, continuation], …]}`; prints `[[logprob, is_greedy], …]`.
The harness usually loads a tokenizer from a hub; here the ids of every text it asks for are handed in.
"""

import importlib
import json
import sys
from types import SimpleNamespace
from typing import Any

given: Any = json.load(sys.stdin)
client: Any = importlib.import_module("lm_eval.models.openai_completions")
instance: Any = importlib.import_module("lm_eval.api.instance")

model = client.LocalCompletionsAPI(base_url=given["url"], model=given["model"], tokenizer_backend="none", batch_size=1)
model.tokenizer_backend, model.tokenized_requests = "remote", True
model.tokenizer = SimpleNamespace(
    encode=lambda text: given["ids"][text], eos_token_id=0, eos_token="", bos_token_id=None
)
requests = [
    instance.Instance(request_type="loglikelihood", doc={}, arguments=tuple(case), idx=index)
    for index, case in enumerate(given["cases"])
]
sys.stdout.write("\n" + json.dumps(model.loglikelihood(requests, disable_tqdm=True)))
