import assert from "node:assert/strict";
import { rename } from "node:fs/promises";
import { join } from "node:path";
import { after, afterEach, before, suite, test } from "node:test";
import { Client } from "pg";
import { collectCleanUps } from "../harness/clean-ups.ts";
import { isFullRun } from "../harness/full.ts";
import { InPlaceScene } from "../harness/in-place.ts";
import { pick } from "../harness/pick.ts";
import { waitFor } from "../harness/platform.ts";
import { SmallDisk, canMountDisks } from "../harness/small-disk.ts";
import { controlSuperuser } from "./backup-scene.ts";
import { JournalGate } from "./journal-gate.ts";

/** A repository with a handful of base backups of an empty database. */
const DISK_MB = 192;
/** More than a base backup of the new branch goes on by. */
const SEGMENTS_AHEAD = 4;
/** Its checkpoint is spread over some time. */
const BASE_BACKUP_DEADLINE_MS = 120_000;
/** Far above what the platform waits for the store before it stops the database. */
const REFUSAL_DEADLINE_MS = 180_000;

const cleanUps = collectCleanUps();
let disk: SmallDisk;
let scene: InPlaceScene;

suite("a restore in place", { skip: !canMountDisks && "only root can mount a small file system" }, () => {
  before(async () => {
    disk = await SmallDisk.mount(cleanUps, { sizeMb: DISK_MB });
    scene = await InPlaceScene.open(cleanUps, { TIDEMARK_REPOSITORY: join(disk.folder, "repository") });
  });
  afterEach(() => disk.makeRoom());
  after(() => cleanUps.run());

  test("R6: waits for a store that is full while the database serves on, and swaps when there is room", async () => {
    const { moment, held } = await writeSome();
    await disk.fill();
    await scene.write();
    const id = await scene.begin("restore", { restore_time: moment });
    await reached(id, "swapping");
    await waitFor(async () => /disk|space/.test(String((await stream())["reason"])), "a window that says why");
    await assertServes();
    const latest = await scene.ledger();
    assert.equal((await scene.operation(id))["phase"], "swapping");
    await disk.makeRoom();
    await assertDone(id);
    assert.equal(await scene.ledger(), held);
    const left = (await scene.window()).branches.find(({ isLive }) => !isLive)?.timeline;
    await scene.restore({ restore_time: "latest", branch: left });
    assert.equal(await scene.ledger(), latest);
  });

  test("R6: is not swapped when the stopped database's last log can't be stored, which is said; nothing is lost, and it works once there is room", async () => {
    const { moment, held } = await writeSome();
    await backedUp();
    const latest = await scene.ledger();
    const { id, gate } = await upTo("swapping", "restore", { restore_time: moment });
    const server = await scene.platform.serverPid(scene.addonId);
    const writer = await holdBackgroundWriter();
    try {
      // Stored up to here, the database is stopped at once; its end is what there is no room for.
      await value("checkpoint");
      await waitFor(async () => (await stream())["stored_lsn"] === (await written()), "all log stored");
      await disk.fill();
      await gate.remove();
      await waitFor(
        async () =>
          await written().then(
            () => false,
            () => true,
          ),
        "a database that stops",
      );
    } finally {
      process.kill(writer, "SIGCONT");
    }
    const refused = await scene.ended(id);
    assert.equal(refused["status"], "error");
    assert.match(JSON.stringify(refused["error"]), /handover_failed.*not stored within 30 s/);
    assert.notEqual(await scene.platform.serverPid(scene.addonId), server, "it was stopped meanwhile");
    assert.equal(await scene.ledger(), latest);
    await assertServes();
    await disk.makeRoom();
    await scene.stored(await scene.write());
    await scene.restore({ restore_time: moment });
    assert.equal(await scene.ledger(), held);
  });

  test("R3, R6: goes on when the store is full from the swap on: its branch and base backup are stored once there is room, an undo waits", async () => {
    const { moment, held } = await writeSome();
    // The branch that is left has come further in the log than the new one will.
    for (let count = 0; count < SEGMENTS_AHEAD; count++) {
      await scene.write();
      await value("select pg_switch_wal()");
    }
    await scene.stored(await scene.write());
    const latest = await scene.ledger();
    const { id, gate } = await upTo("starting", "restore", { restore_time: moment });
    await disk.fill();
    await gate.remove();
    await assertDone(id);
    const { timeline } = await scene.operation(id);
    const { baseBackups } = await scene.window();
    assert.equal(await scene.ledger(), held);
    await assertServes();
    const unstored = await scene.write();
    const { latest: restorable, branches } = await scene.window();
    assert.equal(branches.find(({ isLive }) => isLive)?.timeline, timeline);
    assert.ok(restorable !== null && restorable < unstored, `nothing is promised that isn't stored: ${restorable}`);

    const undo = await scene.begin("undo");
    await reached(undo, "swapping");
    await assertServes();
    const onBranch = await scene.ledger();
    await disk.makeRoom();
    await assertDone(undo);
    assert.equal(await scene.ledger(), latest);
    await scene.restore({ restore_time: "latest", branch: timeline });
    assert.equal(await scene.ledger(), onBranch);
    await backedUp();
    assert.ok((await scene.window()).baseBackups > baseBackups);
  });

  for (const what of ["restore", "undo"] as const)
    test(
      `R6: ${what} is refused while the store is down, and the database never stops`,
      { skip: !isFullRun && "it waits for two minutes" },
      () => refuseWhileDown(what),
    );
});

async function refuseWhileDown(what: "restore" | "undo"): Promise<void> {
  const { moment, held } = await writeSome();
  const left = await scene.ledger();
  if (what === "undo") await scene.restore({ restore_time: moment });
  const { id, gate } = await upTo("swapping", what, what === "undo" ? {} : { restore_time: moment });
  const repository = join(disk.folder, "repository");
  await rename(repository, `${repository}.away`);
  const server = await scene.platform.serverPid(scene.addonId);
  await assertServes();
  const latest = await scene.ledger();
  await gate.remove();
  const refused = await scene.ended(id);
  assert.match(JSON.stringify(refused["error"]), /handover_failed.*not stored within 120 s/);
  assert.equal(await scene.platform.serverPid(scene.addonId), server);
  assert.equal(await scene.ledger(), latest);
  await rename(`${repository}.away`, repository);
  await scene.stored(await scene.write());
  await (what === "undo" ? scene.undo() : scene.restore({ restore_time: moment }));
  assert.equal(await scene.ledger(), what === "undo" ? left : held);
}

/** Two entries, both stored: the moment between them, and what the ledger held then. */
async function writeSome(): Promise<{ readonly moment: string; readonly held: string }> {
  const moment = await scene.write();
  const held = await scene.ledger();
  await scene.stored(await scene.write());
  return { moment, held };
}

/** Until the base backup that a restore asks for is there. */
async function backedUp(): Promise<void> {
  await waitFor(
    async () => {
      const client = new Client(await controlSuperuser(scene.platform));
      await client.connect();
      const { rows } = await client.query("select 1 from wal_streams where rebase_reason is not null");
      await client.end();
      return rows.length === 0;
    },
    "a base backup of the new branch",
    BASE_BACKUP_DEADLINE_MS,
  );
}

/** What the recovery window tells of the stream of the log. */
async function stream(): Promise<Record<string, unknown>> {
  const { body } = await scene.platform.api("GET", `/api/databases/${scene.addonId}/pitr/recovery_window`);
  return Object(pick(body, "recovery_window", "stream"));
}

async function written(): Promise<string> {
  return await value("select pg_current_wal_insert_lsn()::text as value");
}

/** It notes the running transactions in the log every now and then. */
async function holdBackgroundWriter(): Promise<number> {
  const pid = Number(
    await value("select pid::text as value from pg_stat_activity where backend_type = 'background writer'"),
  );
  process.kill(pid, "SIGSTOP");
  return pid;
}

/** One value of the database's server, as its superuser. */
async function value(query: string): Promise<string> {
  const client = new Client(await scene.platform.superuser(scene.addonId));
  await client.connect();
  const { rows } = await client.query<{ value?: string }>(query);
  await client.end();
  return rows[0]?.value ?? "";
}

async function assertServes(): Promise<void> {
  const entries = await scene.ledger();
  await scene.write();
  assert.ok((await scene.ledger()).startsWith(`${entries},`));
}

/** Begins a restore or an undoing, which stands before this step until the gate is removed. */
async function upTo(
  phase: string,
  what: "restore" | "undo",
  body: Readonly<Record<string, unknown>>,
): Promise<{ readonly id: string; readonly gate: JournalGate }> {
  const gate = await JournalGate.close(scene.platform, phase);
  const id = await scene.begin(what, body);
  await gate.met(async () => {
    const operation = await scene.operation(id);
    assert.notEqual(operation["status"], "error", JSON.stringify(operation));
  });
  return { id, gate };
}

async function assertDone(id: string): Promise<void> {
  const operation = await scene.ended(id);
  assert.equal(operation["status"], "done", JSON.stringify(operation));
}

async function reached(id: string, phase: string): Promise<void> {
  await waitFor(
    async () => {
      const operation = await scene.operation(id);
      assert.notEqual(operation["status"], "error", JSON.stringify(operation));
      return operation["phase"] === phase;
    },
    `the phase ${phase}`,
    REFUSAL_DEADLINE_MS,
  );
}
