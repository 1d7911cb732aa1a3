/**
 * Preact with htm: `html` makes elements from a template, so that no build step is needed.
 */
import {createElement} from "../vendor/preact.js";
import htm from "../vendor/htm.js";

export {Component, Fragment, createElement, render} from "../vendor/preact.js";
export {useCallback, useEffect, useLayoutEffect, useMemo, useRef, useState} from "../vendor/preact-hooks.js";

export const html = htm.bind(createElement);
