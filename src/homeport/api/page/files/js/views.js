/**
 * The views of the page, in the order of the navigation. The one place that names them all: each is loaded when it is
 * opened.
 */

/**
 * @typedef {object} View
 * @property {string} name its part of the address
 * @property {"use" | "manage"} group the navigation's part
 * @property {string} title a key of the dictionaries
 * @property {string} about a key of the dictionaries: one sentence for the start view
 * @property {string} icon a name in `icons.js`
 * @property {(access: import("./session.js").Access) => boolean} isAllowed whether a key may use it
 * @property {boolean} [showsModels] whether it begins with the list of models, which is asked for while it is loaded
 * @property {() => Promise<{default: Function}>} load imports the component
 */

const mayCall = (access) => access.caller !== null;
const isAdmin = (access) => access.admin;

/** @type {View[]} */
const VIEWS = [
  {
    name: "",
    group: "use",
    title: "start.title",
    about: "start.about",
    icon: "home",
    isAllowed: () => true,
    load: () => import("./views/start/start.js"),
  },
  {
    name: "chat",
    group: "use",
    title: "chat.title",
    about: "chat.about",
    icon: "chat",
    isAllowed: mayCall,
    showsModels: true,
    load: () => import("./views/chat/chat.js"),
  },
  {
    name: "pictures",
    group: "use",
    title: "pictures.title",
    about: "pictures.about",
    icon: "picture",
    isAllowed: mayCall,
    showsModels: true,
    load: () => import("./views/pictures/pictures.js"),
  },
  {
    name: "sound",
    group: "use",
    title: "sound.title",
    about: "sound.about",
    icon: "sound",
    isAllowed: mayCall,
    showsModels: true,
    load: () => import("./views/sound/sound.js"),
  },
  {
    name: "shapes",
    group: "use",
    title: "shapes.title",
    about: "shapes.about",
    icon: "prism",
    isAllowed: mayCall,
    showsModels: true,
    load: () => import("./views/shapes/shapes.js"),
  },
  {
    name: "vectors",
    group: "use",
    title: "vectors.title",
    about: "vectors.about",
    icon: "scatter",
    isAllowed: mayCall,
    showsModels: true,
    load: () => import("./views/vectors/vectors.js"),
  },
  {
    name: "stores",
    group: "use",
    title: "stores.title",
    about: "stores.about",
    icon: "library",
    isAllowed: mayCall,
    load: () => import("./views/stores/stores.js"),
  },
  {
    name: "jobs",
    group: "manage",
    title: "jobs.title",
    about: "jobs.about",
    icon: "stack",
    isAllowed: (access) => access.caller !== null || access.admin,
    load: () => import("./views/jobs/jobs.js"),
  },
  {
    name: "models",
    group: "manage",
    title: "models.title",
    about: "models.about",
    icon: "cube",
    isAllowed: isAdmin,
    load: () => import("./views/models/models.js"),
  },
  {
    name: "monitoring",
    group: "manage",
    title: "monitoring.title",
    about: "monitoring.about",
    icon: "pulse",
    isAllowed: isAdmin,
    load: () => import("./views/monitoring/monitoring.js"),
  },
  {
    name: "usage",
    group: "manage",
    title: "usage.title",
    about: "usage.about",
    icon: "bars",
    isAllowed: (access) => access.admin && access.features.includes("usage"),
    load: () => import("./views/usage/usage.js"),
  },
  {
    name: "keys",
    group: "manage",
    title: "keys.title",
    about: "keys.about",
    icon: "key",
    isAllowed: (access) => access.admin && access.features.includes("keys"),
    load: () => import("./views/keys/keys.js"),
  },
];

/**
 * Return the views that a key may use.
 *
 * @param {import("./session.js").Access | null} access
 */
export function allowedViews(access) {
  return access ? VIEWS.filter((view) => view.isAllowed(access)) : [];
}
