"""Scores cases with lm-evaluation-harness's `local-completions` client. Reads JSON from standard input:

`{"url", "model", "cases": [[context, continuation], …]}`; prints `[[logprob, is_greedy], …]`. With
`tokenizer_backend=remote` the harness asks the server for ids, and for its end of text.
"""

import importlib
import json
import sys
from typing import Any

given: Any = json.load(sys.stdin)
client: Any = importlib.import_module("lm_eval.models.openai_completions")
instance: Any = importlib.import_module("lm_eval.api.instance")

model = client.LocalCompletionsAPI(
    base_url=given["url"], model=given["model"], tokenizer_backend="remote", batch_size=1
)
assert model.tokenizer.decode(model.tok_encode(model.eos_string)) == model.eos_string
requests = [
    instance.Instance(request_type="loglikelihood", doc={}, arguments=tuple(case), idx=index)
    for index, case in enumerate(given["cases"])
]
sys.stdout.write("\n" + json.dumps(model.loglikelihood(requests, disable_tqdm=True)))
