/**
 * The menu in headless Chromium, used as a person uses it.
 *
 *   node browser.cjs CHROMIUM URL NOW SCENARIO
 *
 * Each scenario is a visit to the page at URL at the moment NOW; an assertion that fails ends the process with 1.
 */
"use strict";
const assert = require("node:assert/strict");
const { chromium } = require("playwright-core");

const [executablePath, url, now, scenario] = process.argv.slice(2);

async function choose(page, item) {
  await page.getByRole("button", { name: "OWOX", exact: true }).click();
  await page.getByRole("menuitem", { name: item }).click();
}

/** The frame of what is open: the sidebar or a dialog. */
const sidebar = (page) => page.frameLocator(".owox-sidebar iframe");
const dialog = (page) => page.frameLocator(".owox-dialog iframe");

/** Wait for something. The page's clock is turned on meanwhile, so that nobody waits for its next question. */
async function until(page, what, there) {
  for (const end = Date.now() + 60000; !(await there()); ) {
    assert.ok(Date.now() < end, `waited for: ${what}. The sidebar says: ${await sidebar(page).locator("main").innerText()}`);
    await page.clock.runFor(500);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
const state = (page, word) => until(page, word, async () => (await sidebar(page).locator("#state").textContent()) === word);

/** Wait until the run has left the queue: from then on it holds the Sheet. */
const underWay = (page) => until(page, "since", async () => (await sidebar(page).locator("#since").textContent()).startsWith("since"));

const scenarios = {
  async the_menu_opens_by_keyboard(page) {
    await page.getByRole("button", { name: "OWOX", exact: true }).focus();
    await page.keyboard.press("Enter");
    const items = await page.getByRole("menuitem").allTextContents();
    assert.deepEqual(items, ["Run import", "Backfill…", "Choose data…", "Choose accounts…", "Schedule…", "Show progress", "Cancel run", "Check my numbers", "Why is this number different?", "Test connection", "Clean up old data…", "Connect TikTok…", "Set up…"]);
    await page.keyboard.press("ArrowDown");
    assert.equal(await page.evaluate(() => document.activeElement.textContent), "Backfill…");
    await page.keyboard.press("Escape");
    assert.equal(await page.getByRole("menuitem").first().isVisible(), false);
  },

  async an_import_is_shown_from_start_to_end(page) {
    await choose(page, "Run import");
    const side = sidebar(page);
    await state(page, "Running");
    await side.getByRole("button", { name: "Cancel run" }).waitFor();
    assert.equal(await side.getByRole("button", { name: "Run import" }).isVisible(), false);
    const bar = side.getByRole("progressbar", { name: "Progress of the import" });
    await bar.waitFor();
    await underWay(page);
    await state(page, "Done");
    assert.equal(await bar.isVisible(), false);
    await side.getByRole("button", { name: "Run import" }).waitFor();
    assert.equal(await page.evaluate(() => document.querySelector(".owox-sidebar iframe").offsetWidth), 300);
  },

  async a_second_start_shows_the_run_that_is_on(page) {
    await choose(page, "Run import");
    await underWay(page);
    await choose(page, "Run import");
    await sidebar(page).getByText("An import is already running.").waitFor();
    await state(page, "Running");
  },

  async a_run_is_cancelled_in_the_sidebar(page) {
    await choose(page, "Run import");
    await underWay(page);
    await sidebar(page).getByRole("button", { name: "Cancel run" }).click();
    await state(page, "Cancelled");
  },

  async a_run_is_cancelled_from_the_menu(page) {
    await choose(page, "Run import");
    await underWay(page);
    page.once("dialog", (one) => (assert.match(one.message(), /Cancel the running import\?/), one.accept()));
    await choose(page, "Cancel run");
    await state(page, "Cancelled");
  },

  async a_backfill_starts_only_after_its_plan(page) {
    await choose(page, "Backfill…");
    const box = dialog(page);
    const start = box.getByRole("button", { name: "Start backfill" });
    assert.equal(await start.isEnabled(), false);
    await box.getByLabel("First day").fill("2026-02-12");
    await box.getByLabel("Last day").fill("2026-02-10");
    await box.getByRole("button", { name: "Show the plan" }).click();
    assert.equal(await box.getByText("What it would read").isVisible(), false); // the last day lies before the first
    await box.getByLabel("First day").fill("2026-02-01");
    await box.getByRole("button", { name: "Show the plan" }).click();
    await box.getByText(/rows? in .* requests?, /).waitFor();
    assert.equal(await start.isEnabled(), true);
    const one = box.getByRole("checkbox").last();
    await one.uncheck();
    assert.equal(await start.isEnabled(), false); // the plan is out of date
    await box.getByRole("button", { name: "Show the plan" }).click();
    await box.getByText(/rows? in .* requests?, /).waitFor();
    assert.equal(await one.isChecked(), false);
    await start.click();
    await state(page, "Running");
    assert.equal(await page.locator(".owox-dialog").count(), 0);
    await state(page, "Done");
  },

  async a_clean_up_shows_what_it_deletes_first(page) {
    await choose(page, "Clean up old data…");
    const box = dialog(page);
    const button = box.getByRole("button", { name: /^Delete .* rows?$/ });
    await button.waitFor();
    assert.equal(await button.isEnabled(), false);
    await box.getByLabel("Delete these rows for good").check();
    await button.click();
    await box.getByRole("columnheader", { name: "Rows deleted" }).waitFor();
    assert.equal(await button.isVisible(), false);
  },

  async the_checks_are_a_table(page) {
    await choose(page, "Test connection");
    const box = dialog(page);
    await box.getByRole("table").waitFor();
    assert.ok((await box.getByText("✓").count()) >= 1);
  },

  async numbers_are_checked_and_one_is_asked_about(page) {
    await choose(page, "Check my numbers");
    await dialog(page).getByText(/closed days equal TikTok's totals|no report by day to compare|not read yet/).first().waitFor();
    await dialog(page).getByRole("button", { name: "Close" }).click();
    await choose(page, "Why is this number different?");
    const box = dialog(page);
    await box.getByRole("button", { name: "Find out" }).waitFor();
    await box.getByLabel("Day, in the account's time zone").fill("2026-02-20");
    await box.getByLabel("Number in Ads Manager").fill("99,999,999.99");
    await box.getByRole("button", { name: "Find out" }).click();
    await box.getByText(/is nothing that TikTok's API gives/).waitFor();
  },

  /** Search, tick, read how much it is, save: by keyboard where a person may use it. */
  async data_is_searched_and_ticked(page) {
    await choose(page, "Choose data…");
    const side = sidebar(page);
    await side.getByText(/Counted by TikTok/).waitFor();
    const size = () => side.locator("#size").textContent();
    const before = await size();
    assert.match(before, /^About [\d,]+ rows, [\d,]+ cells, .*, \d+ calls$/);
    assert.equal(await side.locator("#search").evaluate((one) => one === document.activeElement), true);
    await page.keyboard.type("conversion");
    const found = side.getByRole("checkbox", { name: /^Conversions Times/ });
    await found.waitFor();
    assert.equal(await found.isChecked(), false);
    await found.focus();
    await page.keyboard.press("Space");
    assert.equal(await found.isChecked(), true);
    assert.equal(await found.evaluate((one) => one === document.activeElement), true); // although all is drawn again
    assert.notEqual(await size(), before);
    await page.keyboard.press("Escape");
    await side.getByText(/^Reports/).click();
    await side.getByRole("checkbox", { name: "Import Campaign by day", exact: true }).click();
    await side.getByText(/^Audiences/).click();
    await side.getByLabel("Split by").selectOption("Country");
    await side.getByRole("checkbox", { name: "Import Ad by day, country" }).last().click();
    await side.getByText(/by hour, country or audience: assumed/).waitFor();
    await side.getByRole("button", { name: /^Ad by day 5|^Ad by day [0-9]/ }).first().click();
    await side.getByRole("button", { name: "Video", exact: true }).click();
    assert.equal(await side.getByRole("button", { name: "Video", exact: true }).getAttribute("aria-pressed"), "true");
    assert.equal(await page.evaluate(() => document.querySelector(".owox-sidebar iframe").contentDocument.documentElement.scrollWidth), 300);
    await side.getByRole("button", { name: "Save choice" }).click();
    await side.getByText("Saved:").waitFor();
    await side.getByRole("button", { name: "Run import" }).waitFor();
  },

  /** What went wrong is in a card, once, with its cell and one button; what was said before is apart. */
  async a_failed_run_says_what_to_do(page) {
    await choose(page, "Run import");
    await state(page, "Error");
    const side = sidebar(page);
    process.stdout.write(await side.locator("main").innerText());
    await side.getByRole("alert").waitFor();
    assert.deepEqual(await side.getByRole("button").filter({ visible: true }).allTextContents().then((all) => all.filter((one) => !one.includes("!"))), ["Run import"]);
    const link = side.getByRole("alert").getByRole("button").first();
    if (await link.count()) {
      await link.focus();
      await page.keyboard.press("Enter");
      await page.waitForFunction(() => window.activated);
      process.stdout.write(`\nwent to ${await page.evaluate(() => window.activated)}`);
    }
  },

  async a_start_that_is_refused_says_why(page) {
    await choose(page, "Run import");
    await state(page, "Not started");
    process.stdout.write(await sidebar(page).getByRole("alert").innerText());
    await sidebar(page).getByRole("button", { name: "Run import" }).waitFor();
  },

  async set_up_prints_the_command_for_a_refusal(page) {
    await choose(page, "Set up…");
    const box = dialog(page);
    await box.getByText("@").first().waitFor();
    await box.getByRole("button", { name: "Save and test" }).click();
    const alert = box.getByRole("alert");
    await alert.waitFor();
    process.stdout.write(await alert.innerText());
  },

  async nothing_is_asked_while_nobody_looks(page) {
    let asked = 0;
    page.on("request", (request) => { if (request.url().endsWith("/menu/fetch")) asked += 1; });
    await choose(page, "Run import");
    await state(page, "Running");
    const hidden = (state) => page.frames().at(-1).evaluate((value) => {
      Object.defineProperty(document, "visibilityState", { value, configurable: true });
      document.dispatchEvent(new Event("visibilitychange"));
    }, state);
    await hidden("hidden");
    const before = asked;
    await page.clock.runFor(60000);
    await new Promise((resolve) => setTimeout(resolve, 300));
    assert.equal(asked, before);
    await hidden("visible");
    await state(page, "Done");
    const after = asked;
    await page.clock.runFor(60000);
    await new Promise((resolve) => setTimeout(resolve, 300));
    assert.equal(asked, after); // the run has ended: nothing more to watch
  },
};

(async () => {
  const browser = await chromium.launch({ executablePath, args: ["--no-sandbox"] });
  try {
    const page = await browser.newPage({ viewport: { width: 1000, height: 720 }, locale: "en-GB", timezoneId: "UTC", reducedMotion: "reduce" });
    const broken = [];
    page.on("pageerror", (error) => broken.push(String(error)));
    await page.clock.install({ time: now });
    await page.goto(url);
    await scenarios[scenario](page);
    assert.deepEqual(broken, []);
  } finally {
    await browser.close();
  }
})().catch((error) => {
  console.error(error);
  process.exitCode = 1;
});
