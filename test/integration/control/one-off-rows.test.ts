import assert from "node:assert/strict";
import { after, test } from "node:test";
import { findOneOff, markEnded, markReady, oneOffOf, sweepOneOffs } from "../../../src/control/one-off-rows.ts";
import { TidemarkError } from "../../../src/core/errors.ts";
import { newObjectId, type ObjectId } from "../../../src/core/ids.ts";
import { makeControlDatabase } from "../../harness/control-database.ts";
import { startPostgresServer } from "../../harness/postgres-server.ts";

const HOST_ID = "0a1b2c3d";
const CREATED_AT = new Date("2026-03-01T10:00:00Z");
const READY_AT = new Date("2026-03-01T10:00:01Z");
const ENDED_AT = new Date("2026-03-01T10:00:02Z");

const server = await startPostgresServer({ after });
const database = await makeControlDatabase(server);
after(() => database.close());
const { db } = database;
const ownerId = newObjectId(CREATED_AT);
const appId = newObjectId(CREATED_AT);
await db
  .insertInto("users")
  .values({ id: ownerId, username: "owner", email: "o@x", fullname: "", password_hash: "", is_platform_owner: true })
  .execute();
await db.insertInto("apps").values({ id: appId, name: "shop", owner_id: ownerId, removed_at: null }).execute();

let made = 0;

async function addStarting(): Promise<ObjectId> {
  const id = newObjectId(CREATED_AT);
  await db
    .insertInto("one_offs")
    .values({
      id,
      app_id: appId,
      number: ++made,
      command: "true",
      size: "M",
      is_detached: false,
      host_id: HOST_ID,
      started_by: ownerId,
      created_at: CREATED_AT,
    })
    .execute();
  return id;
}

const readyAtOf = async (id: ObjectId): Promise<Date | null> => oneOffOf(await findOneOff(db, appId, id), null).readyAt;

// Clients subtract the beginning of a start from its end as soon as it is over, however it went.
test("markEnded() ends a start that failed at the same moment, and leaves the end of one that didn't", async () => {
  const failed = await addStarting();
  assert.equal(await readyAtOf(failed), null);
  const error = new TidemarkError("bug", "It could not be run");
  await markEnded(db, failed, { at: ENDED_AT, exitCode: 126, reason: error.message, error });
  assert.deepEqual(await readyAtOf(failed), ENDED_AT);
  const ready = await addStarting();
  await markReady(db, ready, READY_AT);
  await markEnded(db, ready, { at: ENDED_AT, exitCode: 0, reason: "its command ended" });
  assert.deepEqual(await readyAtOf(ready), READY_AT);
});

test("sweepOneOffs() ends the starts that a killed platform left", async () => {
  const left = await addStarting();
  await sweepOneOffs(db, HOST_ID, { at: ENDED_AT, exitCode: 137 });
  assert.deepEqual(await readyAtOf(left), ENDED_AT);
});
