import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { after, afterEach, before, describe, test } from "node:test";
import type { Browser, Locator, Page, Response } from "playwright-core";
import { findChromium, openBrowser, openVisitor, type Visitor } from "../harness/browser.ts";
import { collectCleanUps } from "../harness/clean-ups.ts";
import { logIn, type Login, makeUser, openDatabase, ownerLogin } from "../harness/dashboard.ts";
import { isRecord, type Platform, startPlatform } from "../harness/platform.ts";
import { makeTempFolder } from "../harness/temp-folder.ts";

const chromium = await findChromium();
const skip = chromium === undefined ? "there is no Chromium on this machine" : false;
const APP = "my-app";

describe("the dashboard", { skip }, () => {
  const cleanUps = collectCleanUps();
  let platform: Platform;
  let browser: Browser;
  let owner: Login;
  let visitors: Visitor[] = [];

  before(async () => {
    [platform, browser] = await Promise.all([
      startPlatform(cleanUps, { sample: true }),
      openBrowser(cleanUps, chromium ?? ""),
    ]);
    owner = await ownerLogin(platform);
  });
  after(() => cleanUps.run());
  afterEach(async () => {
    const complaints = visitors.flatMap((visitor) => visitor.complaints);
    await Promise.all(visitors.map(({ context }) => context.close()));
    visitors = [];
    assert.deepEqual(complaints, []);
  });

  async function visit(path: string): Promise<Page> {
    const visitor = await openVisitor(browser, platform.url);
    visitors.push(visitor);
    await visitor.page.goto(path);
    return visitor.page;
  }

  async function visitDatabase(): Promise<Page> {
    const page = await visit("/");
    await logIn(page, owner);
    await openDatabase(page, APP);
    return page;
  }

  async function sampleAddon(): Promise<string> {
    const { body } = await platform.api("GET", `/v1/apps/${APP}/addons`);
    const [addon]: unknown[] = isRecord(body) && Array.isArray(body["addons"]) ? body["addons"] : [];
    return isRecord(addon) ? String(addon["id"]) : "";
  }

  test("sets the hour of scheduled backups, step by step", async () => {
    const page = await visitDatabase();
    await page.getByRole("link", { name: "Backups", exact: true }).click();
    const block = page.getByRole("region", { name: "Backup schedule" });
    await block.getByRole("link", { name: "Schedule" }).click();
    const dialog = page.getByRole("dialog", { name: "Backup schedule" });
    await dialog.getByLabel("I want to enable scheduled backups").check();
    await dialog.getByLabel("Hour (UTC)").selectOption({ label: "04:00 UTC" });
    await dialog.getByText("in your zone (Europe/Paris)").waitFor();
    await dialog.getByRole("button", { name: "Update" }).click();
    await dialog.waitFor({ state: "detached" });
    await block.getByText("04:00 UTC").waitFor();
    const { body } = await platform.api("GET", `/api/databases/${await sampleAddon()}/periodic_backups`);
    const periodic = isRecord(body) && isRecord(body["periodic_backups"]) ? body["periodic_backups"] : {};
    assert.deepEqual([periodic["enabled"], periodic["scheduled_at"]], [true, [4]]);
  });

  test("turns scheduled backups off, and says what is left", async () => {
    const page = await visitDatabase();
    await page.getByRole("link", { name: "Backups", exact: true }).click();
    await page.getByRole("link", { name: "Schedule" }).click();
    await page.getByLabel("I want to enable scheduled backups").uncheck();
    await page.getByRole("button", { name: "Update" }).click();
    await page.getByText("Scheduled backups are off.").waitFor();
    await page.reload();
    await page.getByText("Scheduled backups are off.").waitFor();
  });

  test("takes a manual backup, shows it through a reload, and downloads it, step by step", async (t) => {
    const page = await visitDatabase();
    const downloads = await openBackups(page);
    const block = page.getByRole("region", { name: "Backups", exact: true });
    const countBefore = await downloads.count();
    await block.getByRole("button", { name: "Trigger manual backup" }).click();
    await page.reload();
    await downloads.nth(countBefore).waitFor();
    const started = page.waitForEvent("download");
    await downloads.first().click();
    const download = await started;
    assert.match(download.suggestedFilename(), /^\d{14}_my_app_\d+\.tar\.gz$/);
    const folder = await makeTempFolder(t);
    const path = join(folder, "by-dashboard.tar.gz");
    await download.saveAs(path);
    await platform.runOk(["--app", APP, "--addon", "postgresql", "backups-download", "--output", "by-cli.tar.gz"], {
      folder,
    });
    const [ours, theirs] = await Promise.all([path, join(folder, "by-cli.tar.gz")].map(hashFile));
    assert.equal(ours, theirs);
  });

  test("shows a backup that was taken elsewhere as soon as it is told of it, and asks for nothing by itself", async () => {
    const page = await visit("/");
    await logIn(page, owner);
    // Whatever would ask again and again does it by an interval: here none ever passes.
    await page.addInitScript("window.setInterval = () => 0");
    const told = page.waitForResponse(isOfChanges);
    const downloads = await openBackups(page);
    assert.equal((await told).status(), 200);
    const countBefore = await downloads.count();
    await platform.runOk(["--app", APP, "--addon", "postgresql", "backups-create"]);
    await downloads.nth(countBefore).waitFor();
  });

  test("asks by itself while changes are not told to it, and hears of them again once they are", async () => {
    const page = await visit("/");
    await logIn(page, owner);
    let refused = 0;
    await page.route("**/v1/changes", async (route) => {
      refused += 1;
      await route.fulfill({ status: 429, json: { error: "Too many follow" } });
    });
    const downloads = await openBackups(page);
    const countBefore = await downloads.count();
    await platform.runOk(["--app", APP, "--addon", "postgresql", "backups-create"]);
    await downloads.nth(countBefore).waitFor();
    const told = page.waitForResponse((response) => isOfChanges(response) && response.status() === 200);
    assert.ok(refused > 1, "it is asked for again and again");
    await page.unroute("**/v1/changes");
    // A page that comes back into sight doesn't wait for the next time.
    await page.evaluate("document.dispatchEvent(new Event('visibilitychange'))");
    await told;
  });

  test("shows one user nothing of another's", async () => {
    const stranger = { username: "stranger", password: "a long password of a stranger" };
    await makeUser(platform, stranger);
    const page = await visit("/");
    await logIn(page, stranger);
    await page.getByRole("heading", { name: "No app yet" }).waitFor();
    for (const path of [`/apps/${APP}`, `/apps/${APP}/environment`, `/apps/${APP}/databases/${await sampleAddon()}`]) {
      await page.goto(path);
      await page.getByRole("alert").first().waitFor();
      assert.equal(await page.getByText("SCALINGO_POSTGRESQL_URL").count(), 0);
    }
  });

  test("asks for a login when the session is over, and goes on where it stopped", async () => {
    const page = await visitDatabase();
    const address = page.url();
    await page.context().clearCookies();
    // Nothing is clicked: the page asks for news by itself, and is told that the session is over.
    await page.getByRole("heading", { name: "Tidemark" }).waitFor();
    await page.goto(address);
    await page.getByText("Log in to see that page.").waitFor();
    await logIn(page, owner);
    await page.getByRole("navigation", { name: "Pages of this database" }).waitFor();
    assert.equal(page.url(), address);
    await page.getByRole("button", { name: "Log out" }).click();
    await page.getByRole("button", { name: "Log in" }).waitFor();
    await page.goto("/apps");
    await page.getByRole("button", { name: "Log in" }).waitFor();
  });

  test("draws names that look like HTML as text, and follows no address of another site after a login", async () => {
    const name = `<img src=x onerror="alert(1)"><script>alert(2)</script>`;
    await platform.api("POST", "/v1/tokens", { body: { token: { name } } });
    const page = await visit("/login?next=//evil.example/");
    await logIn(page, owner);
    await page.waitForURL("**/apps");
    await page.goto("/account");
    await page.getByText(name).first().waitFor();
    await page.goto(`/apps/${encodeURIComponent("<script>alert(3)</script>")}`);
    await page.getByRole("alert").first().waitFor();
    assert.equal(await page.locator("img, main script").count(), 0);
  });

  test("loads less than 200 kB before its first page, from this platform alone", async () => {
    const { page } = visitors[visitors.push(await openVisitor(browser, platform.url)) - 1] ?? assert.fail();
    let loadedBytes = 0;
    page.on("requestfinished", (request) => {
      void request.sizes().then((sizes) => (loadedBytes += sizes.responseBodySize + sizes.responseHeadersSize));
    });
    await page.goto("/");
    await logIn(page, owner);
    await page.getByRole("link", { name: APP, exact: true }).waitFor();
    assert.ok(loadedBytes > 50_000 && loadedBytes < 200_000, `${loadedBytes} bytes`);
  });
});

/** Opens the list of backups; what it gives are the buttons that download one. */
async function openBackups(page: Page): Promise<Locator> {
  await openDatabase(page, APP);
  await page.getByRole("link", { name: "Backups", exact: true }).click();
  const block = page.getByRole("region", { name: "Backups", exact: true });
  const downloads = block.getByRole("button", { name: /^Download / });
  await downloads.first().waitFor();
  return downloads;
}

function isOfChanges(response: Response): boolean {
  return new URL(response.url()).pathname === "/v1/changes";
}

async function hashFile(path: string): Promise<string> {
  return createHash("sha256")
    .update(await readFile(path))
    .digest("hex");
}
