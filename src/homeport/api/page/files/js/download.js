/**
 * Saves what the page made, or what the server sent, as a file of the browser's.
 */

/**
 * @param {string} name
 * @param {Blob | string} content
 * @param {string} [type] of a text
 */
export function saveFile(name, content, type = "text/plain") {
  const blob = content instanceof Blob ? content : new Blob([content], {type: `${type};charset=utf-8`});
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}
