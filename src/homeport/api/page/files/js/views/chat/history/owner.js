/**
 * Whose conversations these are, and whether this browser keeps them: without asking only those of this machine's user.
 */
import {lastingStorage} from "../../../storage.js";

const OWN = "own";
const [YES, NO] = ["yes", "no"];

/**
 * Return whose conversations are shown; null if nobody is signed in.
 *
 * A server without keys, and a session that `homeport open` began, are this machine's user. A key may be shared.
 *
 * @param {import("../../../session.js").Access | null} access
 * @returns {string | null}
 */
export function ownerOf(access) {
  if (!access?.caller) return null;
  return access.keyless || access.isOwn ? OWN : `${access.caller.project} ${access.caller.key}`;
}

/** @param {string} owner @returns {boolean} */
export function readsKeeping(owner) {
  return (lastingStorage.read(nameOf(owner)) ?? (owner === OWN ? YES : NO)) === YES;
}

/** @param {string} owner @param {boolean} isKept */
export function writeKeeping(owner, isKept) {
  lastingStorage.write(nameOf(owner), isKept ? YES : NO);
}

function nameOf(owner) {
  return `chat-keep.${owner}`;
}
