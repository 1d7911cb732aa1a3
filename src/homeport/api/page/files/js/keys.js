/**
 * The keys of this tab. They end with it, and no other place has them.
 */
import {tabStorage} from "./storage.js";

const ADMIN = "/admin/";
const ORGANIZATION = "/v1/organization/";

/** @param {{key?: string | null, adminKey?: string | null}} keys those that are undefined stay */
export function keepKeys({key, adminKey}) {
  if (key !== undefined) tabStorage.write("key", key || null);
  if (adminKey !== undefined) tabStorage.write("admin-key", adminKey || null);
}

/** @returns {{key: string | null, adminKey: string | null}} */
export function readKeys() {
  return {key: tabStorage.read("key"), adminKey: tabStorage.read("admin-key")};
}

/**
 * Return the key for a path: the admin key for the administration, if there is one.
 *
 * @param {string} path
 * @returns {string | null}
 */
export function keyFor(path) {
  const {key, adminKey} = readKeys();
  return isAdministrative(path) ? (adminKey ?? key) : key;
}

/** @param {string} path @returns {boolean} whether it is of the administration */
export function isAdministrative(path) {
  return path.startsWith(ADMIN) || path.startsWith(ORGANIZATION);
}
