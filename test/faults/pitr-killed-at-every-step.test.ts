import assert from "node:assert/strict";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { after, suite, test } from "node:test";
import { Client } from "pg";
import { isFullRun } from "../harness/full.ts";
import { InPlaceScene } from "../harness/in-place.ts";
import { controlServerPid, controlSuperuser } from "./backup-scene.ts";
import { signal } from "./dump-process.ts";
import { JournalGate } from "./journal-gate.ts";

/** `stopped`: not killed, but told to stop, as for an upgrade. */
type Victim = "worker" | "platform" | "everything" | "stopped";

interface Death {
  readonly what: "restore" | "undo";
  readonly victim: Victim;
  /** The step that is about to be noted. */
  readonly phase: string;
}

/** One of each kind of place: the copy half-made, made but not handed over, the database stopped, the database replaced. */
const EVERY_RUN: readonly Death[] = [
  { what: "restore", victim: "worker", phase: "replaying" },
  { what: "restore", victim: "worker", phase: "built" },
  { what: "restore", victim: "platform", phase: "starting" },
  { what: "undo", victim: "everything", phase: "done" },
];

const FULL_RUN: readonly Death[] = [
  ...(["planned", "fetching", "paused-at-target", "done"] as const).map((phase): Death => ({
    what: "restore",
    victim: "worker",
    phase,
  })),
  ...(["planned", "replaying", "built", "done"] as const).map((phase): Death => ({
    what: "undo",
    victim: "worker",
    phase,
  })),
  ...(["replaying", "built", "swapping", "done"] as const).map((phase): Death => ({
    what: "restore",
    victim: "platform",
    phase,
  })),
  ...(["built", "swapping", "starting"] as const).map((phase): Death => ({ what: "undo", victim: "platform", phase })),
  ...(["replaying", "built", "swapping", "starting", "done"] as const).map((phase): Death => ({
    what: "restore",
    victim: "everything",
    phase,
  })),
  ...(["replaying", "built", "swapping", "starting"] as const).map((phase): Death => ({
    what: "undo",
    victim: "everything",
    phase,
  })),
  // Only here: later steps are the host's, and one that waits at the gate would keep the platform from stopping.
  { what: "restore", victim: "stopped", phase: "replaying" },
];

const scene = await InPlaceScene.open({ after });

suite(
  "kill -9 in a restore in place leaves the database as it was or as it shall be, and the next start finishes",
  () => {
    for (const death of isFullRun ? [...EVERY_RUN, ...FULL_RUN] : EVERY_RUN)
      test(`${death.what}: ${death.victim === "stopped" ? "platform stopped" : `${death.victim} killed`} before "${death.phase}"`, () =>
        die(death));
  },
);

async function die({ what, victim, phase }: Death): Promise<void> {
  const moment = await scene.write();
  const then = await scene.ledger();
  const later = await scene.write();
  const latest = await scene.ledger();
  await scene.stored(later);
  if (what === "undo") await scene.restore({ restore_time: moment });
  const wanted = what === "undo" ? latest : then;
  assert.notEqual(await scene.ledger(), wanted);

  const gate = await JournalGate.close(scene.platform, phase);
  const id = await scene.begin(what, what === "undo" ? {} : { restore_time: moment });
  await gate.met(async () => {
    const operation = await scene.operation(id);
    assert.ok(operation["status"] !== "error", JSON.stringify(operation));
  });
  await kill(victim);
  // Of the others the control database's server has ended too, and with it whoever stood there.
  if (victim === "worker" || victim === "platform") await gate.forget();
  if (victim !== "worker") await scene.platform.start();
  await gate.remove();

  const operation = await scene.ended(id);
  assert.equal(operation["status"], "done", JSON.stringify(operation));
  assert.equal(await scene.ledger(), wanted);
  await assertNoRemains();
  await scene.stored(await scene.write());
}

async function kill(victim: Victim): Promise<void> {
  const { platform, addonId } = scene;
  if (victim === "stopped") return void (await platform.stop());
  const processes = victim === "platform" ? [] : [await platform.workerPid()];
  if (victim === "everything") {
    // Stopped by the restore itself at some steps.
    const server = await platform.serverPid(addonId).catch(() => undefined);
    processes.push(await controlServerPid(platform), ...(server === undefined ? [] : [server]));
  }
  for (const pid of processes) signal(pid, "SIGKILL");
  if (victim !== "worker") await platform.kill();
}

/** The live data folder and replaced ones, and no half-made copy. */
async function assertNoRemains(): Promise<void> {
  const { platform, addonId } = scene;
  const wanted = await readWantedFolders();
  const names = (await readdir(join(platform.home, "databases", addonId))).filter((name) => name.startsWith("data"));
  assert.deepEqual(names.toSorted(), wanted.toSorted());
}

async function readWantedFolders(): Promise<string[]> {
  const client = new Client(await controlSuperuser(scene.platform));
  await client.connect();
  try {
    const { rows } = await client.query<{ wanted: string[] }>(
      `select array(select data_folder from databases where addon_id = $1
         union select name from kept_data_folders where addon_id = $1) as wanted`,
      [scene.addonId],
    );
    return rows[0]?.wanted ?? [];
  } finally {
    await client.end();
  }
}
