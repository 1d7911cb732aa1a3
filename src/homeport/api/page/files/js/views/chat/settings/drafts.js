/**
 * What is written in the settings and is not right yet, by the names of the fields.
 */

/** @type {Map<string, string>} */
export const drafts = new Map();
