import assert from "node:assert/strict";
import { test } from "node:test";
import type { PointInTimeOperation, PointInTimeService, RestoreWish } from "../../src/control/point-in-time-service.ts";
import type { Services } from "../../src/control/services.ts";
import type { CleanUp } from "../harness/temp-folder.ts";
import { ADDON_ID, ALICE, inMemoryServices, OPERATION, OPERATION_ID } from "../http/in-memory-services.ts";
import { bearer, type OpenFace, openFace } from "../http/open-face.ts";
import { asAlice, type CliRun, runCli } from "./run-cli.ts";

const ON_DATABASE = ["--app", "my-app", "--addon", "postgresql"];
const RESTORE = [...ON_DATABASE, "database-pitr-restore", "2026-11-22T14:00:00Z"];
const UNDO = [...ON_DATABASE, "database-pitr-undo"];
const CREATED = `-----> Database restore operation ${OPERATION_ID} has been created\n`;

interface Scene {
  readonly face: OpenFace;
  /** What the platform was told to do. */
  readonly begun: (RestoreWish | "undo")[];
  readonly run: (argv: readonly string[], stdin?: string) => Promise<CliRun>;
}

async function openScene(t: CleanUp, overrides: Partial<PointInTimeService> = {}): Promise<Scene> {
  const begun: Scene["begun"] = [];
  const inMemory = inMemoryServices();
  const pointInTime: Services["pointInTime"] = {
    ...inMemory.pointInTime,
    async restore(caller, addon, wish) {
      begun.push(wish);
      return await inMemory.pointInTime.restore(caller, addon, wish);
    },
    async undo(caller, addon) {
      begun.push("undo");
      return await inMemory.pointInTime.undo(caller, addon);
    },
    ...overrides,
  };
  const face = await openFace(t, { services: { ...inMemory, pointInTime } });
  const run: Scene["run"] = (argv, stdin = "") => runCli(argv, { environment: asAlice(face.url), stdin });
  return { face, begun, run };
}

test("database-pitr-restore and -undo begin for y, Y or --yes, and for nothing else", async (t) => {
  const { begun, run } = await openScene(t);
  for (const argv of [RESTORE, UNDO]) {
    for (const typed of ["y\n", "Y\n", " y \n", "y"]) {
      const { exitCode, stdout } = await run(argv, typed);
      assert.equal(exitCode, 0, typed);
      assert.ok(stdout.includes(CREATED), stdout);
    }
    assert.equal((await run([...argv, "--yes"])).exitCode, 0);
    assert.equal(begun.splice(0).length, 5);
    for (const typed of ["n\n", "N\n", "yes\n", "yy\n", "\n", "\ny\n", "no\ny\n", ""]) {
      const { exitCode, stdout, stderr } = await run(argv, typed);
      assert.notEqual(exitCode, 0, JSON.stringify(typed));
      assert.match(stderr, /nothing was (restored|undone)|Pass --yes instead/);
      assert.doesNotMatch(stdout, /has been/);
    }
    assert.deepEqual(begun, []);
  }
});

test("database-pitr-restore passes on moment, branch and exclusion, and says how it went", async (t) => {
  const { begun, run } = await openScene(t);
  const { stdout } = await run([...RESTORE, "--branch", "3", "--exclusive", "--yes"]);
  assert.deepEqual(begun, [{ target: "2026-11-22T14:00:00Z", branch: 3, isExclusive: true }]);
  assert.match(
    stdout,
    /-----> The database has been restored to 2026-11-22T14:00:00Z\n +The database was away for 1\.8 s/,
  );
});

test("database-pitr-restore and -undo return at once with --detach", async (t) => {
  const { begun, run } = await openScene(t, { operation: planOnly() });
  for (const argv of [RESTORE, UNDO]) {
    const once = await run([...argv, "--yes", "--detach"]);
    assert.equal(once.exitCode, 0, once.stderr);
    assert.ok(once.stdout.endsWith(CREATED), once.stdout);
    const json = await run([...argv, "--yes", "--detach", "--json"]);
    assert.equal(JSON.parse(json.stdout).operation_id, OPERATION_ID);
  }
  assert.equal(begun.length, 4);
});

test("database-pitr-restore --dry-run prints the API's plan, each of its facts, and begins nothing", async (t) => {
  const { face, begun, run } = await openScene(t);
  const { exitCode, stdout } = await run([...RESTORE, "--dry-run"]);
  assert.equal(exitCode, 0);
  const { plan } = OPERATION;
  assert.ok(plan !== null);
  for (const fact of [
    "2026-11-22T13:59:59.123456Z, transaction 731 at 0/3000028",
    "nothing that is stored",
    `${plan.base.backupId} of ${plan.base.finishedAt}`,
    "2 segments of branch 1, replayed to 0/30000A0",
    "50 MB at most",
    "90 MB at most, beside the database",
    "270 MB at most",
    "about 2 s",
    "for 24 hours",
    'transaction 700 "kept open" comes back and holds its locks',
    ...plan.losses,
  ])
    assert.ok(stdout.includes(fact), `${fact} in ${stdout}`);
  const json = await run([...RESTORE, "--dry-run", "--json"]);
  const path = `/api/databases/${ADDON_ID}/operations/${OPERATION_ID}`;
  const reply = await face.request(path, { headers: bearer(ALICE.addonToken) });
  assert.deepEqual(JSON.parse(json.stdout).operation.plan, Object(await reply.json()).operation.plan);
  assert.deepEqual(begun, []);
});

test("database-pitr-restore says before it asks when the disk has no room for a way back", async (t) => {
  const { plan } = OPERATION;
  assert.ok(plan !== null);
  const operation = async (): Promise<PointInTimeOperation> => ({ ...OPERATION, plan: { ...plan, undoHours: 0 } });
  const { begun, run } = await openScene(t, { operation });
  const { stdout } = await run(RESTORE, "n\n");
  assert.match(stdout, /undo +not possible: the disk has no room for both/);
  assert.match(stdout, /replaces the database's current data, and can't be undone\n/);
  assert.deepEqual(begun, []);
});

test("database-pitr-restore ends with 1, the reason and what to do when the restore failed", async (t) => {
  const error = { code: "handover_failed", message: "the last log was not stored", hint: "Make room" };
  let asked = 0;
  const operation = async (): Promise<PointInTimeOperation> =>
    asked++ === 0 ? OPERATION : { ...OPERATION, status: "error", error };
  const { run } = await openScene(t, { operation });
  const { exitCode, stderr } = await run([...RESTORE, "--yes"]);
  assert.equal(exitCode, 1);
  assert.equal(stderr, ` !     Operation ${OPERATION_ID} failed: the last log was not stored\n       Make room\n`);
});

/** Answers for the plan, and fails whoever asks again: a command that doesn't wait asks nothing more. */
function planOnly(): PointInTimeService["operation"] {
  let asked = 0;
  return async () => {
    asked += 1;
    assert.ok(asked <= 2, "it waited");
    return OPERATION;
  };
}
