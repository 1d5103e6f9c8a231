/**
 * As much of Apps Script as the menu of the template Sheet uses, over a host that brings the outer world.
 *
 * Plain JavaScript without any service of a browser or of node, so that the same file serves both: menu.js in a page,
 * and the tests in node:vm. What Apps Script has and this file lacks fails loudly, as a function that is not there.
 *
 *   const script = AppsScript.load(textOfCodeGs, host);
 *   script.open();                       // calls onOpen, as Google does when a Sheet is opened
 *   script.call("runImport", []);        // what a menu item or google.script.run does
 *
 * The host is an object with these functions; all of them answer at once (Apps Script knows no promises):
 *
 *   spreadsheetId()                      -> text
 *   sheetNames()                         -> texts
 *   activate(name, cell)                 shows a tab, and chooses a cell where one is named
 *   toast(message, title, seconds)
 *   alert(title, text, buttons)          buttons: "OK", "OK_CANCEL", "YES_NO" or "YES_NO_CANCEL"; -> the button, "CLOSE" if none
 *   addMenu({title, items})              items: {label, name}, or null for a line
 *   showSidebar({title, html})
 *   showDialog({title, html, width, height, modal})
 *   readFile(name)                       -> text of an HTML file of the project, by its name without .html
 *   fetch({url, method, headers, payload}) -> {status, headers, body}; throws when nothing answers
 *   identityToken()                      -> text
 *   properties                           {get(key) -> text or null, set(key, value), remove(key)}
 */
(function (root) {
  "use strict";

  /** The text of bytes in UTF-8; they are signed, as Apps Script's are. */
  function textOf(bytes) {
    return decodeURIComponent(bytes.map((one) => "%" + (one & 255).toString(16).padStart(2, "0")).join(""));
  }

  const ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

  /** Bytes of base64 for addresses; neither atob nor TextDecoder is sure to be there. */
  function decoded(text) {
    const bytes = [];
    let bits = 0, value = 0;
    for (const letter of text.replace(/=+$/, "")) {
      const digit = ALPHABET.indexOf(letter);
      if (digit < 0) throw new Error("Could not decode string.");
      value = ((value << 6) | digit) & 0xffff;
      bits += 6;
      if (bits >= 8) {
        bits -= 8;
        bytes.push((((value >> bits) & 255) << 24) >> 24);
      }
    }
    return bytes;
  }

  const escaped = (value) => String(value).replace(/[&<>"']/g, (one) => `&#${one.charCodeAt(0)};`);

  /** Run the scriptlets of a template: <? code ?>, <?= escaped ?> and <?!= as it is ?>. */
  function evaluated(source, names, values) {
    const parts = source.split(/(<\?(?:!=|=)?[\s\S]*?\?>)/).map((part) => {
      if (!part.startsWith("<?")) return `out.push(${JSON.stringify(part)});`;
      if (part.startsWith("<?!=")) return `out.push(String(${part.slice(4, -2)}));`;
      if (part.startsWith("<?=")) return `out.push(escaped(${part.slice(3, -2)}));`;
      return part.slice(2, -2);
    });
    const out = [];
    new Function("out", "escaped", ...names, parts.join("\n"))(out, escaped, ...values);
    return out.join("");
  }

  function output(html) {
    const self = { title: "", width: 0, height: 0 };
    const made = {
      getContent: () => html,
      setTitle: (text) => ((self.title = text), made),
      getTitle: () => self.title,
      setWidth: (pixels) => ((self.width = pixels), made),
      setHeight: (pixels) => ((self.height = pixels), made),
      getWidth: () => self.width,
      getHeight: () => self.height,
    };
    return made;
  }

  function menuOf(host, title) {
    const items = [];
    const menu = {
      addItem: (label, name) => (items.push({ label, name }), menu),
      addSeparator: () => (items.push(null), menu),
      addToUi: () => host.addMenu({ title, items }),
    };
    return menu;
  }

  function uiOf(host) {
    const names = (...all) => Object.fromEntries(all.map((one) => [one, one]));
    const buttonSet = names("OK", "OK_CANCEL", "YES_NO", "YES_NO_CANCEL");
    return {
      Button: names("CLOSE", "OK", "CANCEL", "YES", "NO"),
      ButtonSet: buttonSet,
      createMenu: (title) => menuOf(host, title),
      alert: (title, text, buttons) => host.alert(title, text, buttons),
      showSidebar: (page) => host.showSidebar({ title: page.getTitle(), html: page.getContent() }),
      showModalDialog: (page, title) =>
        host.showDialog({ title, html: page.getContent(), width: page.getWidth(), height: page.getHeight(), modal: true }),
    };
  }

  function responseOf(answer) {
    return {
      getResponseCode: () => answer.status,
      getContentText: () => answer.body,
      getHeaders: () => answer.headers,
    };
  }

  /** UrlFetchApp with the parameters that we use; another one is refused, because it would be ignored in silence. */
  function fetcherOf(host) {
    const known = ["method", "contentType", "payload", "headers", "followRedirects", "muteHttpExceptions"];
    return {
      fetch(url, parameters = {}) {
        const strange = Object.keys(parameters).filter((one) => !known.includes(one));
        if (strange.length) throw new Error(`The emulator for UrlFetchApp does not know ${strange.join(", ")}.`);
        const headers = Object.assign({}, parameters.headers);
        if (parameters.contentType) headers["Content-Type"] = parameters.contentType;
        let answer;
        try {
          answer = host.fetch({ url, method: (parameters.method || "get").toUpperCase(), headers, payload: parameters.payload });
        } catch (error) {
          throw new Error(`Address unavailable: ${url}`); // also with muteHttpExceptions
        }
        if (answer.status >= 400 && !parameters.muteHttpExceptions) {
          throw new Error(`Request failed for ${url} returned code ${answer.status}. Truncated server response: ${answer.body.slice(0, 100)}`);
        }
        return responseOf(answer);
      },
    };
  }

  // Triggers are a person's own: a script sees those of who runs it. They are kept among the host's properties, by token.
  const ownerOf = (host) => `trigger of ${JSON.parse(textOf(decoded(host.identityToken().split(".")[1]))).email}`;
  const triggersOf = (host) => JSON.parse(host.properties.get(ownerOf(host)) || "[]");
  const keepTriggers = (host, all) => host.properties.set(ownerOf(host), JSON.stringify(all));

  function clockOf(host, handler) {
    const about = { handler, id: String(Math.random()).slice(2) };
    const clock = { create: () => keepTriggers(host, [...triggersOf(host), about]) };
    for (const name of ["everyHours", "everyDays", "atHour", "nearMinute", "inTimezone"]) {
      clock[name] = (value) => ((about[name] = value), clock);
    }
    return clock;
  }

  const sheetOf = (host, name) => ({ getName: () => name, getRange: (cell) => ({ activate: () => host.activate(name, cell) }) });

  /** The services as Code.gs sees them. ``scope`` is filled later with the functions of the script itself. */
  function servicesOf(host, scope) {
    const book = {
      getId: () => host.spreadsheetId(),
      toast: (message, title = "", seconds = 5) => host.toast(message, title, seconds),
      getSheetByName: (name) => (host.sheetNames().includes(name) ? sheetOf(host, name) : null),
      getSpreadsheetTimeZone: () => "Etc/UTC",
      setActiveSheet: (sheet) => (host.activate(sheet.getName()), sheet),
    };
    const properties = {
      getProperty: (key) => host.properties.get(key),
      setProperty: (key, value) => (host.properties.set(key, String(value)), properties),
      deleteProperty: (key) => (host.properties.remove(key), properties),
    };
    const ui = uiOf(host);
    return {
      SpreadsheetApp: { getUi: () => ui, getActive: () => book },
      PropertiesService: { getDocumentProperties: () => properties },
      ScriptApp: {
        getIdentityToken: () => host.identityToken(),
        newTrigger: (handler) => ({ timeBased: () => clockOf(host, handler) }),
        getProjectTriggers: () => triggersOf(host).map((one) => ({ getHandlerFunction: () => one.handler, getUniqueId: () => one.id })),
        deleteTrigger: (trigger) => keepTriggers(host, triggersOf(host).filter((one) => one.id !== trigger.getUniqueId())),
      },
      UrlFetchApp: fetcherOf(host),
      Utilities: {
        formatDate: (day, zone, form) => {
          if (form !== "u" || zone !== "Etc/UTC") throw new Error("The emulator for formatDate knows only the day of the week, in UTC.");
          return String(day.getUTCDay() || 7);
        },
        base64DecodeWebSafe: decoded,
        newBlob: (bytes) => ({ getDataAsString: () => textOf(bytes) }),
      },
      HtmlService: {
        createHtmlOutputFromFile: (name) => output(host.readFile(name)),
        createTemplateFromFile: (name) => {
          const template = {
            evaluate() {
              const given = Object.entries(template).filter(([key]) => key !== "evaluate");
              const all = [...Object.entries(scope), ...given];
              return output(evaluated(host.readFile(name), all.map(([key]) => key), all.map(([, value]) => value)));
            },
          };
          return template;
        },
      },
    };
  }

  /** Run the text of Code.gs over a host. */
  function load(code, host) {
    const scope = {};
    const services = servicesOf(host, scope);
    const names = Array.from(code.matchAll(/^function\s+(\w+)/gm), (found) => found[1]);
    const run = new Function(...Object.keys(services), `"use strict";\n${code}\nreturn {${names.join(", ")}};`);
    Object.assign(scope, run(...Object.values(services)));
    return {
      /** The names that a menu item or an HTML file may call: those that do not end in an underscore. */
      names: names.filter((one) => !one.endsWith("_")),
      open: () => scope.onOpen(),
      /** Call a function as google.script.run does: values go through JSON both ways, private names are refused. */
      call(name, values) {
        if (name.endsWith("_") || !names.includes(name)) throw new Error(`Script function not found: ${name}`);
        const answer = scope[name](...JSON.parse(JSON.stringify(values)));
        return answer === undefined ? undefined : JSON.parse(JSON.stringify(answer));
      },
    };
  }

  root.AppsScript = { load };
})(globalThis);
