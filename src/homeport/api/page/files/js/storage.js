/**
 * The browser's storage, which may be full or forbidden: then values last as long as the page.
 */

/** @param {() => Storage} open */
function createStorage(open) {
  const memory = new Map();
  return {
    /**
     * @param {string} name
     * @returns {string | null}
     */
    read(name) {
      try {
        return open().getItem(`homeport.${name}`) ?? memory.get(name) ?? null;
      } catch {
        return memory.get(name) ?? null;
      }
    },
    /**
     * @param {string} name
     * @param {string | null} value null removes it
     */
    write(name, value) {
      memory.delete(name);
      try {
        if (value === null) open().removeItem(`homeport.${name}`);
        else open().setItem(`homeport.${name}`, value);
      } catch {
        if (value !== null) memory.set(name, value);
      }
    },
  };
}

/** Lasts until the tab is closed: keys are here. */
export const tabStorage = createStorage(() => sessionStorage);
/** Lasts: preferences that name nobody. */
export const lastingStorage = createStorage(() => localStorage);
