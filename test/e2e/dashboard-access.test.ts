import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import type { Browser, Page } from "playwright-core";
import { findBarriers, findChromium, openBrowser, openVisitor, type Visitor } from "../harness/browser.ts";
import { collectCleanUps } from "../harness/clean-ups.ts";
import { logIn, openDatabase, ownerLogin } from "../harness/dashboard.ts";
import { isFullRun } from "../harness/full.ts";
import { type Platform, startPlatform } from "../harness/platform.ts";

const chromium = await findChromium();
const skip = chromium === undefined ? "there is no Chromium on this machine" : false;
const APP = "my-app";
const THEMES = ["light", "dark"] as const;
/** The narrowest screen that counts, and a usual one. */
const WIDTHS = [360, 1280];
/** More presses than any of these pages has places that take the focus. */
const TABS_MAX = 60;

/** Below `/apps/my-app/databases/<addon>`. */
const DATABASE_PAGES = ["", "/backups", "/backups?schedule=true", "/backups/continuous", "/logs", "/settings"];
const PAGES = [
  "/apps",
  "/apps?create=true",
  `/apps/${APP}`,
  `/apps/${APP}/resources`,
  `/apps/${APP}/resources?add=true`,
  `/apps/${APP}/environment`,
  `/apps/${APP}/environment?add=true`,
  `/apps/${APP}/activity`,
  `/apps/${APP}/settings`,
  "/apps/none",
  "/account/nothing",
  "/account",
  "/platform",
  "/platform/queue",
  "/platform/users",
  "/platform/users?create=true",
  "/platform/audit",
];

describe("the dashboard is open to everybody", { skip }, () => {
  const cleanUps = collectCleanUps();
  let platform: Platform;
  let browser: Browser;
  let visitor: Visitor;

  before(async () => {
    [platform, browser] = await Promise.all([
      startPlatform(cleanUps, { sample: true }),
      openBrowser(cleanUps, chromium ?? ""),
    ]);
    visitor = await openVisitor(browser, platform.url);
    await visitor.page.goto("/");
    await logIn(visitor.page, await ownerLogin(platform));
  });
  after(() => cleanUps.run());

  async function addresses(): Promise<string[]> {
    await openDatabase(visitor.page, APP);
    const database = new URL(visitor.page.url()).pathname;
    return [...PAGES, ...DATABASE_PAGES.map((page) => `${database}${page}`)];
  }

  test("no page keeps out people with a screen reader or a keyboard, in either theme, and none is wider than the screen", async () => {
    const { page } = visitor;
    const problems: string[] = [];
    for (const [index, address] of (await addresses()).entries()) {
      await page.goto(address);
      await settle(page);
      await page.emulateMedia({ colorScheme: "light" });
      problems.push(...(await findBarriers(page)).map((barrier) => `${address}: ${barrier}`));
      await page.emulateMedia({ colorScheme: "dark" });
      // Colours are all that a theme changes, and every third page has them all.
      if (isFullRun || index % 3 === 0)
        problems.push(
          ...(await findBarriers(page, ["color-contrast"])).map((barrier) => `${address} dark: ${barrier}`),
        );
      for (const width of WIDTHS) {
        await page.setViewportSize({ width, height: 800 });
        const excess = await page.evaluate(
          "document.documentElement.scrollWidth - document.documentElement.clientWidth",
        );
        if (excess !== 0) problems.push(`${address} is ${String(excess)} px too wide at ${width}`);
      }
    }
    assert.deepEqual(problems, []);
    assert.deepEqual(visitor.complaints, []);
  });

  test("findBarriers() finds a barrier where there is one", async () => {
    const { page } = await openVisitor(browser, platform.url);
    await page.goto("/login");
    await page.getByRole("button", { name: "Log in" }).waitFor();
    await page.evaluate("document.querySelector('label').remove()");
    assert.match((await findBarriers(page)).join(" "), /label/);
  });

  test("the login page keeps nobody out, in either theme", async () => {
    const { page, complaints } = await openVisitor(browser, platform.url);
    await page.goto("/login?next=/apps");
    await settle(page);
    for (const theme of THEMES) {
      await page.emulateMedia({ colorScheme: theme });
      assert.deepEqual(await findBarriers(page), []);
    }
    assert.deepEqual(complaints, []);
  });

  test("a theme that was chosen stays, whatever the system has", async () => {
    const { page } = await openVisitor(browser, platform.url, { colorScheme: "light" });
    await page.goto("/login");
    const ground = () => page.evaluate("getComputedStyle(document.documentElement).backgroundColor");
    const light = await ground();
    await page.getByRole("button", { name: /^Theme: system/ }).click();
    await page.getByRole("button", { name: /^Theme: light/ }).click();
    await page.getByRole("button", { name: /^Theme: dark/ }).waitFor();
    const dark = await ground();
    assert.notEqual(dark, light);
    await page.reload();
    await page.getByRole("button", { name: /^Theme: dark/ }).waitFor();
    assert.equal(await ground(), dark);
  });

  test("a keyboard is enough to log in, make an app, add a database and take a backup", async () => {
    const { page } = await openVisitor(browser, platform.url);
    const { username, password } = await ownerLogin(platform);
    await page.goto("/login");
    await page.getByLabel("Username or e-mail address").waitFor();
    await page.keyboard.type(username);
    await page.keyboard.press("Tab");
    await page.keyboard.type(password);
    await page.keyboard.press("Enter");
    await tabTo(page, "Create an app");
    await page.keyboard.press("Enter");
    await page.getByRole("dialog", { name: "Create an app" }).waitFor();
    await page.keyboard.type("by-keyboard");
    await page.keyboard.press("Enter");
    await page.getByRole("heading", { name: "by-keyboard" }).waitFor();
    await tabTo(page, "Add an addon");
    await page.keyboard.press("Enter");
    await page.getByRole("radio").first().waitFor();
    await tabTo(page, "postgresql-starter-512");
    await page.keyboard.press("Space");
    await tabTo(page, "Finish");
    await page.keyboard.press("Enter");
    await page.getByText("running", { exact: true }).waitFor();
    await tabTo(page, "Dashboard");
    await page.keyboard.press("Enter");
    await page.getByRole("navigation", { name: "Pages of this database" }).waitFor();
    await tabTo(page, "Backups");
    await page.keyboard.press("Enter");
    await page.getByRole("heading", { name: "Backups", exact: true }).waitFor();
    await tabTo(page, "Trigger manual backup");
    await page.keyboard.press("Enter");
    await page.getByRole("button", { name: /^Download / }).waitFor();
  });
});

/** Waits until the page shows what it fetched. */
async function settle(page: Page): Promise<void> {
  await page.getByRole("heading").first().waitFor();
  const waiting = page.getByText("Loading…");
  while ((await waiting.count()) > 0) await waiting.first().waitFor({ state: "detached" });
}

/** Presses Tab until what has the focus says `text`, or is a choice of that value. */
async function tabTo(page: Page, text: string): Promise<void> {
  const seen: string[] = [];
  for (let press = 0; press < TABS_MAX; press += 1) {
    await page.keyboard.press("Tab");
    const focused = String(
      await page.evaluate("document.activeElement?.value || document.activeElement?.innerText || ''"),
    );
    if (focused.trim() === text) return;
    seen.push(focused);
  }
  throw new Error(`Tab never got to "${text}", but to: ${seen.join(" | ")}`);
}
