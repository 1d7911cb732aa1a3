/**
 * What a component loads: on its way, there, or failed. It is loaded again when the server is back.
 */
import {isConnected} from "./connection.js";
import {useEffect, useState} from "./html.js";
import {useSignal} from "./signal.js";

/**
 * @template T
 * @param {(signal: AbortSignal) => Promise<T>} load
 * @param {unknown[]} inputs it is loaded again when one of them changes
 * @returns {{value: T | null, error: unknown, isLoading: boolean, reload: () => void}}
 */
export function useResource(load, inputs = []) {
  const connected = useSignal(isConnected);
  const [round, setRound] = useState(0);
  const [state, setState] = useState({value: null, error: null, isLoading: true});
  useEffect(() => {
    if (!connected) return undefined;
    const control = new AbortController();
    setState((before) => ({...before, isLoading: true}));
    load(control.signal).then(
      (value) => setState({value, error: null, isLoading: false}),
      (error) => control.signal.aborted || setState((before) => ({...before, error, isLoading: false})),
    );
    return () => control.abort();
  }, [round, connected, ...inputs]);
  return {...state, reload: () => setRound((count) => count + 1)};
}
