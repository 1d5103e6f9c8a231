"""A page to look at spreadsheets, and to change them, in a browser: one file, nothing loaded from elsewhere."""

# ruff: noqa: E501 - most of this file is not Python

from __future__ import annotations

import html
import json
from collections.abc import Sequence


def listing(files: Sequence[tuple[str, str, int]]) -> str:
    """All spreadsheets with their links."""
    rows = "".join(
        f'<li><a href="/view/{html.escape(file_id)}">{html.escape(title)}</a> <small>{tabs} tab(s) · '
        f"<code>{html.escape(file_id)}</code></small></li>"
        for file_id, title, tabs in files
    )
    body = f"<ul>{rows}</ul>" if rows else "<p>No spreadsheets yet.</p>"
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Spreadsheets</title>'
        "<style>body{font:15px system-ui,sans-serif;margin:2rem}li{margin:.5rem 0}small{color:#666}</style></head>"
        f"<body><h1>Spreadsheets</h1>{body}</body></html>"
    )


def view(spreadsheet_id: str, title: str, token: str) -> str:
    """One spreadsheet as a grid; the page reads and writes through the API itself."""
    setting = json.dumps({"id": spreadsheet_id, "token": token}).replace("<", "\\u003c")
    return _VIEW.replace("{{title}}", html.escape(title)).replace("{{setting}}", setting)


_VIEW = r"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>{{title}}</title>
<style>
  body { font: 13px Arial, sans-serif; margin: 0; display: flex; flex-direction: column; height: 100vh; color: #202124; background: #fff; }
  header { height: 42px; padding: 0 12px; border-bottom: 1px solid #dadce0; display: flex; gap: 10px; align-items: center; flex: none; }
  header h1 { font-size: 16px; margin: 0 8px 0 0; white-space: nowrap; }
  header button { border: 1px solid #dadce0; border-radius: 4px; background: #fff; color: #3c4043; font: inherit; padding: 4px 8px; cursor: pointer; white-space: nowrap; }
  .embedded h1, .embedded #reload { display: none; }
  #where { width: 46px; color: #3c4043; font-weight: bold; text-align: center; }
  #formula { flex: 1; min-width: 0; font: inherit; color: inherit; padding: 6px 10px; border: 0; border-left: 1px solid #dadce0; outline: none; }
  #message { color: #b3261e; }
  main { flex: 1; overflow: auto; position: relative; }
  table { border-collapse: separate; border-spacing: 0; table-layout: fixed; }
  td, th { border-right: 1px solid #e2e4e7; border-bottom: 1px solid #e2e4e7; height: 21px; padding: 0 6px; }
  td { overflow: hidden; white-space: nowrap; background: #fff; position: relative; vertical-align: bottom; line-height: 16px; }
  td.number { text-align: right; }
  td.error { color: #b3261e; }
  td.note::after { content: ""; position: absolute; top: 0; right: 0; border: 4px solid; border-color: #f5a623 #f5a623 transparent transparent; }
  td.chosen { outline: 2px solid #1a73e8; outline-offset: -2px; }
  td input[type=text] { width: 100%; border: 0; font: inherit; padding: 0; }
  td input[type=checkbox] { accent-color: #1a73e8; margin: 0; vertical-align: middle; }
  th { background: #f8f9fa; font-weight: normal; font-size: 12px; color: #5f6368; position: sticky; }
  thead th { top: 0; z-index: 6; }
  tbody th { left: 0; z-index: 2; white-space: nowrap; }
  thead th:first-child { left: 0; z-index: 8; }
  td.free:not(.number, .frozen) { overflow: visible; z-index: 1; }
  .frozen { position: sticky; z-index: 2; }
  .frozen.corner { z-index: 3; }
  td.choice { padding-right: 20px; }
  td .open { position: absolute; right: 3px; top: 50%; width: 16px; height: 16px; margin-top: -8px; border: 0; border-radius: 8px; background: none; color: #5f6368; font-size: 9px; padding: 0; cursor: pointer; }
  td .open:hover { background: #e8eaed; }
  td select { position: absolute; inset: 0; width: 100%; font: inherit; }
  td img, td svg { display: block; margin: 0 auto; max-width: 100%; border-radius: 4px; }
  #main:focus-visible { outline: none; }
  .lastfrozen td, .lastfrozen th { border-bottom: 2px solid #bdc1c6; }
  .bare td { border-color: transparent; }
  th button { border: 1px solid #bdc1c6; border-radius: 2px; background: #fff; color: #3c4043; padding: 0; width: 14px; height: 14px; font-size: 11px; line-height: 11px; cursor: pointer; margin-right: 4px; }
  td a { color: inherit; }
  nav { border-top: 1px solid #dadce0; background: #f8f9fa; padding: 0 6px; display: flex; overflow-x: auto; flex: none; scrollbar-width: thin; }
  nav button { border: 0; border-bottom: 3px solid transparent; background: none; color: #5f6368; font: inherit; padding: 9px 10px 7px; cursor: pointer; white-space: nowrap; }
  nav button.chosen { background: #fff; color: #202124; font-weight: bold; }
  nav button.hidden { opacity: .6; font-style: italic; }
  #charts { position: absolute; left: 0; top: 0; z-index: 4; }
  .chart { position: absolute; background: #fff; border: 1px solid #dadce0; border-radius: 8px; overflow: hidden; }
</style>
</head>
<body>
<header><h1>{{title}}</h1><span id="where"></span><input id="formula" aria-label="Content of the chosen cell">
<button id="before">◀ rows</button><button id="after">rows ▶</button><button id="reload" title="Read again">↻</button><span id="message"></span></header>
<main id="main" tabindex="0" aria-label="Cells"><div id="grid"></div><div id="charts"></div></main>
<nav id="tabs"></nav>
<script>
"use strict";
const setting = {{setting}};
const PAGE = 200, COLOURS = ["#4285f4", "#ea4335", "#fbbc04", "#34a853", "#ff6d01", "#46bdc6"];
const base = "/v4/spreadsheets/" + setting.id;
let meta = null, current = null, first = 0, data = {}, chosen = null, hiddenToo = false;
// A page that has a heading of its own shows this one with ?embedded.
document.body.classList.toggle("embedded", new URLSearchParams(location.search).has("embedded"));

const el = (id) => document.getElementById(id);
async function api(method, path, body) {
  const answer = await fetch(base + path, {
    method, headers: { Authorization: "Bearer " + setting.token, "Content-Type": "application/json" },
    body: body ? JSON.stringify(body) : undefined,
  });
  const value = await answer.json();
  el("message").textContent = answer.ok ? "" : value.error.message;
  if (!answer.ok) throw new Error(value.error.message);
  return value;
}
const letters = (index) => {
  let text = "";
  for (index += 1; index; index = Math.floor((index - 1) / 26)) text = String.fromCharCode(65 + (index - 1) % 26) + text;
  return text;
};
const quoted = (title) => "'" + title.replaceAll("'", "''") + "'";
const address = (row, column) => quoted(current.properties.title) + "!" + letters(column) + (row + 1);
const css = (colour) => colour && `rgb(${[colour.red, colour.green, colour.blue].map((one) => Math.round((one || 0) * 255)).join()})`;
const size = () => current.properties.gridProperties;

const hashed = () => Number(new URLSearchParams(location.hash.slice(1)).get("gid") ?? NaN);
async function load() {
  const found = await api("GET", "?fields=" + encodeURIComponent("properties.title,sheets(properties,charts,merges,rowGroups)"));
  const keep = current ? current.properties.sheetId : hashed(); // whichever tab was opened meanwhile
  meta = found;
  current = meta.sheets.find((one) => one.properties.sheetId === keep) || meta.sheets.find((one) => !one.properties.hidden);
  showTabs();
  await loadGrid();
}
function showTabs() {
  const tab = (text, title, look, act) => {
    const button = document.createElement("button");
    Object.assign(button, { textContent: text, title, className: look, onclick: act });
    el("tabs").append(button);
    return button;
  };
  el("tabs").replaceChildren();
  for (const one of meta.sheets) {
    const { title, hidden, tabColor } = one.properties;
    if (hidden && !hiddenToo && one !== current) continue;
    const button = tab(title, hidden ? "A hidden tab" : "", (one === current ? "chosen " : "") + (hidden ? "hidden" : ""), () => open(one));
    if (tabColor) button.style.borderBottomColor = css(tabColor);
  }
  if (meta.sheets.some((one) => one.properties.hidden)) tab("⋯", "Show or hide the hidden tabs", "", () => { hiddenToo = !hiddenToo; showTabs(); });
}
function open(tab) {
  current = tab; first = 0; chosen = null;
  el("where").textContent = el("formula").value = "";
  el("main").scrollTo(0, 0);
  showTabs();
  return loadGrid();
}
// Rows that are folded away are not asked for: a tab may have thousands of them.
const folded = () => (current.rowGroups || []).filter((one) => one.collapsed).map((one) => [one.range.startIndex || 0, one.range.endIndex]);
function shownRows() {
  const rows = [], gaps = folded();
  for (let row = 0, gap = 0; row < size().rowCount; row++) {
    while (gap < gaps.length && gaps[gap][1] <= row) gap++;
    if (gap < gaps.length && gaps[gap][0] <= row) row = gaps[gap][1] - 1; else rows.push(row);
  }
  return rows;
}
async function parts(rows) {
  const ranges = [];
  for (const row of rows) {
    const last = ranges[ranges.length - 1];
    if (last && last[1] === row) last[1]++; else ranges.push([row, row + 1]);
  }
  const text = ranges.map(([from, to]) => "ranges=" + encodeURIComponent(`${quoted(current.properties.title)}!A${from + 1}:${letters(size().columnCount - 1)}${to}`)).join("&");
  const fields = "sheets.data(startRow,rowData.values(userEnteredValue,effectiveValue,formattedValue,effectiveFormat,note,dataValidation,hyperlink),rowMetadata(pixelSize,hiddenByUser,hiddenByFilter),columnMetadata(pixelSize,hiddenByUser))";
  return (await api("GET", `?${text}&fields=${encodeURIComponent(fields)}`)).sheets[0].data;
}
let editing = false;
let asked = 0; // what was asked for before another tab was opened comes too late
async function loadGrid() {
  const mine = ++asked;
  const rows = shownRows(), frozen = size().frozenRowCount || 0;
  first = Math.max(0, Math.min(first, rows.length - 1));
  const wanted = [...new Set([...rows.filter((row) => row < frozen), ...rows.slice(first, first + PAGE)])];
  const found = await parts(wanted);
  if (mine !== asked || editing) return; // nothing is drawn over what somebody types
  data = {};
  for (const some of found) (some.rowMetadata || []).forEach((about, offset) => {
    data[(some.startRow || 0) + offset] = { cells: (some.rowData && some.rowData[offset] && some.rowData[offset].values) || [], about };
  });
  data.columns = found[0].columnMetadata || [];
  el("before").hidden = el("after").hidden = rows.length <= PAGE;
  draw();
  drawCharts();
}
async function fold(group) {
  const dimensionGroup = { range: group.range, depth: group.depth, collapsed: !group.collapsed };
  try {
    await api("POST", ":batchUpdate", { requests: [{ updateDimensionGroup: { dimensionGroup, fields: "collapsed" } }] });
  } finally { await load(); }
}
function draw() {
  const columns = Array.from({ length: size().columnCount }, (_, index) => index).filter((one) => !(data.columns[one] || {}).hiddenByUser).slice(0, 400);
  const frozenRows = size().frozenRowCount || 0, frozenColumns = size().frozenColumnCount || 0;
  const table = document.createElement("table");
  if (size().hideGridlines) table.className = "bare";
  const after = size().rowGroupControlAfter, folds = {};
  for (const group of current.rowGroups || []) folds[after ? group.range.endIndex : (group.range.startIndex || 0) - 1] = group;
  const head = table.createTHead().insertRow();
  const corner = document.createElement("th");
  head.append(corner);
  const lefts = {}, margin = (current.rowGroups || []).length ? 72 : 49;
  corner.style.width = margin - 13 + "px";
  let left = margin;
  for (const column of columns) {
    const th = document.createElement("th");
    const width = (data.columns[column] || {}).pixelSize || 100;
    th.textContent = letters(column);
    th.style.width = th.style.minWidth = width - 13 + "px";
    if (column < frozenColumns) { lefts[column] = left; th.style.left = left + "px"; th.style.zIndex = 7; }
    left += width;
    head.append(th);
  }
  table.style.width = left + "px";
  data.margin = margin;
  const covered = new Set(), spans = {};
  for (const one of current.merges || []) {
    spans[one.startRowIndex + "," + one.startColumnIndex] = one;
    for (let row = one.startRowIndex; row < Math.min(one.endRowIndex, one.startRowIndex + 500); row++)
      for (let column = one.startColumnIndex; column < one.endColumnIndex; column++)
        if (row !== one.startRowIndex || column !== one.startColumnIndex) covered.add(row + "," + column);
  }
  const body = table.createTBody();
  let top = 22;
  for (const row of Object.keys(data).filter((one) => !isNaN(one)).map(Number).sort((a, b) => a - b)) {
    const { cells, about } = data[row];
    if (about.hiddenByUser || about.hiddenByFilter) continue;
    const tr = body.insertRow();
    if (row === frozenRows - 1) tr.className = "lastfrozen";
    const th = document.createElement("th");
    th.textContent = row + 1;
    tr.dataset.row = row;
    tr.style.height = (about.pixelSize || 21) + "px";
    if (folds[row]) {
      const button = document.createElement("button");
      button.textContent = folds[row].collapsed ? "+" : "−";
      button.title = folds[row].collapsed ? "Open the group" : "Fold the group away";
      button.onclick = () => fold(folds[row]);
      th.prepend(button);
    }
    if (row < frozenRows) { th.style.top = top + "px"; th.style.zIndex = 4; }
    tr.append(th);
    for (const column of columns) {
      const key = row + "," + column;
      if (covered.has(key)) continue;
      const td = fill(document.createElement("td"), cells[column] || {}, row, column);
      const next = cells[column + 1] || {};
      if (typeof (cells[column] || {}).formattedValue === "string" && !next.formattedValue && !next.dataValidation && !td.matches(".choice")) td.classList.add("free");
      const merge = spans[key];
      if (merge) { td.rowSpan = merge.endRowIndex - merge.startRowIndex; td.colSpan = merge.endColumnIndex - merge.startColumnIndex; }
      if (row < frozenRows || column < frozenColumns) {
        td.classList.add("frozen");
        if (row < frozenRows) td.style.top = top + "px";
        if (column < frozenColumns) td.style.left = lefts[column] + "px";
        if (row < frozenRows && column < frozenColumns) td.classList.add("corner");
      }
      tr.append(td);
    }
    if (row < frozenRows) top += (about.pixelSize || 21) + 1;
  }
  el("grid").replaceChildren(table);
  if (chosen && data[chosen.row]) mark(body.querySelector(`td[data-at="${chosen.row},${chosen.column}"]`), data[chosen.row].cells[chosen.column] || {});
}
function fill(td, cell, row, column) {
  td.dataset.at = row + "," + column;
  const format = cell.effectiveFormat || {}, text = format.textFormat || {}, value = cell.effectiveValue || {};
  const rule = cell.dataValidation && cell.dataValidation.condition.type;
  if (rule === "BOOLEAN") {
    const box = document.createElement("input");
    box.type = "checkbox";
    box.checked = value.boolValue === true;
    box.onchange = () => write(row, column, box.checked);
    td.append(box);
  } else if (picturesCell(cell)) {
    const link = linkOf(picturesCell(cell));
    if (link) td.append(pictureOf(link, (data[row].about.pixelSize || 21) - 6));
  } else if (cell.hyperlink && /^https?:/.test(cell.hyperlink)) {
    const link = document.createElement("a");
    link.href = cell.hyperlink; link.target = "_blank"; link.rel = "noreferrer";
    link.textContent = cell.formattedValue || "";
    td.append(link);
  } else td.textContent = cell.formattedValue || "";
  if ("numberValue" in value) td.classList.add("number");
  if ("errorValue" in value) { td.classList.add("error"); td.title = value.errorValue.message || ""; }
  if (cell.note) { td.classList.add("note"); td.title = cell.note; }
  if (rule === "ONE_OF_LIST" || rule === "ONE_OF_RANGE") {
    const button = document.createElement("button");
    Object.assign(button, { className: "open", textContent: "▼", title: "Choose from the list", tabIndex: -1 });
    button.onclick = (event) => { event.stopPropagation(); offer(td, cell, row, column); };
    td.classList.add("choice");
    td.append(button);
  }
  if (format.backgroundColor) td.style.background = css(format.backgroundColor);
  if (text.foregroundColor) td.style.color = css(text.foregroundColor);
  if (text.bold) td.style.fontWeight = "bold";
  if (text.italic) td.style.fontStyle = "italic";
  td.style.textDecoration = [text.underline && "underline", text.strikethrough && "line-through"].filter(Boolean).join(" ");
  if (text.fontSize && text.fontSize !== 10) td.style.fontSize = text.fontSize * 1.3 + "px";
  if (format.verticalAlignment) td.style.verticalAlign = format.verticalAlignment.toLowerCase();
  if (format.horizontalAlignment) td.style.textAlign = format.horizontalAlignment.toLowerCase();
  if (format.wrapStrategy === "WRAP") { td.style.whiteSpace = "pre-wrap"; td.style.overflow = "hidden"; }
  for (const [side, one] of Object.entries(format.borders || {}))
    td.style["border" + side[0].toUpperCase() + side.slice(1)] = `${one.style === "SOLID_THICK" ? 3 : one.style === "SOLID_MEDIUM" ? 2 : 1}px ${{ DOTTED: "dotted", DASHED: "dashed", DOUBLE: "double" }[one.style] || "solid"} ${css(one.color || {}) || "#000"}`;
  td.onclick = () => choose(td, cell, row, column);
  td.ondblclick = () => edit(td, cell, row, column);
  return td;
}
// =IMAGE(cell with a link), perhaps inside an IF: which cell that is.
const picturesCell = (cell) => (/\bIMAGE\(\$?([A-Z]+)\$?(\d+)\)/.exec((cell.userEnteredValue || {}).formulaValue || ""));
const columnOf = (text) => [...text].reduce((sum, one) => 26 * sum + one.charCodeAt(0) - 64, 0) - 1;
const linkOf = ([, column, row]) => (((data[row - 1] || { cells: [] }).cells[columnOf(column)] || {}).effectiveValue || {}).stringValue;
// Links of simulated accounts lead nowhere: each is drawn, in a colour of its own.
function pictureOf(link, height) {
  let hue = 0;
  for (const one of link) hue = (31 * hue + one.charCodeAt(0)) % 360;
  const drawn = shape("svg", { width: height * 0.75, height, viewBox: "0 0 36 48", role: "img", "aria-label": "A picture" });
  drawn.append(shape("rect", { width: 36, height: 48, rx: 3, fill: `hsl(${hue} 45% 78%)` }), shape("circle", { cx: 25, cy: 14, r: 6, fill: `hsl(${hue} 60% 90%)` }),
    shape("path", { d: "M0 48V36l12-11 9 8 7-5 8 7v13z", fill: `hsl(${hue} 45% 52%)` }), shape("path", { d: "M14 18l11 7-11 7z", fill: "#fff" }));
  if (/\.example(\.com)?\//.test(link)) return drawn;
  const image = Object.assign(document.createElement("img"), { src: link, alt: "A picture", height });
  image.onerror = () => image.replaceWith(drawn);
  return image;
}
async function offer(td, cell, row, column) {
  const { type, values: given } = cell.dataValidation.condition;
  const texts = type === "ONE_OF_LIST" ? given.map((one) => one.userEnteredValue)
    : ((await api("GET", `/values/${encodeURIComponent(given[0].userEnteredValue.replace(/^=/, ""))}`)).values || []).flat();
  const select = document.createElement("select");
  for (const text of new Set(["", cell.formattedValue || "", ...texts])) select.append(new Option(text, text, false, text === cell.formattedValue));
  editing = true;
  select.onchange = () => { editing = false; write(row, column, select.value); };
  select.onblur = () => { editing = false; select.remove(); };
  select.onkeydown = (event) => { event.stopPropagation(); if (event.key === "Escape") el("main").focus(); };
  td.append(select);
  select.focus();
  if (select.showPicker) try { select.showPicker(); } catch { /* not by a click of the person's */ }
}
const entered = (cell) => {
  const value = cell.userEnteredValue || {};
  if ("formulaValue" in value) return value.formulaValue;
  if ("stringValue" in value) return value.stringValue;
  return cell.formattedValue || "";
};
function choose(td, cell, row, column) {
  chosen = { row, column };
  mark(td, cell);
  if (!td.querySelector("input, select")) el("main").focus({ preventScroll: true });
}
// What the bar shows follows the cell, also when somebody else writes into it.
function mark(td, cell) {
  document.querySelectorAll("td.chosen").forEach((one) => one.classList.remove("chosen"));
  if (td) td.classList.add("chosen");
  el("where").textContent = letters(chosen.column) + (chosen.row + 1);
  if (document.activeElement !== el("formula")) el("formula").value = entered(cell);
}
function edit(td, cell, row, column) {
  if (td.querySelector("input")) return;
  const input = document.createElement("input");
  input.type = "text";
  input.value = entered(cell);
  td.replaceChildren(input);
  input.focus();
  let done = false;
  editing = true;
  const finish = (save) => { if (!done) { done = true; editing = false; save ? write(row, column, input.value) : loadGrid(); } };
  input.onkeydown = (event) => { if (event.key === "Enter") finish(true); if (event.key === "Escape") finish(false); };
  input.onblur = () => finish(input.value !== entered(cell));
}
async function write(row, column, value) {
  try {
    await api("PUT", `/values/${encodeURIComponent(address(row, column))}?valueInputOption=USER_ENTERED`, { values: [[value]] });
  } finally { await loadGrid(); }
}
// Arrow keys move, Enter edits, Delete empties: as in a spreadsheet.
const place = (row, column) => document.querySelector(`td[data-at="${row},${column}"]`);
el("main").onkeydown = (event) => {
  if (!chosen || event.target.matches("input, select, button, a")) return;
  const { row, column } = chosen, step = { ArrowDown: [1, 0], ArrowUp: [-1, 0], ArrowRight: [0, 1], ArrowLeft: [0, -1] }[event.key];
  const td = place(row, column);
  if (!td) return;
  if (step) {
    event.preventDefault();
    let next = null;
    for (let n = 1; n < 60 && !next; n++) next = place(row + n * step[0], column + n * step[1]); // past what is hidden
    if (next) { next.click(); next.scrollIntoView({ block: "nearest", inline: "nearest" }); }
  } else if (event.key === "Enter") { event.preventDefault(); td.ondblclick(); }
  else if (event.key === " " && td.querySelector("input[type=checkbox]")) { event.preventDefault(); td.querySelector("input").click(); }
  else if (event.key === "Delete") write(row, column, "");
};
el("formula").onkeydown = (event) => { if (event.key === "Enter" && chosen) write(chosen.row, chosen.column, el("formula").value); };
el("before").onclick = () => { first -= PAGE; loadGrid(); };
el("after").onclick = () => { if (first + PAGE < size().rowCount) { first += PAGE; loadGrid(); } };
el("reload").onclick = load;
window.onhashchange = async () => {
  const tab = meta && meta.sheets.find((one) => one.properties.sheetId === hashed());
  if (tab) await open(tab);
  const named = /^([A-Z]+)(\d+)$/.exec(new URLSearchParams(location.hash.slice(1)).get("range") || "");
  const td = named && place(named[2] - 1, columnOf(named[1]));
  if (td) { td.click(); td.scrollIntoView({ block: "nearest", inline: "nearest" }); }
};
// With ?live=2 what others write is shown every two seconds, unless somebody is typing.
const live = Number(new URLSearchParams(location.search).get("live") || 0);
if (live) (async () => {
  for (;;) {
    await new Promise((resolve) => setTimeout(resolve, 1000 * live));
    if (!document.hidden && !(document.activeElement && document.activeElement.matches("input, select"))) await load().catch(() => {});
  }
})();

// Charts: the ranges are read through the API and drawn as plain SVG.
function rangeText(one) {
  const sheet = meta.sheets.find((other) => other.properties.sheetId === (one.sheetId || 0));
  const grid = sheet.properties.gridProperties;
  return `${quoted(sheet.properties.title)}!${letters(one.startColumnIndex || 0)}${(one.startRowIndex || 0) + 1}:${letters((one.endColumnIndex || grid.columnCount) - 1)}${one.endRowIndex || grid.rowCount}`;
}
async function values(range, formatted) {
  const option = formatted ? "FORMATTED_VALUE" : "UNFORMATTED_VALUE";
  const answer = await api("GET", `/values/${encodeURIComponent(rangeText(range))}?valueRenderOption=${option}`);
  return (answer.values || []).flat();
}
async function drawCharts() {
  const mine = asked;
  const shown = await Promise.all((current.charts || []).map(async (chart) => {
    const box = document.createElement("div");
    box.className = "chart";
    const place = chart.position.overlayPosition || { widthPixels: 600, heightPixels: 371, anchorCell: {} };
    const anchor = place.anchorCell || {};
    let x = data.margin + (place.offsetXPixels || 0);
    for (let column = 0; column < (anchor.columnIndex || 0); column++) x += (data.columns[column] || {}).pixelSize || 100;
    box.style.left = x + "px";
    const row = document.querySelector(`tr[data-row="${anchor.rowIndex || 0}"]`);
    box.style.top = (row ? row.offsetTop : 22) + (place.offsetYPixels || 0) + "px";
    box.append(await picture(chart.spec, place.widthPixels, place.heightPixels));
    return box;
  }));
  if (mine === asked) el("charts").replaceChildren(...shown);
}
const SVG = "http://www.w3.org/2000/svg";
function shape(name, attributes, text) {
  const one = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) one.setAttribute(key, value);
  if (text !== undefined) one.textContent = text;
  return one;
}
async function picture(spec, width, height) {
  const svg = shape("svg", { width, height, viewBox: `0 0 ${width} ${height}`, "font-family": "Arial", "font-size": 13 });
  const look = spec.titleTextFormat || {};
  svg.append(shape("text", { x: 16, y: 28, "font-size": (look.fontSize || 12) * 1.33, "font-weight": look.bold ? "bold" : "normal", fill: "#202124" }, spec.title || ""));
  const pie = spec.pieChart, basic = spec.basicChart, score = spec.scorecardChart;
  const source = (one) => one.sourceRange.sources[0];
  if (score) {
    const [value] = await values(source(score.keyValueData), true);
    svg.append(shape("text", { x: width / 2, y: height / 2 + 14, "font-size": 40, "text-anchor": "middle" }, value ?? ""));
    return svg;
  }
  if (!pie && !basic) { svg.append(shape("text", { x: 12, y: 50 }, "(this kind of chart is not drawn here)")); return svg; }
  const domain = pie ? pie.domain : basic.domains && basic.domains[0] && basic.domains[0].domain;
  const series = pie ? [{ series: pie.series }] : basic.series || [];
  const skip = basic ? basic.headerCount ?? 0 : 0;
  const labels = domain ? (await values(source(domain), true)).slice(skip) : [];
  const lines = await Promise.all(series.map(async (one) => {
    const all = await values(source(one.series));
    return { name: skip ? String(all[0] ?? "") : "", points: all.slice(skip).map((value) => typeof value === "number" ? value : null), type: one.type, dots: (one.lineStyle || {}).type === "INVISIBLE", right: one.targetAxis === "RIGHT_AXIS", colour: css((one.colorStyle || {}).rgbColor || one.color) };
  }));
  if (pie) { drawPie(svg, labels, lines[0].points, width, height); return svg; }
  drawBasic(svg, basic, labels, lines, width, height);
  return svg;
}
function drawPie(svg, labels, points, width, height) {
  const total = points.reduce((sum, one) => sum + Math.max(0, one || 0), 0) || 1;
  const radius = Math.min(width, height - 50) / 2 - 10, cx = radius + 20, cy = 40 + radius;
  let angle = -Math.PI / 2;
  points.slice(0, 30).forEach((one, index) => {
    const next = angle + 2 * Math.PI * Math.min(0.99999, Math.max(0, one || 0) / total), colour = COLOURS[index % COLOURS.length];
    const [x1, y1, x2, y2] = [Math.cos(angle), Math.sin(angle), Math.cos(next), Math.sin(next)].map((part, at) => (at % 2 ? cy : cx) + radius * part);
    svg.append(shape("path", { d: `M${cx},${cy}L${x1},${y1}A${radius},${radius} 0 ${next - angle > Math.PI ? 1 : 0} 1 ${x2},${y2}Z`, fill: colour }));
    svg.append(shape("text", { x: cx + radius + 20, y: 50 + 16 * index, fill: colour }, `${labels[index] ?? ""} ${Math.round((one || 0) / total * 100)}%`));
    angle = next;
  });
}
// Numbers and days as short as an axis needs them.
const brief = (value) => Math.abs(value) >= 1e6 ? +(value / 1e6).toPrecision(3) + "M" : Math.abs(value) >= 1e4 ? +(value / 1e3).toPrecision(3) + "K" : Math.abs(value) >= 1e3 ? Math.round(value).toLocaleString("en") : String(+value.toPrecision(3));
const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
function label(text, length) {
  const day = /^\d{4}-(\d\d)-(\d\d)$/.exec(text ?? "");
  if (day) return `${MONTHS[day[1] - 1]} ${+day[2]}`;
  return String(text ?? "").length > length ? String(text).slice(0, length - 1) + "…" : String(text ?? "");
}
function drawBasic(svg, basic, labels, lines, width, height) {
  const stacked = basic.stackedType && basic.stackedType !== "NOT_STACKED", flat = basic.chartType === "BAR";
  const count = Math.max(1, ...lines.map((one) => one.points.findLastIndex((value) => value !== null) + 1));
  const step = Math.max(1, Math.ceil(count / 400)), places = Array.from({ length: Math.ceil(count / step) }, (_, index) => index * step);
  const words = places.map((at) => label(labels[at], flat ? 20 : 17)), longest = 7 * Math.max(1, ...words.map((one) => one.length));
  const legend = basic.legendPosition !== "NO_LEGEND", rightward = lines.some((one) => one.right);
  const titled = (position) => (basic.axis || []).find((one) => one.position === position && one.title);
  const x = flat ? Math.min(width / 3, longest) + 22 : titled("LEFT_AXIS") ? 76 : 62;
  const slanted = !flat && places.length <= 12 && longest > (width - x - 60) / places.length, below = (slanted ? Math.min(90, longest * 0.55) : 14) + (legend ? 36 : 12);
  const area = { x, y: 48, w: width - x - (rightward ? titled("RIGHT_AXIS") ? 72 : 56 : 24), h: height - 56 - below };
  const axis = (some, right) => {
    const all = stacked ? places.map((at) => some.reduce((sum, one) => sum + (one.points[at] || 0), 0)) : some.flatMap((one) => places.map((at) => one.points[at] || 0));
    const top = Math.max(0, ...all), unit = Math.pow(10, Math.floor(Math.log10(top / 4 || 1)));
    const low = Math.min(0, ...all), high = top ? [1, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10].map((one) => one * unit * 4).find((one) => one >= top) : 1, span = high - low;
    const scale = (value) => flat ? area.x + (value - low) / span * area.w : area.y + area.h - (value - low) / span * area.h;
    for (let tick = 0; tick <= 4; tick++) {
      const value = low + span * tick / 4, at = scale(value);
      const text = high <= 1 && right ? +(value * 100).toPrecision(3) + "%" : brief(value);
      if (!right) svg.append(flat ? shape("line", { x1: at, x2: at, y1: area.y, y2: area.y + area.h, stroke: "#e8eaed" }) : shape("line", { x1: area.x, x2: area.x + area.w, y1: at, y2: at, stroke: "#e8eaed" }));
      svg.append(flat ? shape("text", { x: at, y: area.y + area.h + 18, "text-anchor": "middle", fill: "#5f6368" }, text)
        : shape("text", { x: right ? area.x + area.w + 8 : area.x - 8, y: at + 4, "text-anchor": right ? "start" : "end", fill: "#5f6368" }, text));
    }
    return scale;
  };
  for (const [position, at, turn] of [["LEFT_AXIS", 18, -90], ["RIGHT_AXIS", width - 14, 90]]) {
    const one = titled(position), middle = area.y + area.h / 2;
    if (one) svg.append(shape("text", { x: at, y: middle, "text-anchor": "middle", "font-size": 12, "font-weight": "bold", fill: css(((one.format || {}).foregroundColorStyle || {}).rgbColor) || "#5f6368", transform: `rotate(${turn} ${at} ${middle})` }, one.title));
  }
  const left = axis(lines.filter((one) => !one.right), false), right = rightward ? axis(lines.filter((one) => one.right), true) : left;
  const slot = (flat ? area.h : area.w) / places.length;
  const each = flat ? Math.ceil(16 / slot) : slanted ? 1 : Math.ceil((longest + 14) / slot);
  const middle = (index) => (flat ? area.y : area.x) + slot * (index + 0.5);
  words.forEach((text, index) => {
    if (index % each) return;
    const at = flat ? { x: area.x - 8, y: middle(index) + 4, "text-anchor": "end" }
      : slanted ? { x: middle(index) + 5, y: area.y + area.h + 15, "text-anchor": "end", "font-size": 12, transform: `rotate(-33 ${middle(index) + 5} ${area.y + area.h + 15})` }
      : { x: middle(index), y: area.y + area.h + 18, "text-anchor": "middle" };
    svg.append(shape("text", { ...at, fill: "#5f6368" }, text));
  });
  const bars = lines.filter((one) => ["COLUMN", "BAR", "STEPPED_AREA"].includes(one.type || basic.chartType));
  const base = places.map(() => 0);
  let from = area.x;
  lines.forEach((one, number) => {
    const colour = one.colour || COLOURS[number % COLOURS.length], index = bars.indexOf(one), scale = one.right ? right : left;
    if (index >= 0) {
      places.forEach((at, place) => {
        const value = one.points[at] || 0, from = scale(stacked ? base[place] : 0), to = scale((stacked ? base[place] : 0) + value);
        const thick = Math.max(1, slot * 0.7 / (stacked ? 1 : bars.length)), start = middle(place) - slot * 0.35 + (stacked ? 0 : thick * index);
        const along = Math.min(from, to), size = Math.abs(to - from);
        svg.append(shape("rect", { ...(flat ? { x: along, y: start, width: size, height: thick } : { x: start, y: along, width: thick, height: size }), rx: 1.5, fill: colour }));
        if (stacked) base[place] += value;
      });
    } else {
      const dots = places.map((at, place) => one.points[at] === null || one.points[at] === undefined ? null : [middle(place), scale(one.points[at])]).filter(Boolean);
      if (one.dots || (one.type || basic.chartType) === "SCATTER") dots.forEach(([x, y]) => svg.append(shape("circle", { cx: x, cy: y, r: one.dots ? 4.5 : 3, fill: colour })));
      else svg.append(shape("polyline", { points: dots.map((dot) => dot.join()).join(" "), fill: "none", stroke: colour, "stroke-width": 2.5, "stroke-linejoin": "round" }));
    }
    if (!legend) return;
    const name = one.name.slice(0, 24);
    svg.append(shape("rect", { x: from, y: height - 25, width: 11, height: 11, rx: 2, fill: colour }));
    svg.append(shape("text", { x: from + 17, y: height - 15, fill: "#3c4043" }, name));
    from += 44 + 7 * name.length;
  });
}
load();
</script>
</body>
</html>
"""
