/**
 * Finds the words of a query in a text: whole words of three letters or more, and pairs of Chinese, Japanese or Korean
 * characters.
 */

const WORDS = /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Hangul}]+|[\p{L}\p{N}]+/gu;
const EAST_ASIAN = /^[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Hangul}]/u;
const SHORTEST = 3;
const WINDOW = 300; // characters that a shortened passage shows on a phone, too
const LEAD = 60; // characters that are shown before the first word
const FREQUENT = new Set(
  "and are can did does for from has have how not that the this was were what when where which who with you your"
    .split(" "),
);

/**
 * Cut a text into pieces with and without words of a query.
 *
 * @param {string} text
 * @param {string} query
 * @returns {{text: string, isMarked: boolean}[]}
 */
export function markWords(text, query) {
  const wanted = new Set([...query.matchAll(WORDS)].flatMap(([word]) => termsOf(word)).map(({term}) => term));
  const marked = new Array(text.length).fill(false);
  for (const {0: word, index} of text.matchAll(WORDS)) {
    for (const {term, at, size} of termsOf(word)) {
      if (wanted.has(term)) marked.fill(true, index + at, index + at + size);
    }
  }
  const pieces = [];
  for (let from = 0, to = 0; from < text.length; from = to) {
    while (to < text.length && marked[to] === marked[from]) to += 1;
    pieces.push({text: text.slice(from, to), isMarked: marked[from]});
  }
  return pieces;
}

/**
 * Return where to begin to read: shortly before the part that has the most words of the query.
 *
 * @param {{text: string, isMarked: boolean}[]} pieces
 * @returns {number} an offset in the text
 */
export function bestStart(pieces) {
  const marks = [];
  let at = 0;
  for (const {text, isMarked} of pieces) {
    if (isMarked) marks.push({at, size: text.length});
    at += text.length;
  }
  const weightFrom = (from) => marks.filter((mark) => mark.at >= from && mark.at < from + WINDOW)
    .reduce((sum, {size}) => sum + size, 0);
  const best = marks.reduce((found, mark) => (weightFrom(mark.at) > weightFrom(found.at) ? mark : found), {at: 0});
  return best.at > WINDOW / 2 ? best.at - LEAD : 0;
}

/** Return what is compared of a word: the word without a plural's ending, or its pairs of characters. */
function termsOf(word) {
  if (EAST_ASIAN.test(word)) {
    return Array.from({length: word.length - 1}, (_, at) => ({term: word.slice(at, at + 2), at, size: 2}));
  }
  const term = word.toLowerCase();
  if (term.length < SHORTEST || FREQUENT.has(term)) return [];
  return [{term: term.replace(/s$/, ""), at: 0, size: word.length}];
}
