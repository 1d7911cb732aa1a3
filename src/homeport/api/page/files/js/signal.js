/**
 * A value that several parts of the page share, and that redraws those that use it.
 */
import {useLayoutEffect, useState} from "./html.js";

/**
 * @template T
 * @typedef {object} Signal
 * @property {() => T} get returns the value
 * @property {(value: T) => void} set replaces the value and notifies all subscribers if it is another one
 * @property {(listener: () => void) => () => void} subscribe calls a function after each change; returns the way out
 */

/**
 * @template T
 * @param {T} value the first value
 * @returns {Signal<T>}
 */
export function createSignal(value) {
  const listeners = new Set();
  return {
    get: () => value,
    set(next) {
      if (Object.is(value, next)) return;
      value = next;
      for (const listener of [...listeners]) listener();
    },
    subscribe(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
}

/**
 * Return a signal's value in a component, which is drawn again after each change.
 *
 * @template T
 * @param {Signal<T>} signal
 * @returns {T}
 */
export function useSignal(signal) {
  const [, draw] = useState(0);
  useLayoutEffect(() => {
    const seen = signal.get();
    const leave = signal.subscribe(() => draw((count) => count + 1));
    if (!Object.is(seen, signal.get())) draw((count) => count + 1);
    return leave;
  }, [signal]);
  return signal.get();
}
