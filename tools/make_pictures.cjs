/**
 * Takes pictures of pages in headless Chromium, used as a person uses them.
 *
 *   node make_pictures.cjs CHROMIUM FOLDER SCENARIO URL
 *
 * Run by make_pictures.py, which starts what the URL serves. All pictures are wide enough to be read at 800 pixels.
 */
"use strict";
const path = require("node:path");
const { chromium } = require("../tests/apps_script/node_modules/playwright-core");

const [executablePath, folder, scenario, url] = process.argv.slice(2);
const WIDE = 1120;

const to = (name) => ({ path: path.join(folder, `${name}.png`), animations: "disabled" });
const sheet = (page) => page.frameLocator("#sheet");
const sidebar = (page) => page.frameLocator(".owox-sidebar iframe");
const dialog = (page) => page.frameLocator(".owox-dialog iframe");
const wait = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

async function choose(page, item) {
  await page.getByRole("button", { name: "OWOX", exact: true }).click();
  await page.getByRole("menuitem", { name: item }).click();
}
const openTab = (where, title) => where.locator("#tabs").getByRole("button", { name: title, exact: true }).click();
const row = (where, text) => where.locator("#grid tbody tr", { has: where.locator("td").getByText(text, { exact: true }) }).first();

/** Drag a tab's columns to these widths, as a person would. Runs in the Sheet's own page. */
async function widen(title, widths) {
  const { sheetId } = meta.sheets.find((one) => one.properties.title === title).properties;
  const requests = widths.map((pixelSize, at) => ({ updateDimensionProperties: {
    range: { sheetId, dimension: "COLUMNS", startIndex: at, endIndex: at + 1 }, properties: { pixelSize }, fields: "pixelSize" } }));
  await api("POST", ":batchUpdate", { requests });
}
/** Hide columns of a tab, as a person would who does not want to see ids. */
async function hide(title, columns) {
  const { sheetId } = meta.sheets.find((one) => one.properties.title === title).properties;
  const requests = columns.map((at) => ({ updateDimensionProperties: {
    range: { sheetId, dimension: "COLUMNS", startIndex: at, endIndex: at + 1 }, properties: { hiddenByUser: true }, fields: "hiddenByUser" } }));
  await api("POST", ":batchUpdate", { requests });
}
async function withoutIds(page) {
  await page.evaluate(`(${hide})("Ad report daily", [0, 1, 4, 11])`);
  await resize(page, "Ad report daily", [150, 150, 100, 80, 150, 130, 170, 90, 105, 75, 105, 150, 140]);
}
const resize = (page, title, widths) => page.evaluate(`(${widen})(${JSON.stringify(title)}, ${JSON.stringify(widths)})`);

async function fillIn(page, parameter, value) {
  const cell = row(sheet(page), parameter).locator("td").nth(1);
  await cell.click();
  await cell.dblclick();
  await cell.locator("input").fill(value);
  await cell.locator("input").press("Enter");
  await row(sheet(page), parameter).locator("td").nth(1).getByText(value, { exact: true }).waitFor();
}
const day = (ago) => new Date(Date.now() - ago * 864e5).toISOString().slice(0, 10);

async function state(page, word) {
  await sidebar(page).locator("#state").getByText(word, { exact: true }).waitFor({ timeout: 120000 });
}

/** A tab alone in a window that is as large as what is worth seeing. */
async function tab(page, name, title, width, height, chosen = "0,0") {
  await page.setViewportSize({ width, height });
  await openTab(page, title);
  await page.locator("#grid td").first().waitFor();
  await wait(1200);
  await page.locator(`td[data-at="${chosen}"]`).click();
  await page.screenshot(to(name));
}

const scenarios = {
  /** The page with Sheet and menu: an import, its rows, a mistake, the dialogs. */
  async laptop(page) {
    await page.setViewportSize({ width: WIDE, height: 660 });
    await page.goto(url);
    await sheet(page).locator("#grid td").first().waitFor();
    const inner = page.frames().find((one) => one.url().includes("/view/"));
    await resize(inner, "Config", [190, 270, 310]);
    await fillIn(page, "End Date", day(2)); // a day that is over in every account, so that no chart ends in half a day
    await choose(page, "Run import");
    await state(page, "Running");
    const status = row(sheet(page), "Current Status").locator("td").nth(1);
    for (;;) { // the sidebar asks less often than the Sheet is written
      const [cell, side] = [await status.textContent(), await sidebar(page).locator("main").innerText()];
      const percent = Number((/(\d+) %/.exec(cell) || [])[1]);
      if (percent >= 50 && side.includes(cell)) break;
      if (/^(Up to date|Error)/.test(cell)) throw new Error(`too late: ${cell}`);
      if (percent >= 50) await sidebar(page).getByRole("button", { name: "Refresh" }).click({ timeout: 1000 }).catch(() => {});
      await wait(100);
    }
    await page.screenshot(to("laptop-running"));
    await page.locator(".owox-sidebar").screenshot(to("menu-running"));
    await state(page, "Done");
    await sheet(page).getByText(/^Up to date through /).first().waitFor();
    await withoutIds(inner);
  },

  async picker(page) {
    await page.setViewportSize({ width: WIDE, height: 700 });
    await page.goto(url);
    await choose(page, "Choose data…");
    const side = sidebar(page);
    await side.getByText(/Counted by TikTok/).waitFor({ timeout: 60000 });
    await side.getByRole("button", { name: /^Ad by day/ }).first().click();
    await side.getByRole("button", { name: "Video", exact: true }).click();
    await wait(300);
    await page.screenshot(to("menu-choose"));
    await choose(page, "Schedule…");
    await dialog(page).getByLabel("Every day").check();
    await wait(300);
    await page.locator(".owox-dialog").screenshot(to("menu-schedule"));
  },

  async mistake(page) {
    await page.setViewportSize({ width: WIDE, height: 660 });
    await page.goto(url);
    await sheet(page).locator("#grid td").first().waitFor();
    await fillIn(page, "Start Date*", "soon");
    await fillIn(page, "Reimport Lookback Window", "many");
    await choose(page, "Run import");
    await sidebar(page).getByText(/Config!B\d+/).first().waitFor({ timeout: 60000 });
    await sheet(page).getByText(/^Error: Config!B\d+/).waitFor();
    await wait(500);
    await page.screenshot(to("laptop-mistake"));
    await fillIn(page, "Start Date*", day(90));
    await fillIn(page, "Reimport Lookback Window", "7");
    await choose(page, "Run import");
    await sheet(page).getByText(/^Up to date through /).first().waitFor({ timeout: 60000 });
  },

  async logs(page) {
    await page.goto(url);
    await page.locator("#grid td").first().waitFor();
    await resize(page, "Logs", [150, 90, 130, 90, 610]);
    await page.locator("#reload").click();
    await tab(page, "template-logs", "Logs", WIDE, 430, "1,4");
  },

  async dialogs(page) {
    await page.setViewportSize({ width: 1000, height: 760 });
    await page.goto(url);
    await sheet(page).locator("#grid td").first().waitFor();
    await fillIn(page, "Clean Up To Keep Window", "100");
    const box = dialog(page);
    await choose(page, "Backfill…");
    await box.getByLabel("First day").fill(day(30));
    await box.getByLabel("Last day").fill(day(17));
    await box.getByRole("button", { name: "Show the plan" }).click();
    await box.getByText(/rows? in .* requests?, /).waitFor({ timeout: 60000 });
    await page.locator(".owox-dialog").screenshot(to("menu-backfill"));
    await page.getByRole("button", { name: /^Close/ }).last().click();
    await choose(page, "Clean up old data…");
    await box.getByRole("button", { name: /^Delete .* rows?$/ }).waitFor({ timeout: 60000 });
    await page.locator(".owox-dialog").screenshot(to("menu-clean-up"));
    await page.getByRole("button", { name: /^Close/ }).last().click();
  },

  /** The tabs, each alone. */
  async tabs(page) {
    await page.goto(url);
    await page.locator("#grid td").first().waitFor();
    await resize(page, "Fields", [64, 180, 170, 170, 80, 384]);
    await page.locator("#reload").click();
    await tab(page, "template-start", "Start here", 880, 706, "0,2");
    await tab(page, "template-config", "Config", 830, 766, "6,1");
    await openTab(page, "Fields");
    await row(page, "campaigns").getByTitle("Open the group").click();
    await row(page, "budget").waitFor();
    await tab(page, "template-fields", "Fields", WIDE, 640, "1,1");
    await tab(page, "template-data", "Ad report daily", WIDE, 560, "1,6");
  },

  async numbers(page) {
    await page.goto(url);
    await page.locator("#grid td").first().waitFor();
    await resize(page, "Numbers", [150, 150, 70, 92, 92, 64, 180, 112, 92, ...Array(30).fill(26)]);
    await page.locator("#reload").click();
    await tab(page, "template-numbers", "Numbers", 1830, 372, "4,1");
  },

  async dashboard(page) {
    await page.setViewportSize({ width: 1530, height: 1240 });
    await page.goto(url);
    await openTab(page, "Dashboard");
    await page.locator("#charts svg").nth(2).waitFor({ timeout: 60000 });
    await wait(1500);
    await page.locator(`td[data-at="3,1"]`).click();
    await page.screenshot(to("template-dashboard"));
  },

  async set_up(page) {
    await page.setViewportSize({ width: 1000, height: 760 });
    await page.goto(url);
    await choose(page, "Set up…");
    await dialog(page).getByText("@").first().waitFor();
    await dialog(page).getByRole("button", { name: "Save and test" }).click();
    await dialog(page).getByRole("alert").waitFor();
    await page.locator(".owox-dialog").screenshot(to("menu-set-up"));
  },

  /** An asset in Dagster's page, past what it asks a new person. */
  async dagster(page) {
    await page.setViewportSize({ width: WIDE, height: 700 });
    await page.goto(`${url}/assets/tiktok_ads/ad_report_daily?view=overview`);
    await page.getByRole("button", { name: "Skip" }).click({ timeout: 60000 });
    await page.getByText("stat_time_day").first().waitFor();
    await page.getByText("Row count").first().waitFor();
    await wait(2000); // the icons of kinds come later
    await page.screenshot(to("dagster"));
  },

  /** One card on a page of our own. */
  async message(page) {
    await page.setViewportSize({ width: 760, height: 400 });
    await page.goto(url);
    await page.locator("#card").screenshot(to("message-slack"));
  },
};

(async () => {
  const browser = await chromium.launch({ executablePath, args: ["--no-sandbox", "--font-render-hinting=none"] });
  try {
    const sharp = ["dashboard", "numbers"].includes(scenario) ? 1 : 1.5;
    const page = await browser.newPage({ locale: "en-GB", timezoneId: "UTC", reducedMotion: "reduce", deviceScaleFactor: sharp });
    await scenarios[scenario](page);
  } finally {
    await browser.close();
  }
})().catch((error) => {
  console.error(error);
  process.exitCode = 1;
});
