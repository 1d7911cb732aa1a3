/**
 * Files as attachments of a message: pictures, recordings and texts, with what each becomes in the request.
 */
import {formatBytes} from "../../../format.js";
import {t} from "../../../i18n.js";
import {decodeSound, SPEECH_RATE} from "../../../media/decoding.js";
import {encodeWav} from "../../../media/wav.js";
import {readPicture, toDataUrl} from "./picture_file.js";
import {decodeText, toTextPart} from "./text_file.js";

const MAX_PICTURE_BYTES = 40_000_000;
const MAX_SOUND_BYTES = 10_000_000;
const MAX_DECODED_BYTES = 100_000_000;
const MAX_TEXT_BYTES = 256_000;
const MAX_ATTACHMENTS = 10;
const SOUNDS = {wav: /^audio\/(x-|vnd\.)?wave?$/, mp3: /^audio\/(mpeg|mp3)$/};

/**
 * @typedef {object} Attachment
 * @property {number} id
 * @property {"picture" | "sound" | "text"} kind
 * @property {string} name
 * @property {number} size in bytes
 * @property {object} part OpenAI's part of a message
 */

/** @typedef {{sees: boolean, hears: boolean}} Abilities what the model takes besides text */

/** Why a file cannot be attached, as a sentence. */
export class AttachmentError extends Error {}

let count = 0;

/**
 * @param {File} file
 * @param {Abilities} abilities
 * @returns {Promise<Attachment>}
 * @throws {AttachmentError}
 */
export async function readAttachment(file, abilities) {
  const name = file.name || t("chat.pasted");
  const [kind, part] = await readPart(file, name, abilities);
  return {id: ++count, kind, name, size: file.size, part};
}

async function readPart(file, name, {sees, hears}) {
  const format = soundFormat(file);
  if (file.type.startsWith("image/")) {
    if (!sees) throw new AttachmentError(t("chat.model_blind", {name}));
    return ["picture", await picturePart(file, name)];
  }
  if (format || /^(audio|video)\//.test(file.type)) {
    if (!hears) throw new AttachmentError(t("chat.model_deaf", {name}));
    return ["sound", await soundPart(file, name, format)];
  }
  return ["text", await textPart(file, name)];
}

async function picturePart(file, name) {
  checkSize(file, name, MAX_PICTURE_BYTES);
  try {
    return {type: "image_url", image_url: {url: await readPicture(file)}};
  } catch {
    throw new AttachmentError(t("chat.picture_unreadable", {name}));
  }
}

/** WAV and MP3 are sent as they are; what is of another format, or too large, as WAV with all that models hear. */
async function soundPart(file, name, format) {
  const isSent = format && file.size <= MAX_SOUND_BYTES;
  const sent = isSent ? file : await toWav(file, name);
  checkSize(sent, name, MAX_SOUND_BYTES);
  const url = await toDataUrl(sent);
  return {type: "input_audio", input_audio: {data: url.slice(url.indexOf(",") + 1), format: isSent ? format : "wav"}};
}

async function toWav(file, name) {
  checkSize(file, name, MAX_DECODED_BYTES);
  try {
    return encodeWav(await decodeSound(file), SPEECH_RATE);
  } catch {
    throw new AttachmentError(t("chat.sound_format", {name}));
  }
}

async function textPart(file, name) {
  checkSize(file, name, MAX_TEXT_BYTES);
  const text = decodeText(new Uint8Array(await file.arrayBuffer()));
  if (text === null) throw new AttachmentError(t("chat.file_unknown", {name}));
  if (!text.trim()) throw new AttachmentError(t("chat.file_empty", {name}));
  return toTextPart(name, text);
}

function soundFormat({type, name}) {
  const ending = /\.(wav|mp3)$/i.exec(name)?.[1].toLowerCase();
  return Object.keys(SOUNDS).find((format) => SOUNDS[format].test(type)) ?? (type ? undefined : ending);
}

function checkSize({size}, name, max) {
  if (size > max) {
    throw new AttachmentError(t("chat.file_large", {name, size: formatBytes(size), max: formatBytes(max)}));
  }
}

/**
 * Read files one after the other, those beyond the limit of a message not at all.
 *
 * @param {Iterable<File>} files
 * @param {Abilities} abilities
 * @param {number} before how many the message has already
 * @returns {Promise<{attachments: Attachment[], problems: string[]}>}
 */
export async function readAttachments(files, abilities, before = 0) {
  const [attachments, problems] = [[], []];
  for (const file of files) {
    if (before + attachments.length >= MAX_ATTACHMENTS) {
      problems.push(t("chat.files_too_many", {max: MAX_ATTACHMENTS}));
      break;
    }
    try {
      attachments.push(await readAttachment(file, abilities));
    } catch (error) {
      problems.push(error instanceof AttachmentError ? error.message : t("chat.file_unreadable", {name: file.name}));
    }
  }
  return {attachments, problems};
}
