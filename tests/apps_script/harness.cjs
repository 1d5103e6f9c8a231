/**
 * The real Code.gs in a context that has nothing of node: only what shims.js offers.
 *
 *   node harness.cjs SHIMS FOLDER SPREADSHEET_ID
 *
 * One JSON document per line comes in, {"call": name, "values": […], "token": text, "answers": [button, …],
 * "properties": {…}, "sheets": [title, …], "reach": {address: where it really is}}, and one goes out: {"answer": …} or {"thrown": text}, with "seen": everything
 * that was shown to the person ("alert", "toast", "sidebar", "dialog", "menu", "activate") and "properties".
 * UrlFetchApp makes real HTTP calls; it waits for them, as Apps Script does.
 */
"use strict";
const fs = require("node:fs");
const path = require("node:path");
const readline = require("node:readline");
const vm = require("node:vm");
const { Worker, MessageChannel, receiveMessageOnPort } = require("node:worker_threads");

const FETCHER = `
const { parentPort } = require("node:worker_threads");
parentPort.on("message", async ({ request, port, flag }) => {
  let answer;
  try {
    const got = await fetch(request.url, { method: request.method, headers: request.headers, body: request.payload, redirect: "manual" });
    answer = { status: got.status, headers: Object.fromEntries(got.headers), body: await got.text() };
  } catch (error) {
    answer = { thrown: String(error) };
  }
  port.postMessage(answer);
  Atomics.store(flag, 0, 1);
  Atomics.notify(flag, 0);
});`;
const fetcher = new Worker(FETCHER, { eval: true });
fetcher.unref();

function fetchNow(request) {
  const { port1, port2 } = new MessageChannel();
  const flag = new Int32Array(new SharedArrayBuffer(4));
  fetcher.postMessage({ request, port: port2, flag }, [port2]);
  Atomics.wait(flag, 0, 0);
  const { message } = receiveMessageOnPort(port1);
  port1.close();
  if (message.thrown) throw new Error(message.thrown);
  return message;
}

const [shims, folder, spreadsheetId] = process.argv.slice(2);
const context = vm.createContext({});
vm.runInContext(fs.readFileSync(shims, "utf8"), context, { filename: shims });
const code = fs.readFileSync(path.join(folder, "Code.gs"), "utf8");

function carriedOut(order) {
  const seen = [];
  const properties = new Map(Object.entries(order.properties || {}));
  const answers = [...(order.answers || [])];
  const host = {
    spreadsheetId: () => spreadsheetId,
    sheetNames: () => order.sheets || [],
    activate: (name) => seen.push(["activate", name]),
    toast: (message, title) => seen.push(["toast", title, message]),
    alert: (title, text, buttons) => (seen.push(["alert", title, text, buttons]), answers.shift() || "CLOSE"),
    addMenu: ({ title, items }) => seen.push(["menu", title, items]),
    showSidebar: ({ title, html }) => seen.push(["sidebar", title, html]),
    showDialog: ({ title, html }) => seen.push(["dialog", title, html]),
    readFile: (name) => fs.readFileSync(path.join(folder, `${name}.html`), "utf8"),
    fetch: (request) => fetchNow({ ...request, url: (order.reach || {})[request.url] || request.url }),
    identityToken: () => order.token,
    properties: {
      get: (key) => (properties.has(key) ? properties.get(key) : null),
      set: (key, value) => properties.set(key, value),
      remove: (key) => properties.delete(key),
    },
  };
  let outcome;
  try {
    // Every call runs the script again from the start, as Apps Script does: nothing is kept in variables between two calls.
    const script = context.AppsScript.load(code, host);
    outcome = order.call === "onOpen" ? { names: script.names, answer: script.open() } : { answer: script.call(order.call, order.values || []) };
  } catch (error) {
    outcome = { thrown: String(error && error.message) };
  }
  return { ...outcome, seen, properties: Object.fromEntries(properties) };
}

readline.createInterface({ input: process.stdin }).on("line", (line) => {
  process.stdout.write(`${JSON.stringify(carriedOut(JSON.parse(line)))}\n`);
});
