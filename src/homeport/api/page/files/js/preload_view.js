/**
 * Has the browser load the modules of the view that the address names, together with those of the frame.
 *
 * It is no module, because modules run only when all that they import has arrived. The index names the modules.
 */
(() => {
  const name = location.hash.replace(/^#\/?/, "").split("/", 1)[0];
  const view = [...document.querySelectorAll('meta[name="view"]')].find(({content}) => content === name);
  const base = new URL("..", document.currentScript.src);
  for (const module of view?.dataset.modules.split(" ") ?? []) {
    const href = new URL(module, base).href;
    document.head.append(Object.assign(document.createElement("link"), {rel: "modulepreload", href}));
  }
})();
