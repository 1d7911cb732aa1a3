/**
 * Opens the session: by a link if the address has one, or with this tab's keys. It imports little and runs first, so
 * that the server's answer is there when the frame's other modules are. Knows nothing of what is shown.
 */
import {addressOf, replaceAddress, route} from "./router.js";
import {refreshSession, signInByLink} from "./session.js";

const LINK = "link";

/** Open the session that the address asks for. */
async function open() {
  const {view, rest} = route.get();
  if (view !== LINK) return refreshSession();
  replaceAddress(addressOf("")); // the token must not stay in the history
  return signInByLink(rest[0] ?? "");
}

addEventListener("hashchange", () => route.get().view === LINK && open());
open();
