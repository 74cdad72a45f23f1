import assert from "node:assert/strict";
import { after, test } from "node:test";
import { recordEvent } from "../../../src/control/events.ts";
import { newObjectId } from "../../../src/core/ids.ts";
import { makeControlDatabase } from "../../harness/control-database.ts";
import { startPostgresServer } from "../../harness/postgres-server.ts";

const NOW = new Date("2026-03-01T10:00:00Z");
const ACTOR = { userId: newObjectId(NOW), username: "ada", email: "ada@x", apiTokenId: "t1", address: "192.0.2.7" };

const server = await startPostgresServer({ after });
const database = await makeControlDatabase(server);
after(() => database.close());
const { db } = database;

test("recordEvent() keeps who did it, from where and by which token, for whoever is to be told", async () => {
  const place = { appId: newObjectId(NOW), appName: "my-app" };
  await recordEvent(db, { type: "new_app", data: {}, actor: ACTOR, at: NOW, place });
  await recordEvent(db, { type: "delete_app", data: {}, actor: "platform", at: NOW, place });
  const rows = await db.selectFrom("events").selectAll().orderBy("sequence").execute();
  const [first, second] = rows;
  assert.equal(rows.length, 2);
  assert.deepEqual(
    [first?.type, first?.actor_username, first?.api_token_id, first?.address, first?.app_name, first?.routed_at],
    ["new_app", "ada", "t1", "192.0.2.7", "my-app", null],
  );
  assert.deepEqual([second?.type, second?.actor_id, second?.created_at], ["delete_app", null, NOW]);
});

test("recordEvent() leaves nothing behind when its transaction is undone", async () => {
  const place = { appId: newObjectId(NOW), appName: "undone" };
  const refused = db.transaction().execute(async (transaction) => {
    await recordEvent(transaction, { type: "new_app", data: {}, actor: ACTOR, at: NOW, place });
    throw new Error("the change failed");
  });
  await assert.rejects(refused, /the change failed/);
  const left = await db.selectFrom("events").select("id").where("app_name", "=", "undone").execute();
  assert.deepEqual(left, []);
});
