/**
 * Records the microphone. Knows nothing of what is done with the recording.
 */
import {decodeSound, SPEECH_RATE} from "./decoding.js";
import {encodeWav} from "./wav.js";

const MAX_WAV_BYTES = 24e6;

/** Why nothing can be recorded. */
export class MicrophoneError extends Error {
  /** @param {"refused" | "missing" | "insecure"} reason `insecure`: not over TLS and not on this machine */
  constructor(reason) {
    super(reason);
    this.name = "MicrophoneError";
    this.reason = reason;
  }
}

/** A recording that goes on until it is finished or discarded. */
export class Recorder {
  #stream;
  #recorder;
  #context;
  #analyser;
  #samples = new Float32Array(1024);
  #pieces = [];
  #began = performance.now();

  constructor(stream) {
    this.#stream = stream;
    this.#context = new AudioContext();
    this.#analyser = this.#context.createAnalyser();
    this.#analyser.fftSize = this.#samples.length;
    this.#context.createMediaStreamSource(stream).connect(this.#analyser);
    this.#recorder = new MediaRecorder(stream);
    this.#recorder.ondataavailable = ({data}) => this.#pieces.push(data);
    this.#recorder.start(1000);
  }

  /**
   * Ask for the microphone and begin.
   *
   * @returns {Promise<Recorder>}
   * @throws {MicrophoneError}
   */
  static async start() {
    if (!navigator.mediaDevices) throw new MicrophoneError("insecure");
    try {
      return new Recorder(await navigator.mediaDevices.getUserMedia({audio: {channelCount: 1}}));
    } catch (error) {
      throw new MicrophoneError(error.name === "NotAllowedError" ? "refused" : "missing");
    }
  }

  /** The length so far. */
  get seconds() {
    return (performance.now() - this.#began) / 1000;
  }

  /** How loud it is now, from 0 to 1. */
  level() {
    this.#analyser.getFloatTimeDomainData(this.#samples);
    const power = this.#samples.reduce((sum, sample) => sum + sample * sample, 0) / this.#samples.length;
    return Math.min(1, Math.max(0, 1 + Math.log10(power + 1e-7) / 5)); // from -50 dB on
  }

  /**
   * End the recording and return it: as WAV, or as the browser recorded it if that would be too large.
   *
   * @returns {Promise<File>}
   */
  async finish() {
    const isStopped = new Promise((resolve) => {
      this.#recorder.onstop = resolve;
    });
    this.#recorder.stop();
    await isStopped;
    this.#release();
    const type = this.#recorder.mimeType;
    const recorded = new Blob(this.#pieces, {type});
    const name = type.includes("mp4") ? "recording.mp4" : type.includes("ogg") ? "recording.ogg" : "recording.webm";
    if (this.seconds * SPEECH_RATE * 2 > MAX_WAV_BYTES) return new File([recorded], name, {type});
    const wav = encodeWav(await decodeSound(recorded), SPEECH_RATE);
    return new File([wav], "recording.wav", {type: wav.type});
  }

  /** End the recording and forget it. */
  discard() {
    this.#recorder.onstop = null;
    if (this.#recorder.state !== "inactive") this.#recorder.stop();
    this.#release();
  }

  #release() {
    for (const track of this.#stream.getTracks()) track.stop();
    if (this.#context.state !== "closed") this.#context.close();
  }
}
