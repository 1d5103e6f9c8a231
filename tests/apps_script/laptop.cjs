/**
 * The whole product on a laptop, used by a person in headless Chromium.
 *
 *   node laptop.cjs CHROMIUM URL SCENARIO
 *
 * Cells are edited and ticked in the page's grid, the rest is done in the menu.
 */
"use strict";
const assert = require("node:assert/strict");
const { chromium } = require("playwright-core");

const [executablePath, url, scenario] = process.argv.slice(2);

const sheet = (page) => page.frameLocator("#sheet");
const sidebar = (page) => page.frameLocator(".owox-sidebar iframe");

async function choose(page, item) {
  await page.getByRole("button", { name: "OWOX", exact: true }).click();
  await page.getByRole("menuitem", { name: item }).click();
}

async function openTab(page, title) {
  await sheet(page).locator("#tabs").getByRole("button", { name: title, exact: true }).click();
}

/** A row of the grid by a text in one of its cells. */
const row = (page, text) =>
  sheet(page).locator("#grid tbody tr", { has: page.frameLocator("#sheet").locator("td").getByText(text, { exact: true }) }).first();

async function fillIn(page, parameter, value) {
  await openTab(page, "Config");
  const cell = row(page, parameter).locator("td").nth(1);
  await cell.dblclick();
  await cell.locator("input").fill(value);
  await cell.locator("input").press("Enter");
  await row(page, parameter).locator("td").nth(1).getByText(value, { exact: true }).waitFor();
}

async function state(page, ...words) {
  const pill = sidebar(page).locator("#state");
  for (const until = Date.now() + 90000; ; await page.waitForTimeout(100)) {
    const said = (await pill.count()) ? await pill.textContent() : "";
    if (words.includes(said)) return said;
    assert.ok(Date.now() < until, `waited for ${words}, the sidebar says ${said}`);
  }
}

const scenarios = {
  /** Edit Config, tick an object and a field, import, watch it, see the rows. */
  async from_config_to_rows(page) {
    await fillIn(page, "Reimport Lookback Window", "3");
    await openTab(page, "Fields");
    const box = row(page, "campaign_report_daily").locator("input[type=checkbox]");
    assert.equal(await box.isChecked(), false);
    await box.check();
    await openTab(page, "Config");
    await row(page, "Current Status").locator("td").nth(1).click();
    await choose(page, "Run import");
    await state(page, "Running");
    await sheet(page).getByText(/^Importing [1-9]\d* % · [A-Z][a-z ]+ · \d+ of \d+ windows$/).waitFor({ timeout: 60000 });
    await state(page, "Done");
    await sheet(page).getByText(/^Up to date through /).first().waitFor();
    // The bar shows what the chosen cell holds by now, not what it held when it was clicked.
    assert.match(await sheet(page).locator("#formula").inputValue(), /^Up to date through /);
    const hidden = sheet(page).locator("#tabs").getByRole("button", { name: "_owox_tiktok_state" });
    assert.equal(await hidden.count(), 0);
    await sheet(page).locator("#tabs").getByTitle("Show or hide the hidden tabs").click();
    assert.equal(await hidden.count(), 1);
    await openTab(page, "Campaign report daily");
    await sheet(page).locator("#grid").getByText("Spend", { exact: true }).waitFor();
    assert.ok((await sheet(page).locator("#grid tbody tr").count()) > 30);
    await openTab(page, "Dashboard");
    await sheet(page).locator("#charts svg").first().waitFor();
    await page.waitForTimeout(500);
    await openTab(page, "Logs");
    await sheet(page).getByText(/rows stored/).first().waitFor();
  },

  /** A mistake is a sentence with its cell, in the sidebar and in the Sheet. */
  async a_mistake_is_a_sentence(page) {
    await fillIn(page, "Start Date*", "soon");
    await choose(page, "Run import");
    await state(page, "Error");
    await sidebar(page).getByText(/Config!B\d+/).first().waitFor();
    await sheet(page).getByText(/^Error: Config!B\d+: 'soon' is not a day/).waitFor();
  },

  /** Started twice: the second start finds the first. Then cancelled. */
  async twice_and_cancelled(page) {
    await choose(page, "Run import");
    await state(page, "Running");
    await page.waitForTimeout(11000); // later than a double click, which would be the same run
    await choose(page, "Run import");
    await sidebar(page).getByText(/already running/).waitFor();
    await sidebar(page).getByRole("button", { name: "Cancel run" }).click();
    await state(page, "Cancelled");
    await sheet(page).getByText(/cancelled (with \d+ windows? left|before it was known what to read)/).first().waitFor();
  },

  /** The deadline strikes in the middle, perhaps several times, and the run goes on by itself to its end. */
  async the_deadline_strikes(page) {
    await choose(page, "Run import");
    await state(page, "Running", "Done"); // the sidebar asks every few seconds: a short run is over by then
    await state(page, "Done");
  },
};

(async () => {
  const browser = await chromium.launch({ executablePath, args: ["--no-sandbox"] });
  try {
    const page = await browser.newPage({ viewport: { width: 1280, height: 760 }, locale: "en-GB", timezoneId: "UTC" });
    const broken = [];
    page.on("pageerror", (error) => broken.push(String(error)));
    await page.goto(url);
    await sheet(page).locator("#grid td").first().waitFor();
    await scenarios[scenario](page);
    assert.deepEqual(broken, []);
  } finally {
    await browser.close();
  }
})().catch((error) => {
  console.error(error);
  process.exitCode = 1;
});
