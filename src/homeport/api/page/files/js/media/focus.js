/**
 * Keeps the keyboard's place when the button that was pressed gives way to others.
 */
import {useLayoutEffect, useRef} from "../html.js";

/**
 * After a change, focus a button inside an element if the one that had the focus is gone.
 *
 * @param {{current: HTMLElement | null}} place
 * @param {string} selector
 * @param {unknown} change
 * @param {boolean} [isReplacement] whether the component itself takes the place of what was pressed
 */
export function useKeptFocus(place, selector, change, isReplacement = false) {
  const isKnown = useRef(isReplacement);
  useLayoutEffect(() => {
    if (isKnown.current && document.activeElement === document.body) place.current?.querySelector(selector)?.focus();
    isKnown.current = true;
  }, [change]);
}
