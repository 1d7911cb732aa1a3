/**
 * Whose work this tab shows. With another key, what views keep in memory of the one before is forgotten.
 */
import {session} from "./session.js";

/** Name the key that may use models, without being it; null: none. */
function owner() {
  const caller = session.get().access?.caller;
  return caller ? `${caller.project} ${caller.key}` : null;
}

/**
 * Call a function whenever the page has another key than before.
 *
 * @param {() => void} forget
 */
export function whenOwnerChanges(forget) {
  let last = owner();
  session.subscribe(() => {
    if (owner() === last) return;
    last = owner();
    forget();
  });
}
