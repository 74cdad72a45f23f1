import assert from "node:assert/strict";
import { after, describe, test } from "node:test";
import { pick } from "../harness/pick.ts";
import { ADDON_ID, ALICE, OPERATION_ID } from "./in-memory-services.ts";
import { bearer, openFace } from "./open-face.ts";

const face = await openFace({ after });
const PITR = `/api/databases/${ADDON_ID}/pitr`;

async function send(path: string, json?: unknown): Promise<{ readonly status: number; readonly body: unknown }> {
  const init = json === undefined ? {} : { method: "POST", json };
  const reply = await face.request(path, { headers: bearer(ALICE.addonToken), ...init });
  return { status: reply.status, body: await reply.json() };
}

describe("restores in place", () => {
  test("POST pitr/restore answers 201 with the operation, and its id under both names that clients look for", async () => {
    const { status, body } = await send(`${PITR}/restore`, { restore_time: "2026-07-18T23:00:00+02:00" });
    assert.equal(status, 201);
    assert.equal(pick(body, "operation", "id"), OPERATION_ID);
    assert.equal(pick(body, "operation_id"), OPERATION_ID);
    assert.equal(pick(body, "operation", "status"), "scheduled");
    assert.equal(pick(body, "operation", "plan"), null);
  });

  test("POST pitr/restore names the field that is missing or has a value that can't be", async () => {
    for (const json of [{}, { restore_time: 5 }, { restore_time: "x".repeat(201) }]) {
      const { status, body } = await send(`${PITR}/restore`, json);
      assert.equal(status, 422);
      assert.equal(typeof pick(body, "errors", "restore_time", 0), "string");
    }
    const branch = await send(`${PITR}/restore`, { restore_time: "latest", branch: 0 });
    assert.equal(typeof pick(branch.body, "errors", "branch", 0), "string");
  });

  test("POST pitr/plan answers an operation whose plan tells losses, time and how long it can be undone", async () => {
    const { status, body } = await send(`${PITR}/plan`, { restore_time: "latest", exclusive: null, branch: null });
    assert.equal(status, 201);
    assert.equal(pick(body, "operation", "type"), "pitr_plan");
    assert.equal(pick(body, "operation", "plan", "undo_hours"), 24);
    assert.equal(pick(body, "operation", "plan", "estimated_seconds"), 2);
    assert.equal(pick(body, "operation", "plan", "target", "last_commit", "xid"), 731);
    assert.equal(pick(body, "operation", "plan", "prepared_transactions", 0, "gid"), "kept open");
    assert.equal(pick(body, "operation", "plan", "folder"), undefined);
  });

  test("POST pitr/undo needs no body", async () => {
    const { status, body } = await send(`${PITR}/undo`, {});
    assert.equal(status, 201);
    assert.equal(pick(body, "operation", "type"), "pitr_undo");
  });

  test("an operation is shown and cancelled by its id, and another one is unknown", async () => {
    const path = `/api/databases/${ADDON_ID}/operations`;
    const shown = await send(`${path}/${OPERATION_ID}`);
    assert.equal(shown.status, 200);
    assert.equal(pick(shown.body, "operation", "downtime_ms"), 1800);
    assert.equal((await send(`${path}/${OPERATION_ID}/cancel`, {})).status, 200);
    assert.equal((await send(`${path}/${"0".repeat(24)}`)).status, 404);
  });
});

describe("what a database was and can be restored to", () => {
  test("GET pitr/recovery_window lists base backups with the branch that they are of", async () => {
    const { body } = await send(`${PITR}/recovery_window`);
    assert.deepEqual(pick(body, "recovery_window", "newest_base_backups"), [
      {
        id: "01a203e901dec1593957a297",
        branch_id: "01a203e8fa3f3e991e1aecbe",
        timeline: 1,
        started_at: "2026-03-01T00:59:58.000000Z",
        finished_at: "2026-03-01T01:00:00.000001Z",
        data_size: 30_000_000,
        stored_size: 4_000_000,
      },
    ]);
  });

  test("GET samples answers lag in seconds and size in bytes, null where they weren't known", async () => {
    const { status, body } = await send(`/api/databases/${ADDON_ID}/samples`);
    assert.deepEqual(
      [status, body],
      [
        200,
        {
          samples: [
            { at: "2026-11-22T14:00:00.123Z", lag_seconds: 1.5, size: 7_654_321 },
            { at: "2026-11-22T14:10:00.123Z", lag_seconds: null, size: null },
          ],
        },
      ],
    );
  });
});
