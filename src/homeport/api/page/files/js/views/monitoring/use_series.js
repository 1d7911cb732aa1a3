/**
 * The metrics as a component sees them: those of the last 15 minutes, then each new sample.
 */
import {requestJson} from "../../client.js";
import {useEffect, useRef, useState} from "../../html.js";
import {follow} from "./live.js";
import {addColumns, addSample, NO_SERIES} from "./series.js";

const PATH = "/admin/v1/metrics/series";
const MAX_SILENCE_MS = 10_000;

/** @returns {{series: import("./series.js").Series | null, error: unknown, retry: () => void}} */
export function useSeries() {
  const known = useRef(NO_SERIES);
  const [state, setState] = useState({series: null, error: null});
  const [round, setRound] = useState(0);
  useEffect(() => {
    const show = (series) => {
      known.current = series;
      setState({series, error: null});
    };
    const after = () => (known.current.times.length ? `?after=${known.current.times.at(-1)}` : "");
    return follow({
      async catchUp(signal) {
        show(addColumns(known.current, await requestJson(`${PATH}${after()}`, {signal})));
        return `${PATH}/events${after()}`;
      },
      onEvent: (sample) => show(addSample(known.current, sample)),
      onError: (error) => setState({series: known.current.times.length ? known.current : null, error}),
      maxSilenceMs: MAX_SILENCE_MS,
    });
  }, [round]);
  return {...state, retry: () => setRound((count) => count + 1)};
}
