import assert from "node:assert/strict";
import { test } from "node:test";
import type { Backup } from "../../src/control/model.ts";
import type { BackupService, Services } from "../../src/control/services.ts";
import { TidemarkError } from "../../src/core/errors.ts";
import { newObjectId } from "../../src/core/ids.ts";
import { BACKUP, BACKUP_ID, inMemoryServices } from "../http/in-memory-services.ts";
import { openFace } from "../http/open-face.ts";
import { asAlice, instantClock, runCli } from "./run-cli.ts";

const ARGV = ["--app", "my-app", "--addon", "postgresql", "backups-create"];

function withBackups(overrides: Partial<BackupService>): { services: Services } {
  const services = inMemoryServices();
  return { services: { ...services, backups: { ...services.backups, ...overrides } } };
}

/** Answers with each state in turn, and with the last for ever. */
function inTurn(...states: (Partial<Backup> | TidemarkError)[]): BackupService["show"] {
  let asked = 0;
  return () => {
    const state = states[Math.min(asked++, states.length - 1)];
    return state instanceof TidemarkError ? Promise.reject(state) : Promise.resolve({ ...BACKUP, ...state });
  };
}

test("backups-create asks each second and ends with the line that scripts wait for", async (t) => {
  const show = inTurn({ status: "scheduled" }, { status: "running" }, { status: "running" }, { status: "done" });
  const face = await openFace(t, withBackups({ show }));
  const clock = instantClock();
  const run = await runCli(ARGV, { environment: asAlice(face.url), options: { clock } });
  assert.deepEqual(run, { exitCode: 0, stdout: "-----> Backup successfully finished\n", stderr: "" });
  assert.deepEqual(clock.sleeps, [1000, 1000, 1000]);
});

test("backups-create shows on a terminal what it waits for, and clears it", async (t) => {
  const face = await openFace(t, withBackups({ show: inTurn({ status: "running", progressBytes: 5_242_880 }, {}) }));
  const run = await runCli(ARGV, { environment: asAlice(face.url), terminal: true });
  assert.match(run.stderr, /Waiting for the backup to finish \(5\.00 MiB read\)/);
  assert.ok(run.stderr.endsWith("\r\u001B[K"));
});

test("backups-create prints reason and hint of a failed backup and ends with 1", async (t) => {
  const error = { code: "dump_failed", message: "pg_dump ended with 1", hint: "Look at the table" };
  const face = await openFace(t, withBackups({ show: inTurn({ status: "error", error }) }));
  const run = await runCli(ARGV, { environment: asAlice(face.url) });
  assert.deepEqual(run, {
    exitCode: 1,
    stdout: "",
    stderr: ` !     Backup ${BACKUP_ID} failed: pg_dump ended with 1\n       Look at the table\n`,
  });
  const json = await runCli([...ARGV, "--json"], { environment: asAlice(face.url) });
  assert.equal(json.exitCode, 1);
  assert.match(json.stdout, /"code": "dump_failed"/);
});

test("backups-create waits for a backup that runs already, then starts its own", async (t) => {
  const otherId = newObjectId(new Date());
  let creations = 0;
  const asked: string[] = [];
  const face = await openFace(
    t,
    withBackups({
      create: () => {
        creations++;
        if (creations > 1) return Promise.resolve({ ...BACKUP, status: "scheduled" });
        const details = { backup_id: otherId };
        return Promise.reject(new TidemarkError("backup_running", "A backup is running", { details }));
      },
      show: (_caller, id) => {
        asked.push(id);
        return Promise.resolve({ ...BACKUP, status: "done" });
      },
    }),
  );
  const run = await runCli(ARGV, { environment: asAlice(face.url) });
  assert.deepEqual(run, {
    exitCode: 0,
    stdout: `-----> Backup ${otherId} is running already: waiting for its end, 6 hours at most\n-----> Backup successfully finished\n`,
    stderr: "",
  });
  assert.deepEqual(asked, [otherId, BACKUP_ID]);
});

test("backups-create gives up on another's backup after the limit that it told", async (t) => {
  const details = { backup_id: BACKUP_ID };
  const face = await openFace(
    t,
    withBackups({
      create: () => Promise.reject(new TidemarkError("backup_running", "A backup is running", { details })),
      show: inTurn({ status: "running" }),
    }),
  );
  const base = instantClock();
  // An hour between two questions: the limit is reached after a few.
  const clock = { now: () => base.now(), sleep: (_ms: number, signal?: AbortSignal) => base.sleep(3_600_000, signal) };
  const run = await runCli(ARGV, { environment: asAlice(face.url), options: { clock } });
  assert.equal(run.exitCode, 1);
  assert.match(run.stderr, /still running after 6 hours\n {7}End it with: tidemark backups-cancel/);
});

test("backups-create --detach doesn't wait, neither for its own nor for another's", async (t) => {
  const detached = await openFace(t, withBackups({ show: inTurn(new TidemarkError("bug", "not to be asked")) }));
  const run = await runCli([...ARGV, "--detach"], { environment: asAlice(detached.url) });
  assert.equal(run.exitCode, 0);
  assert.match(run.stdout, new RegExp(`^-----> Backup ${BACKUP_ID} has been scheduled\n`));
  const details = { backup_id: BACKUP_ID };
  const busy = await openFace(
    t,
    withBackups({
      create: () => Promise.reject(new TidemarkError("backup_running", "A backup is running", { details })),
    }),
  );
  const refused = await runCli([...ARGV, "--detach"], { environment: asAlice(busy.url) });
  assert.deepEqual([refused.exitCode, refused.stderr], [1, " !     409 Conflict → A backup is running\n"]);
});

test("backups-create outlasts a platform that is gone for a moment, not one that stays away", async (t) => {
  const away = new TidemarkError("control_unavailable", "The control database can't be reached");
  const back = await openFace(t, withBackups({ show: inTurn({ status: "running" }, away, away, { status: "done" }) }));
  assert.equal((await runCli(ARGV, { environment: asAlice(back.url) })).exitCode, 0);
  const gone = await openFace(t, withBackups({ show: inTurn({ status: "running" }, away) }));
  const clock = instantClock();
  const run = await runCli(ARGV, { environment: asAlice(gone.url), options: { clock } });
  assert.equal(run.exitCode, 1);
  assert.equal(clock.sleeps.length, 61);
});

test("backups-create says after Ctrl+C that the backup goes on, and ends with 130", async (t) => {
  const interrupts: (() => void)[] = [];
  const show: BackupService["show"] = () => {
    for (const interrupt of interrupts) interrupt();
    return Promise.resolve({ ...BACKUP, status: "running" });
  };
  const face = await openFace(t, withBackups({ show }));
  const onInterrupt = (listener: () => void): (() => void) => {
    interrupts.push(listener);
    return () => void interrupts.splice(0);
  };
  const run = await runCli(ARGV, { environment: asAlice(face.url), options: { onInterrupt } });
  assert.deepEqual(run, {
    exitCode: 130,
    stdout: `-----> Backup ${BACKUP_ID} goes on\n       See it with: tidemark --app my-app --addon postgresql backups\n`,
    stderr: "",
  });
  assert.equal(interrupts.length, 0, "the listener is gone");
});
