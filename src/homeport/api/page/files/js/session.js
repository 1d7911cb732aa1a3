/**
 * Who uses the page: signing in and out, and what the key may do.
 */
import {ApiError, rejections, requestJson} from "./client.js";
import {isConnected} from "./connection.js";
import {keepKeys, readKeys} from "./keys.js";
import {createSignal} from "./signal.js";

/**
 * @typedef {object} Caller
 * @property {string} project
 * @property {string | null} key the key, masked
 * @property {string | null} name the key's name
 * @property {string[]} models those that it may use; empty: all
 * @property {object | null} limits
 */

/**
 * @typedef {object} Access what the server says about the key
 * @property {string} version of the server
 * @property {boolean} keyless whether the server needs no key
 * @property {Caller | null} caller null if the key may not use models
 * @property {boolean} admin
 * @property {boolean} isOwn whether one token has all rights: a link of `homeport open` began this session
 * @property {string[]} features
 */

/**
 * @typedef {object} Session
 * @property {"loading" | "open" | "closed"} state `closed`: a key is needed
 * @property {Access | null} access
 * @property {ApiError | null} error why the last attempt to sign in failed
 */

/** @type {import("./signal.js").Signal<Session>} */
export const session = createSignal({state: "loading", access: null, error: null});

/** Ask the server what this tab's keys may do. */
export async function refreshSession() {
  const {key, adminKey} = readKeys();
  try {
    session.set({state: "open", access: await readAccess(key, adminKey), error: null});
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    if (error.status === 0) return; // it is asked again when the server is back
    session.set({state: "closed", access: null, error: key || adminKey ? error : null});
  }
}

/**
 * Sign in with a key, an admin key, or both. Without success, the keys are forgotten.
 *
 * @param {{key?: string, adminKey?: string}} keys
 * @throws {ApiError} if one of them is wrong
 */
export async function signIn({key = "", adminKey = ""}) {
  const access = await readAccess(key, adminKey);
  keepKeys({key, adminKey});
  session.set({state: "open", access, error: null});
}

/**
 * Sign in to the administration, with the key that this tab already has beside it.
 *
 * @param {string} adminKey
 * @throws {ApiError} if it is wrong
 */
export function addAdminKey(adminKey) {
  return signIn({key: readKeys().key ?? "", adminKey});
}

/** Forget the keys, and end the session if a link began it. */
export async function signOut() {
  try {
    await requestJson("/page/session", {method: "DELETE"});
  } catch {
    // The session ends by itself.
  }
  keepKeys({key: null, adminKey: null});
  await refreshSession();
}

/**
 * Sign in by the token of a one-time link. A link that is of no use any more changes nothing.
 *
 * @param {string} link
 */
export async function signInByLink(link) {
  try {
    const issued = await requestJson("/page/session", {method: "POST", body: {link}, key: ""});
    keepKeys({key: issued.token, adminKey: null});
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    await refreshSession();
    session.set({...session.get(), error});
    return;
  }
  await refreshSession();
}

/** @returns {Promise<Access>} the rights of both keys together */
async function readAccess(key, adminKey) {
  const own = key || !adminKey ? await readSelf(key ?? "") : null;
  const admin = adminKey ? await readSelf(adminKey) : null;
  if (admin && !admin.admin) throw new ApiError(401, {code: "not_an_admin_key"});
  return {...(own ?? admin), admin: Boolean(own?.admin || admin?.admin)};
}

/** @returns {Promise<Access>} the rights of one key */
async function readSelf(key) {
  const self = await requestJson("/admin/v1/self", {key});
  const caller = {
    project: self.project, key: self.hint, name: self.key?.name ?? null, models: self.models ?? [],
    limits: self.key?.limits ?? null,
  };
  return {
    version: self.version,
    keyless: !self.requires_key,
    caller: self.permissions.includes("call") ? caller : null,
    admin: self.permissions.includes("admin"),
    isOwn: ["call", "admin"].every((each) => self.permissions.includes(each)),
    features: self.features,
  };
}

isConnected.subscribe(() => {
  if (isConnected.get()) refreshSession();
});
// A key may be revoked, and a session expire, while the page is open.
rejections.subscribe(() => {
  if (session.get().state === "open") refreshSession();
});
