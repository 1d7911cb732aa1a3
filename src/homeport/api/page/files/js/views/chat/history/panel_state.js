/**
 * Whether the list of conversations is shown: beside the conversation on wide screens, else over it.
 */
import {createSignal} from "../../../signal.js";
import {lastingStorage} from "../../../storage.js";

const NAME = "chat-history";
const CLOSED = "closed";
const query = matchMedia("(min-width: 64rem)");

/** Whether there is room beside the conversation. @type {import("../../../signal.js").Signal<boolean>} */
export const isWide = createSignal(query.matches);
/** @type {import("../../../signal.js").Signal<boolean>} */
export const isPanelOpen = createSignal(isOpenAtFirst());

function isOpenAtFirst() {
  return query.matches && lastingStorage.read(NAME) !== CLOSED;
}

/** @param {boolean} isShown which is remembered on wide screens */
export function showPanel(isShown) {
  if (isWide.get()) lastingStorage.write(NAME, isShown ? null : CLOSED);
  isPanelOpen.set(isShown);
}

query.addEventListener("change", () => {
  isPanelOpen.set(isOpenAtFirst());
  isWide.set(query.matches);
});
