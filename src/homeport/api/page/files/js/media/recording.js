/**
 * A recording as a component's state: idle, asking for the microphone, recording, or making the file of it.
 */
import {useEffect, useRef, useState} from "../html.js";
import {t} from "../i18n.js";
import {MicrophoneError, Recorder} from "./recorder.js";

/**
 * @param {object} props
 * @param {(file: File) => void} props.onFile
 * @param {(message: string) => void} props.onError
 * @returns {{state: "idle" | "asking" | "recording" | "finishing", recorder: Recorder | null, start: () => void,
 *   finish: () => void, discard: () => void}}
 */
export function useRecording({onFile, onError}) {
  const [state, setState] = useState("idle");
  const current = useRef({recorder: null, round: 0});
  const discard = () => {
    current.current.round += 1; // also of one that still asks
    current.current.recorder?.discard();
    current.current.recorder = null;
    setState("idle");
  };
  useEffect(() => discard, []);
  const start = async () => {
    const round = ++current.current.round;
    setState("asking");
    try {
      const recorder = await Recorder.start();
      if (round !== current.current.round) return recorder.discard();
      current.current.recorder = recorder;
      setState("recording");
    } catch (error) {
      if (round === current.current.round) setState("idle");
      onError(describe(error));
    }
    return undefined;
  };
  const finish = async () => {
    const {recorder, round} = current.current;
    if (!recorder) return;
    current.current.recorder = null;
    setState("finishing");
    try {
      const file = await recorder.finish();
      if (round === current.current.round) onFile(file);
    } catch {
      onError(t("media.nothing_recorded"));
    }
    if (round === current.current.round) setState("idle");
  };
  return {state, recorder: current.current.recorder, start, finish, discard};
}

function describe(error) {
  if (!(error instanceof MicrophoneError)) return t("error.unexpected");
  if (error.reason === "refused") return t("media.refused");
  return error.reason === "insecure" ? t("media.insecure") : t("media.no_microphone");
}
