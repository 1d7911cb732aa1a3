/**
 * Repeats an action while a component is shown and its tab is in front.
 */
import {useEffect, useRef} from "./html.js";

/**
 * @param {() => void} act
 * @param {number} ms the time between two calls; when the tab comes back to the front, it is called at once
 */
export function usePolling(act, ms) {
  const latest = useRef(act);
  latest.current = act;
  useEffect(() => {
    const tick = () => document.hidden || latest.current();
    const timer = setInterval(tick, ms);
    document.addEventListener("visibilitychange", tick);
    return () => {
      clearInterval(timer);
      document.removeEventListener("visibilitychange", tick);
    };
  }, [ms]);
}
