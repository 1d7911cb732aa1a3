/**
 * The log as a component sees it: the lines that the server still has, then each new one, at most once a frame.
 */
import {requestJson} from "../../client.js";
import {useEffect, useRef, useState} from "../../html.js";
import {follow} from "./live.js";
import {addLines} from "./log_lines.js";

const PATH = "/admin/v1/logs";
const PAGE = 2000;

/**
 * @param {boolean} isPaused while it is, nothing is read; what the server still has afterwards is not lost
 * @returns {{chunks: import("./log_lines.js").Chunk[], isLoaded: boolean, error: unknown, retry: () => void}}
 */
export function useLog(isPaused) {
  const lastId = useRef(null);
  const [state, setState] = useState({chunks: [], isLoaded: false, error: null});
  const [round, setRound] = useState(0);
  useEffect(() => {
    if (isPaused) return undefined;
    let pending = [];
    let frame = 0;
    const show = () => {
      const lines = pending;
      pending = [];
      frame = 0;
      setState(({chunks}) => ({chunks: lines.length ? addLines(chunks, lines) : chunks, isLoaded: true, error: null}));
    };
    const add = (lines) => {
      pending.push(...lines);
      lastId.current = lines.findLast((line) => line.id)?.id ?? lastId.current;
      frame ||= requestAnimationFrame(show);
    };
    const leave = follow({
      async catchUp(signal) {
        for (;;) {
          const after = lastId.current === null ? "" : `&after=${lastId.current}`;
          const page = await requestJson(`${PATH}?limit=${PAGE}${after}`, {signal});
          add([...(page.missed ? [{missed: page.missed}] : []), ...page.data]);
          lastId.current = page.last_id;
          if (!page.has_more) return `${PATH}/events?after=${page.last_id}`;
        }
      },
      onEvent: (event) => add([event]),
      onError: (error) => setState((before) => ({...before, error})),
    });
    return () => {
      leave();
      cancelAnimationFrame(frame);
      if (pending.length) show();
    };
  }, [isPaused, round]);
  return {...state, retry: () => setRound((before) => before + 1)};
}
