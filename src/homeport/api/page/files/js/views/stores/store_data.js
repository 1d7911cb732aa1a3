/**
 * Vector stores and their files, as the server has them.
 */
import {requestJson} from "../../client.js";

const PAGE = 100;
const ALL_FILES = 10000;
const DEFAULT_MODEL = "text-embedding-3-small";

/**
 * @typedef {object} Store
 * @property {string} id
 * @property {string} name
 * @property {"completed" | "in_progress" | "expired"} status
 * @property {{in_progress: number, completed: number, failed: number, cancelled: number, total: number}} file_counts
 * @property {number} usage_bytes
 * @property {{days: number} | null} expires_after
 * @property {number | null} expires_at
 * @property {number} created_at
 * @property {string} embedding_model
 */

/**
 * @typedef {object} StoreFile
 * @property {string} id
 * @property {string} name of the file; its id if it is unknown
 * @property {"in_progress" | "completed" | "failed" | "cancelled"} status
 * @property {{code: string, message: string} | null} last_error
 * @property {Record<string, string | number | boolean>} attributes
 * @property {number} usage_bytes
 * @property {number} created_at
 */

/**
 * Return the path of a store, or of what is in it.
 *
 * @param {string} id
 * @param {...string} rest
 */
export function pathOf(id, ...rest) {
  return ["/v1/vector_stores", ...[id, ...rest].map(encodeURIComponent)].join("/");
}

/**
 * List the newest stores.
 *
 * @param {number} pages how many hundreds
 * @param {AbortSignal} [signal]
 * @returns {Promise<{rows: Store[], hasMore: boolean}>}
 */
export function listStores(pages, signal) {
  return listPages("/v1/vector_stores", pages, signal);
}

/**
 * Read a store.
 *
 * @param {string} id
 * @param {AbortSignal} [signal]
 * @returns {Promise<Store>}
 */
export function readStore(id, signal) {
  return requestJson(pathOf(id), {signal});
}

/**
 * List the newest files of a store, with their names.
 *
 * @param {string} id
 * @param {{status: string, pages: number, names: Map<string, string>}} what `status`: all if it is empty; `names`:
 *   those that are known, to which others are added
 * @param {AbortSignal} [signal]
 * @returns {Promise<{rows: StoreFile[], hasMore: boolean}>}
 */
export async function listStoreFiles(id, {status, pages, names}, signal) {
  const filter = status ? `&filter=${status}` : "";
  const found = await listPages(pathOf(id, "files"), pages, signal, filter);
  if (found.rows.some((file) => !names.has(file.id))) {
    const {data} = await requestJson(`/v1/files?limit=${ALL_FILES}`, {signal});
    for (const file of data) names.set(file.id, file.filename);
  }
  return {...found, rows: found.rows.map((file) => ({...file, name: names.get(file.id) ?? file.id}))};
}

async function listPages(path, pages, signal, filter = "") {
  const rows = [];
  for (let after = ""; ; after = `&after=${encodeURIComponent(rows.at(-1).id)}`) {
    const page = await requestJson(`${path}?limit=${PAGE}${filter}${after}`, {signal});
    rows.push(...page.data);
    if (!page.has_more || rows.length >= pages * PAGE) return {rows, hasMore: page.has_more};
  }
}

/**
 * List the models that can index documents, the server's default first.
 *
 * @param {AbortSignal} [signal]
 * @returns {Promise<string[]>}
 */
export async function listEmbeddingModels(signal) {
  const {data} = await requestJson("/v1/models", {signal});
  const isFit = ({capabilities}) => capabilities.includes("embeddings") && !capabilities.includes("image_embeddings");
  const first = data.find(({id}) => id === DEFAULT_MODEL)?.root;
  const names = data.filter((model) => isFit(model) && model.root === model.id).map(({id}) => id);
  return names.sort((a, b) => Number(b === first) - Number(a === first));
}
