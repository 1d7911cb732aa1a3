/**
 * Samples as a WAV file: one channel, 16 bits. Knows nothing of where they come from.
 */

const HEAD_BYTES = 44;
const PEAK = 32767;

/**
 * @param {Float32Array} samples from -1 to 1
 * @param {number} sampleRate per second
 * @returns {Blob}
 */
export function encodeWav(samples, sampleRate) {
  const view = new DataView(new ArrayBuffer(HEAD_BYTES + samples.length * 2));
  const writeText = (at, text) => [...text].forEach((letter, i) => view.setUint8(at + i, letter.charCodeAt(0)));
  writeText(0, "RIFF");
  view.setUint32(4, view.byteLength - 8, true);
  writeText(8, "WAVEfmt ");
  view.setUint32(16, 16, true); // the size of the format's part
  view.setUint16(20, 1, true); // PCM
  view.setUint16(22, 1, true); // channels
  view.setUint32(24, sampleRate, true);
  view.setUint32(28, sampleRate * 2, true); // bytes per second
  view.setUint16(32, 2, true); // bytes per sample
  view.setUint16(34, 16, true); // bits per sample
  writeText(36, "data");
  view.setUint32(40, samples.length * 2, true);
  for (let i = 0; i < samples.length; i++) {
    view.setInt16(HEAD_BYTES + i * 2, Math.max(-1, Math.min(1, samples[i])) * PEAK, true);
  }
  return new Blob([view], {type: "audio/wav"});
}
