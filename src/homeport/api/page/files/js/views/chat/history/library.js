/**
 * All conversations of whoever is signed in: in this tab, and kept in the browser if that is chosen.
 */
import {addressOf, replaceAddress, route} from "../../../router.js";
import {session} from "../../../session.js";
import {createSignal} from "../../../signal.js";
import {Conversation, packNode} from "../conversation.js";
import {readHeads, readNodes, removeConversations, writeConversation} from "./database.js";
import {ownerOf, readsKeeping, writeKeeping} from "./owner.js";
import {titleOf} from "./title.js";

/** @typedef {import("./database.js").Head} Head */

/** The conversations, the newest first. @type {import("../../../signal.js").Signal<Head[]>} */
export const heads = createSignal([]);
/** Whether they are kept in this browser. @type {import("../../../signal.js").Signal<boolean>} */
export const isKeeping = createSignal(false);
/** The one that is shown. @type {import("../../../signal.js").Signal<Conversation>} */
export const current = createSignal(new Conversation());
/** Why keeping failed: the browser forbids it, or is full. @type {import("../../../signal.js").Signal<unknown>} */
export const keepingError = createSignal(null);

const channel = new BroadcastChannel("homeport.chat");
/** Those that this tab has opened. @type {Map<string, Conversation>} */
const opened = new Map();
/** @type {string | null} */
let owner = null;
/** @type {Promise<void>} */
let listing = Promise.resolve();

/** Begin a conversation. It is listed once it has a message. */
export function startNew() {
  current.set(adopt(new Conversation()));
}

/**
 * Show a conversation.
 *
 * @param {string} id
 * @returns {Promise<boolean>} whether there is one
 */
export async function openConversation(id) {
  const found = await load(id);
  if (found) current.set(found);
  return Boolean(found);
}

/** @param {string} id @param {string} title */
export function rename(id, title) {
  const head = {...heads.get().find((each) => each.id === id), title, isNamed: true};
  heads.set(heads.get().map((each) => (each.id === id ? head : each)));
  return write(head, []);
}

/** @param {string[]} ids conversations to forget, in all tabs and in the browser */
export async function forget(ids) {
  forgetHere(ids);
  await attempt(() => removeConversations(ids));
  channel.postMessage({owner, forgotten: ids});
}

function forgetHere(ids) {
  for (const id of ids) {
    opened.get(id)?.stop();
    opened.delete(id);
  }
  heads.set(heads.get().filter((head) => !ids.includes(head.id)));
  if (ids.includes(current.get().id)) startNew();
}

/** Forget all conversations. */
export function forgetAll() {
  return forget(heads.get().map((head) => head.id));
}

/**
 * Keep the conversations in this browser, those so far as well; or do not: then the kept ones are removed from it, and
 * those that this tab has opened last until it is closed.
 *
 * @param {boolean} isKept
 */
export async function keep(isKept) {
  writeKeeping(owner, isKept);
  isKeeping.set(isKept);
  const ids = heads.get().map((head) => head.id);
  if (isKept) {
    await keepAll([...opened.values()]);
    listing = list();
  } else {
    showOpenedOnly();
    await attempt(() => removeConversations(ids));
  }
  channel.postMessage({owner, forgotten: []});
}

function showOpenedOnly() {
  heads.set(heads.get().filter((head) => opened.has(head.id)));
}

/**
 * Return conversations to export, with their titles.
 *
 * @param {string[]} ids
 */
export async function exported(ids) {
  const loaded = await Promise.all(ids.map(async (id) => ({head: heads.get().find((each) => each.id === id),
    conversation: await load(id)})));
  return loaded.filter(({head, conversation}) => head && conversation).map(({head, conversation}) => (
    {...conversation.store(), title: head.title, isNamed: head.isNamed, updatedAt: head.updatedAt}));
}

/**
 * Add conversations from a file. Those that are here already stay as they are.
 *
 * @param {(import("../conversation.js").Stored & {title: string, isNamed: boolean, updatedAt: number})[]} all
 * @returns {Promise<number>} how many were added
 */
export async function addImported(all) {
  const known = new Set(heads.get().map((head) => head.id));
  const added = all.filter(({id}) => !known.has(id));
  const conversations = added.map((stored) => adopt(new Conversation(stored)));
  const newHeads = added.map(({id, title, isNamed, createdAt, updatedAt, choices}) => (
    {id, owner, title, isNamed, createdAt, updatedAt, choices}));
  heads.set(sorted([...heads.get(), ...newHeads]));
  for (const conversation of conversations) opened.set(conversation.id, conversation);
  if (isKeeping.get()) await keepAll(conversations);
  return added.length;
}

/** Return a conversation of this tab. @param {string} id */
export function openedConversation(id) {
  return opened.get(id);
}

async function load(id) {
  await listing;
  const here = opened.get(id) ?? (current.get().id === id ? current.get() : undefined);
  if (here) return here;
  const head = heads.get().find((each) => each.id === id);
  if (!head) return null;
  const nodes = await attempt(() => readNodes(id));
  if (!nodes) return null;
  const conversation = opened.get(id) ?? adopt(new Conversation({...head, nodes}));
  opened.set(id, conversation);
  return conversation;
}

function adopt(conversation) {
  conversation.onSave = onSave;
  return conversation;
}

/** Bring a conversation that has changed to the front, and write what has changed. */
function onSave(conversation, nodes) {
  const {id, createdAt, choices} = conversation;
  const isForgotten = opened.get(id) !== conversation && current.get() !== conversation;
  if (isForgotten || owner === null) return;
  opened.set(id, conversation);
  const before = heads.get().find((head) => head.id === id);
  const title = before?.isNamed ? before.title : titleOf(conversation.path());
  const updatedAt = nodes.length || !before ? Date.now() : before.updatedAt;
  const head = {id, owner, title, isNamed: before?.isNamed ?? false, createdAt, updatedAt, choices};
  heads.set(sorted([head, ...heads.get().filter((each) => each.id !== id)]));
  const order = new Map(conversation.nodes.map((node, i) => [node.id, i]));
  write(head, nodes.map((node) => ({node: packNode(node), order: order.get(node.id)})));
}

async function keepAll(conversations) {
  for (const conversation of conversations) {
    const head = heads.get().find((each) => each.id === conversation.id);
    if (head) await write(head, conversation.nodes.map((node, order) => ({node: packNode(node), order})));
  }
}

async function write(head, nodes) {
  if (!isKeeping.get()) return;
  await attempt(() => writeConversation(head, nodes));
  channel.postMessage({owner, forgotten: []});
}

/** Use the database. Without it, conversations last as long as the tab. */
async function attempt(use) {
  try {
    const result = await use();
    keepingError.set(null);
    return result;
  } catch (error) {
    keepingError.set(error);
    return null;
  }
}

/** List the kept conversations, besides those of this tab. */
async function list() {
  if (!isKeeping.get()) return;
  const asked = owner;
  const kept = await readHeads(asked).catch((error) => keepingError.set(error));
  if (!kept || asked !== owner) return;
  const ids = new Set(kept.map((head) => head.id));
  const here = heads.get().filter((head) => opened.has(head.id) && !ids.has(head.id));
  heads.set(sorted([...kept, ...here]));
}

function sorted(all) {
  return all.sort((a, b) => b.updatedAt - a.updatedAt);
}

/** Forget in this tab what belongs to another user of it, and list what belongs to this one. */
function followSession() {
  const next = ownerOf(session.get().access);
  if (next === owner) return;
  if (owner !== null && route.get().view === "chat") replaceAddress(addressOf("chat"));
  owner = next;
  for (const conversation of opened.values()) conversation.stop();
  opened.clear();
  heads.set([]);
  isKeeping.set(owner !== null && readsKeeping(owner));
  startNew();
  listing = list();
}

/** Another tab has changed something. */
channel.onmessage = ({data}) => {
  if (data.owner !== owner || owner === null) return;
  forgetHere(data.forgotten.filter((id) => heads.get().some((head) => head.id === id)));
  isKeeping.set(readsKeeping(owner));
  if (isKeeping.get()) list();
  else showOpenedOnly();
};
session.subscribe(followSession);
followSession();
