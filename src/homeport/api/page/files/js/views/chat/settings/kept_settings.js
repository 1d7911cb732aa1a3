/**
 * Keeps the chat's settings: in the browser where conversations are kept, else as long as the tab. Each user of a
 * browser has settings of their own. They may hold as much as a conversation: a system prompt, tools.
 */
import {session} from "../../../session.js";
import {createSignal} from "../../../signal.js";
import {lastingStorage, tabStorage} from "../../../storage.js";
import {isKeeping} from "../history/library.js";
import {ownerOf, readsKeeping} from "../history/owner.js";
import {changeSettings, drafts, settings} from "../settings_state.js";
import {countSet, readStored} from "./settings_fields.js";

const MAX_CHARS = 2_000_000;

/** Whether the panel is shown. @type {import("../../../signal.js").Signal<boolean>} */
export const isSettingsOpen = createSignal(false);
/** @type {string | null} */
let owner = null;

function read() {
  const next = ownerOf(session.get().access);
  if (next === owner) return;
  if (owner) tabStorage.write(nameOf(owner), null); // who signs out leaves nothing in the tab
  owner = null; // what is read now is not written again
  drafts.clear();
  changeSettings(readStored(next && storageFor(next).read(nameOf(next))));
  owner = next;
}

function write() {
  if (!owner) return;
  const {system, fields} = settings.get();
  const text = countSet(settings.get()) ? JSON.stringify({system, fields}) : null;
  const chosen = storageFor(owner);
  for (const storage of [lastingStorage, tabStorage]) {
    storage.write(nameOf(owner), storage === chosen && text?.length <= MAX_CHARS ? text : null);
  }
}

function storageFor(user) {
  return readsKeeping(user) ? lastingStorage : tabStorage;
}

function nameOf(user) {
  return `chat-settings.${user}`;
}

read();
session.subscribe(read);
settings.subscribe(write);
isKeeping.subscribe(write);
