/**
 * A transcript as a file: plain text, JSON, or subtitles as SubRip and WebVTT.
 */

/** @typedef {import("./transcription.js").Segment} Segment */

/** The formats by the ending of their files. */
export const FORMATS = {
  txt: {type: "text/plain", write: toText},
  srt: {type: "application/x-subrip", write: toSrt},
  vtt: {type: "text/vtt", write: toVtt},
  json: {type: "application/json", write: toJson},
};

/** @param {Segment[]} segments */
export function toText(segments) {
  return segments.map(({text}) => `${text.trim()}\n`).join("");
}

/** SubRip has no escapes and reads an arrow as times. @param {Segment[]} segments */
function toSrt(segments) {
  const cue = ({start, end, text}, i) =>
    `${i + 1}\n${clock(start, ",")} --> ${clock(end, ",")}\n${oneBlock(text).replaceAll("-->", "->")}\n\n`;
  return segments.map(cue).join("");
}

/** WebVTT reads these as markup. @param {Segment[]} segments */
function toVtt(segments) {
  const escaped = (text) => text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
  const cue = ({start, end, text}) => `${clock(start, ".")} --> ${clock(end, ".")}\n${escaped(oneBlock(text))}\n\n`;
  return `WEBVTT\n\n${segments.map(cue).join("")}`;
}

/** @param {Segment[]} segments */
function toJson(segments) {
  const all = segments.map(({start, end, text}) => ({start, end, text: text.trim()}));
  return `${JSON.stringify({text: all.map(({text}) => text).join(" "), segments: all}, null, 2)}\n`;
}

/** An empty line would end the subtitle. */
function oneBlock(text) {
  return text.trim().replace(/\n\s*\n/g, "\n");
}

function clock(seconds, point) {
  const ms = Math.round(seconds * 1000);
  const pad = (value, digits = 2) => String(Math.floor(value)).padStart(digits, "0");
  return `${pad(ms / 3_600_000)}:${pad((ms / 60_000) % 60)}:${pad((ms / 1000) % 60)}${point}${pad(ms % 1000, 3)}`;
}
