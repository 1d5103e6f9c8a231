/**
 * The menu of the template Sheet in a page: the real Code.gs and its HTML files, run in the browser over shims.js.
 *
 *   <script src="shims.js"></script><script src="menu.js"></script>
 *   const menu = OwoxMenu.start({
 *     menuBar: element,                    // the menu is put into it
 *     code: "script/Code.gs",              // where the text of Code.gs is read
 *     files: "script/",                    // where the HTML files are read: prefix + name + ".html"
 *     fetchProxy: "fetch",                 // UrlFetchApp goes through here; same origin
 *     identityToken: () => "…",            // ScriptApp.getIdentityToken()
 *     spreadsheetId: "…",
 *     sheets: {names: () => ["Config", …], activate: (name, cell) => {…}},
 *     sidebar: element,                    // where the sidebar stands; default: it floats at the right edge
 *     address: "http://127.0.0.1:8080",    // stored as Set up… would; default: nothing is stored
 *   });
 *   menu.call("runImport", [])             // as if the item had been chosen
 *
 * The proxy takes POST {"url", "method", "headers", "payload"} and answers 200 {"status", "headers", "body"} with what
 * the address answered, or 502 when nothing did. It is asked synchronously, because UrlFetchApp is: the page stands
 * still for as long as the service takes, which is the second or two that one call of the menu may take.
 */
(function () {
  "use strict";

  const LOOK = `
    .owox-menu { position: relative; display: inline-block; font: 14px/20px Arial, sans-serif; }
    .owox-menu > button { border: 0; background: none; font: inherit; padding: 4px 10px; border-radius: 4px; cursor: pointer; color: #202124; }
    .owox-menu > button:hover, .owox-menu > button[aria-expanded=true] { background: #e8eaed; }
    .owox-menu [role=menu] { position: absolute; left: 0; top: 100%; z-index: 50; min-width: 220px; margin: 2px 0 0; padding: 6px 0; background: #fff; border-radius: 4px; box-shadow: 0 2px 8px #0004; }
    .owox-menu [role=menu][hidden] { display: none; }
    .owox-menu [role=menuitem] { display: block; width: 100%; text-align: left; border: 0; background: none; font: inherit; padding: 6px 20px; cursor: pointer; color: #202124; }
    .owox-menu [role=menuitem]:hover, .owox-menu [role=menuitem]:focus { background: #f1f3f4; outline: none; }
    .owox-menu [role=separator] { border-top: 1px solid #dadce0; margin: 6px 0; }
    .owox-frame { display: flex; flex-direction: column; background: #fff; font: 14px/20px Arial, sans-serif; color: #202124; }
    .owox-frame > header { display: flex; align-items: center; justify-content: space-between; padding: 12px 8px 12px 16px; font-size: 16px; }
    .owox-frame > header button { border: 0; background: none; font: 18px/1 Arial, sans-serif; padding: 6px 10px; border-radius: 50%; cursor: pointer; color: #5f6368; }
    .owox-frame > header button:hover { background: #f1f3f4; }
    .owox-frame iframe { flex: 1; border: 0; width: 100%; }
    .owox-sidebar { box-sizing: content-box; width: 300px; height: 100%; border-left: 1px solid #dadce0; }
    .owox-sidebar.floats { position: fixed; right: 0; top: 0; bottom: 0; height: auto; z-index: 40; box-shadow: 0 0 8px #0003; }
    .owox-dialog { position: fixed; z-index: 60; left: 50%; top: 50%; transform: translate(-50%, -50%); border-radius: 8px; box-shadow: 0 4px 24px #0006; overflow: hidden; max-width: 96vw; max-height: 94vh; }
    .owox-shade { position: fixed; inset: 0; z-index: 55; background: #fff9; }
    .owox-toast { position: fixed; right: 24px; bottom: 24px; z-index: 70; max-width: 320px; padding: 12px 16px; background: #323232; color: #fff; border-radius: 4px; font: 14px/20px Arial, sans-serif; }
    .owox-toast strong { display: block; }
  `;

  function made(tag, properties = {}, ...children) {
    const one = Object.assign(document.createElement(tag), properties);
    one.append(...children);
    return one;
  }

  function synchronously(method, url, body) {
    const request = new XMLHttpRequest();
    request.open(method, url, false);
    if (body !== undefined) request.setRequestHeader("Content-Type", "application/json");
    request.send(body === undefined ? null : JSON.stringify(body));
    if (request.status !== 200) throw new Error(`${url} answered ${request.status}`);
    return request.responseText;
  }

  /** What stands in front of a file of the script: google.script, as Google's own page brings it. */
  const BRIDGE = `<script>
    window.google = {script: {
      run: parent.OwoxMenu.runner(window.name),
      host: {close: () => parent.OwoxMenu.close(window.name)},
    }};
  </${"script"}>`;

  const frames = new Map(); // the frame's name -> {close, script}
  let count = 0;

  /** A frame with a title, a cross and a page of the script. */
  function frame(script, className, title, html) {
    const name = `owox-${++count}`;
    const inner = made("iframe", { name, title });
    const cross = made("button", { type: "button", textContent: "×" });
    cross.setAttribute("aria-label", `Close ${title}`);
    const heading = made("span", { textContent: title });
    const box = made("section", { className: `owox-frame ${className}` }, made("header", {}, heading, cross), inner);
    box.setAttribute("aria-label", title);
    const close = () => { frames.delete(name); box.remove(); box.dispatchEvent(new Event("closed")); };
    cross.onclick = close;
    frames.set(name, { close, script });
    inner.srcdoc = BRIDGE + html;
    return { box, close };
  }

  /** google.script.run for one frame: handlers are chained, the call comes back later. */
  function runner(name) {
    const build = (success, failure) => new Proxy({}, {
      get(_, word) {
        if (word === "withSuccessHandler") return (handler) => build(handler, failure);
        if (word === "withFailureHandler") return (handler) => build(success, handler);
        return (...values) => {
          setTimeout(() => {
            const known = frames.get(name);
            if (!known) return;
            let answer;
            try {
              answer = known.script.call(String(word), values);
            } catch (error) {
              failure && failure(error);
              return;
            }
            success && success(answer);
          });
        };
      },
    });
    return build(null, null);
  }

  /** The menu as a button with a list; arrow keys, Escape and a click elsewhere do what people expect. */
  function drop(bar, { title, items }, choose) {
    const list = made("div", { hidden: true });
    list.setAttribute("role", "menu");
    const button = made("button", { type: "button", textContent: title });
    button.setAttribute("aria-haspopup", "menu");
    const show = (open) => {
      list.hidden = !open;
      button.setAttribute("aria-expanded", String(open));
      if (open) list.querySelector("[role=menuitem]").focus();
    };
    show(false);
    for (const item of items) {
      const one = item ? made("button", { type: "button", textContent: item.label, tabIndex: -1 }) : made("div");
      one.setAttribute("role", item ? "menuitem" : "separator");
      if (item) one.onclick = () => { show(false); button.focus(); choose(item.name); };
      list.append(one);
    }
    button.onclick = () => show(list.hidden);
    list.onkeydown = (event) => {
      const all = Array.from(list.querySelectorAll("[role=menuitem]")), at = all.indexOf(document.activeElement);
      const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: all.length - 1 }[event.key];
      if (to !== undefined) { event.preventDefault(); all[(to + all.length) % all.length].focus(); }
      if (event.key === "Escape") { show(false); button.focus(); }
    };
    document.addEventListener("click", (event) => { if (!box.contains(event.target)) show(false); });
    const box = made("div", { className: "owox-menu" }, button, list);
    bar.append(box);
  }

  function start(options) {
    document.head.append(made("style", { textContent: LOOK }));
    const kept = new Map(options.address ? [["service_address", options.address]] : []);
    const files = new Map();
    let sidebar = null;
    let dialog = null;
    let script = null;

    function readFile(name) {
      if (!files.has(name)) files.set(name, synchronously("GET", `${options.files}${name}.html`));
      return files.get(name);
    }
    function choose(name) {
      try {
        script.call(name, []);
      } catch (error) {
        window.alert(String(error));
      }
    }

    const host = {
      spreadsheetId: () => options.spreadsheetId,
      sheetNames: () => options.sheets.names(),
      activate: (name, cell) => options.sheets.activate(name, cell),
      toast(message, title, seconds) {
        document.querySelectorAll(".owox-toast").forEach((one) => one.remove());
        const one = made("div", { className: "owox-toast" }, made("strong", { textContent: title }), message);
        one.setAttribute("role", "status");
        document.body.append(one);
        setTimeout(() => one.remove(), 1000 * seconds);
      },
      alert(title, text, buttons) {
        const [yes, no] = { OK: ["OK", "OK"], OK_CANCEL: ["OK", "CANCEL"] }[buttons] || ["YES", "NO"];
        const words = `${title}\n\n${text}`;
        return buttons === "OK" ? (window.alert(words), "OK") : window.confirm(words) ? yes : no;
      },
      addMenu: (menu) => drop(options.menuBar, menu, choose),
      showSidebar({ title, html }) {
        if (sidebar) sidebar.close();
        sidebar = frame(script, `owox-sidebar${options.sidebar ? "" : " floats"}`, title, html);
        (options.sidebar || document.body).append(sidebar.box);
      },
      showDialog({ title, html, width, height }) {
        if (dialog) dialog.close();
        const shade = made("div", { className: "owox-shade" });
        dialog = frame(script, "owox-dialog", title, html);
        Object.assign(dialog.box.style, { width: `${width}px`, height: `${height + 44}px` });
        dialog.box.setAttribute("role", "dialog");
        dialog.box.setAttribute("aria-modal", "true");
        dialog.box.addEventListener("closed", () => shade.remove());
        document.body.append(shade, dialog.box);
      },
      readFile,
      fetch: (request) => JSON.parse(synchronously("POST", options.fetchProxy, request)),
      identityToken: () => options.identityToken(),
      properties: {
        get: (key) => (kept.has(key) ? kept.get(key) : null),
        set: (key, value) => kept.set(key, value),
        remove: (key) => kept.delete(key),
      },
    };
    script = AppsScript.load(synchronously("GET", options.code), host);
    script.open();
    return { call: choose, names: script.names };
  }

  window.OwoxMenu = { start, runner, close: (name) => frames.get(name) && frames.get(name).close() };
})();
