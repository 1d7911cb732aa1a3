/**
 * The tokens of an answer with their probabilities, as values. Knows nothing of how they are shown.
 */

/**
 * @typedef {object} Token
 * @property {string} text
 * @property {number} probability from 0 to 1
 * @property {number} level 0 (certain) to 4 (unlikely)
 * @property {{text: string, probability: number, isChosen: boolean}[]} alternatives the most likely first
 */

const LEVELS = [0.9, 0.7, 0.4, 0.15];

/**
 * @param {{token: string, bytes?: number[] | null, logprob: number, top_logprobs?: any[]}[]} entries `logprobs.content`
 * @returns {Token[]}
 */
export function readTokens(entries) {
  const texts = decodeTogether(entries);
  return entries.map((entry, i) => {
    const probability = Math.exp(entry.logprob);
    return {text: texts[i], probability, level: levelOf(probability), alternatives: alternativesOf(entry)};
  });
}

/** Return the mean probability of tokens, by which a whole answer is described: the geometric one. */
export function meanProbability(entries) {
  return Math.exp(entries.reduce((sum, {logprob}) => sum + logprob, 0) / Math.max(1, entries.length));
}

/**
 * Return a text with spaces and line ends that can be seen.
 *
 * @param {string} text
 */
export function showBlanks(text) {
  return text.replace(/ /g, "·").replace(/\n/g, "↵").replace(/\t/g, "→");
}

function levelOf(probability) {
  const level = LEVELS.findIndex((limit) => probability >= limit);
  return level === -1 ? LEVELS.length : level;
}

function alternativesOf({token, logprob, top_logprobs: top = []}) {
  const all = top.map((each) => ({
    text: each.token, probability: Math.exp(each.logprob), isChosen: each.token === token && each.logprob === logprob,
  }));
  if (!all.some(({isChosen}) => isChosen)) all.push({text: token, probability: Math.exp(logprob), isChosen: true});
  return all.sort((a, b) => b.probability - a.probability);
}

/** Decode the bytes of all tokens: a character that several tokens share belongs to the last of them. */
function decodeTogether(entries) {
  const decoder = new TextDecoder();
  const texts = entries.map(({bytes, token}) =>
    (Array.isArray(bytes) ? decoder.decode(Uint8Array.from(bytes), {stream: true}) : token));
  const rest = decoder.decode();
  if (rest && texts.length) texts[texts.length - 1] += rest;
  return texts;
}
