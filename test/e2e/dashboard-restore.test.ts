import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { Client } from "pg";
import { findBarriers, findChromium, openBrowser, openVisitor, type Visitor } from "../harness/browser.ts";
import { collectCleanUps } from "../harness/clean-ups.ts";
import { logIn, openDatabase, ownerLogin } from "../harness/dashboard.ts";
import { pickText } from "../harness/pick.ts";
import { type Platform, startPlatform, waitFor } from "../harness/platform.ts";

const chromium = await findChromium();
const skip = chromium === undefined ? "there is no Chromium on this machine" : false;
const APP = "restored-app";
/** The field is to the second: moments that it must tell apart lie further apart than that. */
const SECOND_MS = 1000;

describe("point-in-time recovery in the dashboard", { skip }, () => {
  const cleanUps = collectCleanUps();
  let platform: Platform;
  let visitor: Visitor;
  let uri: string;

  before(async () => {
    platform = await startPlatform(cleanUps);
    ({ uri } = await platform.provision(APP));
    visitor = await openVisitor(await openBrowser(cleanUps, chromium ?? ""), platform.url);
  });
  after(() => cleanUps.run());

  test("restores to a moment before a mistake: plan, confirmation, progress through a reload, undo", async () => {
    const { page, complaints } = visitor;
    await page.goto("/");
    await logIn(page, await ownerLogin(platform));
    await openDatabase(page, APP);
    await page.getByRole("link", { name: "Backups", exact: true }).click();
    await page.getByRole("link", { name: "Continuous backups" }).click();
    await page.getByRole("link", { name: "Start a PiTR" }).waitFor();

    await query(uri, "create table notes (word text)");
    await query(uri, "insert into notes values ('kept')");
    const moment = await secondAfterNow(uri);
    await query(uri, "delete from notes");
    await query(uri, "insert into notes values ('written later')");
    await page.getByText(/^Lag now/).waitFor();
    await reachedBy(platform, moment);

    const shown = page.url();
    for (const edge of ["left", "right"] as const) {
      const { earliest, latest } = await readWindow(platform, new URL(shown).pathname.split("/")[4] ?? "");
      const line = page.locator(".timeline svg");
      const { width = 0 } = (await line.boundingBox()) ?? {};
      await line.click({ position: { x: edge === "left" ? 1 : width - 2, y: 12 } });
      await page.getByRole("dialog", { name: "Start a PiTR" }).waitFor();
      const chosen = Date.parse(new URL(page.url()).searchParams.get("at") ?? "");
      if (edge === "left") assert.ok(chosen >= earliest && chosen < earliest + 3 * SECOND_MS, "the first moment");
      else assert.ok(chosen <= latest + 3 * SECOND_MS && chosen > earliest + SECOND_MS, "the last moment");
      await page.getByRole("button", { name: "Cancel" }).click();
    }
    await page.getByText("Base backups, newest first").click();
    await page.getByRole("table", { name: "Base backups, newest first" }).getByText("the one that goes on").waitFor();
    await page.goto(shown);

    // A click on the line carries its moment in the address, as this does.
    await page.goto(`${page.url()}?restore=true&at=${moment.toISOString()}`);
    const dialog = page.getByRole("dialog", { name: "Start a PiTR" });
    await dialog.getByText("Your browser's own.").waitFor();
    assert.equal(await dialog.getByLabel("Time zone").inputValue(), "Europe/Paris");
    await dialog.getByRole("button", { name: "Show the plan" }).click();
    await dialog.getByText("What will be lost").waitFor();
    assert.deepEqual(await findBarriers(page), []);
    const confirm = dialog.getByRole("button", { name: "Confirm" });
    assert.equal(await confirm.isDisabled(), true);
    await dialog
      .getByLabel(/^I understand that this replaces the database's current data; I can undo it until /)
      .check();
    await confirm.click();
    await page.getByRole("region", { name: "Restores" }).waitFor();
    await page.reload();
    await page.getByText("The database was restored.").waitFor();
    assert.deepEqual(await words(uri), ["kept"]);

    await page.getByRole("button", { name: "Undo", exact: true }).click();
    const question = page.getByRole("dialog", { name: "Undo the restore" });
    await question.getByLabel("I understand that this replaces the database's current data").check();
    await question.getByRole("button", { name: "Undo the restore" }).click();
    await page.getByText("The restore was undone.").waitFor();
    assert.deepEqual(await words(uri), ["written later"]);
    assert.deepEqual(complaints, []);
  });
});

async function readWindow(platform: Platform, addon: string): Promise<{ earliest: number; latest: number }> {
  const { body } = await platform.api("GET", `/api/databases/${addon}/pitr/recovery_window`);
  const instant = (name: string): number => Date.parse(pickText(body, "recovery_window", name));
  return { earliest: instant("earliest_recoverable_at"), latest: instant("latest_recoverable_at") };
}

async function query(uri: string, sql: string): Promise<Record<string, unknown>[]> {
  const client = new Client({ connectionString: uri.replace("sslmode=prefer", "sslmode=disable") });
  await client.connect();
  try {
    return (await client.query<Record<string, unknown>>(sql)).rows;
  } finally {
    await client.end();
  }
}

async function words(uri: string): Promise<unknown[]> {
  return (await query(uri, "select word from notes order by word")).map(({ word }) => word);
}

/** A whole second that lies after all that is committed now; the server's clock has passed it when this resolves. */
async function secondAfterNow(uri: string): Promise<Date> {
  const clock = async () =>
    Number((await query(uri, "select extract(epoch from clock_timestamp()) * 1000 as ms"))[0]?.["ms"]);
  const moment = Math.ceil(((await clock()) + 1) / SECOND_MS) * SECOND_MS;
  await waitFor(async () => (await clock()) > moment, "the next second");
  return new Date(moment);
}

/** Waits until the recovery window covers what was committed after `moment`. */
async function reachedBy(platform: Platform, moment: Date): Promise<void> {
  const pattern = /Latest recoverable at\s*\|\s*(\S+)/;
  await waitFor(async () => {
    const shown = await platform.runOk(["--app", APP, "--addon", "postgresql", "database-pitr-recovery-window"]);
    return Date.parse(pattern.exec(shown)?.[1] ?? "") > moment.getTime();
  }, "the recovery window");
}
