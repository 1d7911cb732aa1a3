/**
 * Gathers the events of a streamed answer into a message, and measures it. Knows no conversation.
 */

/** Collects one answer. */
export class AnswerCollector {
  #began = performance.now();
  #message = {role: "assistant", content: ""};
  /** @type {any[]} */
  #calls = [];
  /** @type {any[] | null} */
  #logprobs = null;
  #reasoningBegan = null;
  #measured = {
    firstS: null, totalS: 0, reasoningS: null, tokens: null, promptTokens: null, cachedTokens: null, finishReason: null,
  };

  /** Whether the server has said that the answer is complete. */
  get isComplete() {
    return this.#measured.finishReason !== null || this.#measured.tokens !== null;
  }

  /** @param {any} event a chunk of `/v1/chat/completions` */
  add({choices, usage}) {
    if (usage) this.#addUsage(usage);
    const choice = choices?.[0];
    if (!choice) return;
    const {delta = {}, logprobs, finish_reason: finish} = choice;
    if (delta.content || delta.reasoning_content || delta.tool_calls || delta.refusal || delta.audio) {
      this.#measured.firstS ??= this.#elapsedS();
      this.#addDelta(delta);
    }
    if (logprobs?.content) (this.#logprobs ??= []).push(...logprobs.content);
    if (finish) this.#measured.finishReason = finish;
  }

  /** Return the fields of the answer's node, as far as they have arrived. */
  snapshot() {
    const calls = this.#calls.filter(Boolean).map((call) => ({...call, [call.type]: {...call[call.type]}}));
    const message = {...this.#message, ...(calls.length && {tool_calls: calls})};
    if (calls.length && !message.content) message.content = null;
    return {
      message,
      measured: {...this.#measured, totalS: this.#elapsedS()},
      ...(this.#logprobs && {logprobs: {content: this.#logprobs}}),
    };
  }

  #elapsedS() {
    return (performance.now() - this.#began) / 1000;
  }

  #addDelta({content, reasoning_content: reasoning, tool_calls: calls, refusal, audio}) {
    const message = this.#message;
    if (reasoning) {
      this.#reasoningBegan ??= this.#elapsedS();
      message.reasoning_content = (message.reasoning_content ?? "") + reasoning;
      this.#measured.reasoningS = this.#elapsedS() - this.#reasoningBegan;
    }
    if (content) message.content += content;
    if (refusal) message.refusal = (message.refusal ?? "") + refusal;
    for (const call of calls ?? []) this.#addCall(call);
    if (audio) message.audio = appended(message.audio ?? {}, audio);
  }

  #addCall({index = 0, id, type = "function", function: called = {}, custom}) {
    const call = (this.#calls[index] ??= custom
      ? {id: "", type: "custom", custom: {name: "", input: ""}}
      : {id: "", type, function: {name: "", arguments: ""}});
    if (id) call.id = id;
    for (const [name, text] of Object.entries(custom ?? called)) call[call.type][name] += text ?? "";
  }

  #addUsage({prompt_tokens: promptTokens, completion_tokens: tokens, prompt_tokens_details: details}) {
    this.#measured.tokens = tokens ?? null;
    this.#measured.promptTokens = promptTokens ?? null;
    this.#measured.cachedTokens = details?.cached_tokens ?? null;
  }
}

/** Audio arrives as base64 and a transcript, both in pieces; its other fields arrive whole. */
function appended(before, {data, transcript, ...rest}) {
  return {
    ...before,
    ...rest,
    ...(data && {data: (before.data ?? "") + data}),
    ...(transcript && {transcript: (before.transcript ?? "") + transcript}),
  };
}
