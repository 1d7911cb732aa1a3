/**
 * What becomes of attachments in a request: the content of a message, and fields that follow from it.
 */

/**
 * Return the fields that a request needs because of what its messages have. A model that does not hear is sent the
 * texts of recordings.
 *
 * @param {any[]} messages
 * @param {{isTranscribed: boolean}} abilities
 */
export function fieldsForContent(messages, {isTranscribed}) {
  const isSound = ({type}) => type === "input_audio";
  const hasSound = messages.some(({content}) => Array.isArray(content) && content.some(isSound));
  return hasSound && isTranscribed ? {audio_input: "transcribe"} : {};
}

/**
 * Return the content of a message: a text, or parts with the attachments before it.
 *
 * @param {string} text
 * @param {import("./attachment_files.js").Attachment[]} attachments
 */
export function toContent(text, attachments) {
  if (!attachments.length) return text;
  return [...attachments.map(({part}) => part), ...(text ? [{type: "text", text}] : [])];
}
