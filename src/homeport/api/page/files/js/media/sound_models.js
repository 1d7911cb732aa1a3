/**
 * The models that transcribe and speak, shared by all who ask: they are listed once a minute at most.
 */
import {useEffect} from "../html.js";
import {listModels} from "../models.js";
import {session} from "../session.js";
import {createSignal, useSignal} from "../signal.js";

const FRESH_MS = 60_000;

/** @typedef {{transcription: import("../models.js").Model[], speech: import("../models.js").Model[]}} SoundModels */

/** @type {import("../signal.js").Signal<SoundModels | null>} */
const found = createSignal(null);
let listed = {at: -Infinity, access: null};

/**
 * Return the models in a component; null until they are listed.
 *
 * @returns {SoundModels | null}
 */
export function useSoundModels() {
  useEffect(() => {
    load();
    return session.subscribe(load);
  }, []);
  return useSignal(found);
}

async function load() {
  const {access} = session.get();
  if (!access?.caller || (access === listed.access && performance.now() - listed.at < FRESH_MS)) return;
  listed = {at: performance.now(), access};
  try {
    const models = await listModels();
    const can = (capability) => models.filter((model) => model.capabilities.includes(capability));
    found.set({transcription: can("transcriptions"), speech: can("speech")});
  } catch {
    listed = {at: -Infinity, access: null}; // whoever needs them says what is wrong
  }
}
