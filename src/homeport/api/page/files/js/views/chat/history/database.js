/**
 * Conversations in the browser's database. Their messages are records of their own, so that a new one is all that is
 * written. Knows nothing of who may keep what.
 */

const NAME = "homeport.chat";
const HEADS = "conversations";
const NODES = "messages";
const LAST = []; // arrays are after all strings

/**
 * @typedef {object} Head a conversation without its messages
 * @property {string} id
 * @property {string} owner whose it is: only those of one owner are listed together
 * @property {string} title
 * @property {boolean} isNamed whether the user chose the title
 * @property {number} createdAt milliseconds
 * @property {number} updatedAt milliseconds
 * @property {[string | null, string][]} choices
 */

/** @type {Promise<IDBDatabase> | null} */
let opening = null;

/**
 * @param {string} owner
 * @returns {Promise<Head[]>}
 */
export async function readHeads(owner) {
  const [heads] = await inTransaction("readonly", (store) => [store(HEADS).index("owner").getAll(owner)]);
  return heads;
}

/**
 * Return the messages of a conversation, parents before their children.
 *
 * @param {string} id
 */
export async function readNodes(id) {
  const [nodes] = await inTransaction("readonly", (store) => [store(NODES).getAll(nodesOf(id))]);
  return nodes.sort((a, b) => a.order - b.order).map(({conversation, order, ...node}) => node);
}

/**
 * Write a conversation's head and some of its messages.
 *
 * @param {Head} head
 * @param {{node: any, order: number}[]} nodes `order`: parents before their children
 */
export function writeConversation(head, nodes) {
  return inTransaction("readwrite", (store) => [
    store(HEADS).put(head),
    ...nodes.map(({node, order}) => store(NODES).put({...node, order, conversation: head.id})),
  ]);
}

/** @param {string[]} ids of conversations to remove */
export function removeConversations(ids) {
  return inTransaction("readwrite", (store) => ids.flatMap((id) => [
    store(HEADS).delete(id),
    store(NODES).delete(nodesOf(id)),
  ]));
}

function nodesOf(id) {
  return IDBKeyRange.bound([id], [id, LAST]);
}

/** Make requests in one transaction; return their results once all of it is written. */
async function inTransaction(mode, makeRequests) {
  const database = await (opening ??= open());
  return new Promise((resolve, reject) => {
    const transaction = database.transaction([HEADS, NODES], mode);
    const requests = makeRequests((name) => transaction.objectStore(name));
    transaction.oncomplete = () => resolve(requests.map((request) => request.result));
    transaction.onerror = transaction.onabort = () => reject(transaction.error);
  });
}

function open() {
  return new Promise((resolve, reject) => {
    const request = indexedDB.open(NAME, 1);
    request.onupgradeneeded = () => {
      request.result.createObjectStore(HEADS, {keyPath: "id"}).createIndex("owner", "owner");
      request.result.createObjectStore(NODES, {keyPath: ["conversation", "id"]});
    };
    request.onsuccess = () => {
      // The browser may close it, and another tab may want to delete it: then it is opened again when it is needed.
      request.result.onclose = () => (opening = null);
      request.result.onversionchange = () => {
        request.result.close();
        opening = null;
      };
      resolve(request.result);
    };
    request.onerror = () => {
      opening = null;
      reject(request.error);
    };
  });
}
