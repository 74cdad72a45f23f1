import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { after, afterEach, before, describe, test } from "node:test";
import { TOTP } from "otpauth";
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

  test("takes a manual backup, shows it through a reload, downloads it, step by step, and puts it back", async (t) => {
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

    await block
      .getByRole("button", { name: /^Restore / })
      .first()
      .click();
    const dialog = page.getByRole("dialog", { name: "Restore a backup" });
    const restore = dialog.getByRole("button", { name: "Restore" });
    assert.equal(await restore.isDisabled(), true);
    await dialog.getByLabel("I understand that this replaces what the database has now").check();
    await restore.click();
    const restores = page.getByRole("region", { name: "Restores of backups" });
    await restores.waitFor();
    await page.reload();
    await restores.getByText(/^[1-9]\d* restored, 0 failed/).waitFor();
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

  test("adds, changes and removes a variable, and leaves a database's alone", async () => {
    const page = await visit("/");
    await logIn(page, owner);
    await page.goto(`/apps/${APP}/environment`);
    const row = (name: string) => page.getByRole("row").filter({ has: page.getByText(name, { exact: true }) });
    for (const name of ["SCALINGO_POSTGRESQL_URL", "DATABASE_URL"]) {
      await row(name).getByText("belongs to its database").waitFor();
      assert.equal(
        await row(name)
          .getByRole("button", { name: /^Remove/ })
          .count(),
        0,
      );
    }
    const add = async (name: string, value: string) => {
      await page.getByRole("link", { name: "Add a variable" }).click();
      const dialog = page.getByRole("dialog", { name: "Add a variable" });
      await dialog.getByLabel("Name").fill(name);
      await dialog.getByLabel("Value").fill(value);
      await dialog.getByRole("button", { name: "Add", exact: true }).click();
      return dialog;
    };
    const value = `<img src=x onerror="alert(4)">\nsecond line`;
    const dialog = await add("not a name", value);
    await dialog.getByText(/^Name must be 1 to 64 letters/).waitFor();
    await dialog.getByLabel("Name").fill("NOTE");
    await dialog.getByRole("button", { name: "Add", exact: true }).click();
    await dialog.waitFor({ state: "detached" });
    assert.equal(await row("NOTE").getByRole("group", { name: "Value of NOTE" }).innerText(), value);
    assert.equal(await page.locator("main img").count(), 0);
    const taken = await add("DATABASE_URL", "x");
    await taken.getByText(/is a database's, and changes with it alone/).waitFor();
    await taken.getByRole("button", { name: "Cancel" }).click();

    await page.getByRole("link", { name: "Change NOTE" }).click();
    await page.reload();
    const change = page.getByRole("dialog", { name: "Change NOTE" });
    await change.getByLabel("Value").fill("changed");
    await change.getByRole("button", { name: "Save" }).click();
    await change.waitFor({ state: "detached" });
    assert.equal((await platform.runOk(["--app", APP, "env-get", "NOTE"])).trim(), "changed");
    await page.getByRole("button", { name: "Remove NOTE" }).click();
    const question = page.getByRole("dialog", { name: "Remove NOTE" });
    const remove = question.getByRole("button", { name: "Remove" });
    assert.equal(await remove.isDisabled(), true);
    await question.getByLabel("I understand that this can't be undone").check();
    await remove.click();
    await row("NOTE").waitFor({ state: "detached" });
    assert.notEqual((await platform.run(["--app", APP, "env-get", "NOTE"])).exitCode, 0);
  });

  test("the owner makes a user, gives a new password, and removes the user; nobody else finds the page", async () => {
    const page = await visit("/");
    await logIn(page, owner);
    await page.goto("/platform");
    await page.getByRole("link", { name: "Users" }).click();
    await page.getByRole("link", { name: "Create a user" }).click();
    const dialog = page.getByRole("dialog", { name: "Create a user" });
    await dialog.getByLabel("Username").fill("Carol");
    await dialog.getByLabel("E-mail address").fill("carol");
    await dialog.getByLabel("Full name").fill("<b>Carol</b>");
    await dialog.getByRole("button", { name: "Create" }).click();
    await dialog.getByText(/^Username must be 2 to 32 characters/).waitFor();
    await dialog.getByText("E-mail address is not an e-mail address").waitFor();
    await dialog.getByLabel("Username").fill("carol");
    await dialog.getByLabel("E-mail address").fill("carol@example.com");
    await dialog.getByRole("button", { name: "Create" }).click();
    const shown = page.getByRole("group", { name: "Password of carol" });
    const first = await shown.innerText();
    await page.getByText("<b>Carol</b>", { exact: true }).waitFor();

    const theirs = await visit("/");
    await logIn(theirs, { username: "carol", password: first });
    assert.equal(await theirs.getByRole("link", { name: "Platform" }).count(), 0);
    for (const path of ["/platform", "/platform/users", "/platform/queue", "/platform/audit"]) {
      await theirs.goto(path);
      await theirs.getByRole("heading", { name: "There is nothing at this address" }).waitFor();
      assert.equal(await theirs.getByText("carol@example.com").count(), 0);
    }
    const refused = await theirs.evaluate("fetch('/v1/users').then(({ status }) => status)");
    assert.equal(refused, 403);

    await page.getByRole("button", { name: "New password for carol" }).click();
    const reset = page.getByRole("dialog", { name: "New password for carol" });
    await reset.getByLabel("Make a password, and show it once").uncheck();
    await reset.getByLabel("Password", { exact: true }).fill("typed by the owner");
    const set = reset.getByRole("button", { name: "Set the password" });
    assert.equal(await set.isDisabled(), true);
    await reset.getByLabel(/^I understand that the present password is gone/).check();
    await set.click();
    await page.getByText("Hand it over by a safe way.").waitFor();
    assert.equal(await shown.count(), 0);
    // The login of before has ended: the page says so by itself.
    await theirs.goto("/apps");
    await logIn(theirs, { username: "carol", password: "typed by the owner" });
    await theirs.goto("/account");
    await theirs.getByLabel("New password").fill("carol's own password");
    await theirs.getByLabel("Present password").fill("a wrong password");
    await theirs.getByRole("button", { name: "Save" }).click();
    await theirs.getByText("Present password is wrong", { exact: true }).waitFor();
    await theirs.getByLabel("Present password").fill("typed by the owner");
    await theirs.getByRole("button", { name: "Save" }).click();
    await logIn(theirs, { username: "carol", password: "carol's own password" });

    await page.getByRole("button", { name: "Remove carol" }).click();
    const question = page.getByRole("dialog", { name: "Remove carol" });
    const remove = question.getByRole("button", { name: "Remove the user" });
    assert.equal(await remove.isDisabled(), true);
    await question.getByLabel("Type carol to go on").fill("carol");
    await remove.click();
    await question.waitFor({ state: "detached" });
    await page.getByText("carol@example.com").waitFor({ state: "detached" });
  });

  test("asks for a one-time code where the account has a second factor", async () => {
    const careful = { username: "careful", password: "a long password of a careful one" };
    await makeUser(platform, careful);
    const page = await visit("/");
    await logIn(page, careful);
    await page.goto("/account");
    await page.getByRole("button", { name: "Set it up" }).click();
    const secret = await page.getByRole("group", { name: "Secret" }).innerText();
    const code = () => new TOTP({ secret }).generate();
    await page.getByLabel("Code").fill(code());
    await page.getByRole("button", { name: "Enable" }).click();
    const codes = page.locator(".command code");
    const [recovery = ""] = (await codes.innerText()).split("\n");
    await page.getByRole("button", { name: "Log out" }).click();
    await page.getByLabel("Username or e-mail address").fill(careful.username);
    await page.getByLabel("Password").fill(careful.password);
    await page.getByRole("button", { name: "Log in" }).click();
    const asked = page.getByLabel("One-time code");
    await asked.waitFor();
    assert.equal(await page.getByRole("alert").count(), 0);
    await asked.fill("not a code");
    await page.getByRole("button", { name: "Log in" }).click();
    await page.getByRole("alert").getByText("Wrong one-time password.").waitFor();
    await asked.fill(recovery);
    await page.getByRole("button", { name: "Log in" }).click();
    await page.getByRole("heading", { name: "No app yet" }).waitFor();
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
