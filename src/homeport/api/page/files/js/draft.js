/**
 * A question that another view proposes for the chat. The chat's field takes it once.
 */

let draft = "";

/** @param {string} text */
export function setDraft(text) {
  draft = text;
}

/** @returns {string} the proposed question, which is then forgotten; empty if there is none */
export function takeDraft() {
  const text = draft;
  draft = "";
  return text;
}
