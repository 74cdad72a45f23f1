import assert from "node:assert/strict";
import { after, test } from "node:test";
import { createEventService } from "../../../src/control/event-pages.ts";
import { forgetOldEvents, recordEvent } from "../../../src/control/events.ts";
import type { Principal } from "../../../src/control/model.ts";
import { isErrorCode } from "../../../src/core/errors.ts";
import { newObjectId, type ObjectId } from "../../../src/core/ids.ts";
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

test("forgetOldEvents() removes what is older than 400 days", async () => {
  const place = { appId: newObjectId(NOW), appName: "old" };
  const daysBefore = (days: number): Date => new Date(NOW.getTime() - days * 86_400_000);
  for (const at of [daysBefore(401), daysBefore(399)])
    await recordEvent(db, { type: "new_app", data: {}, actor: ACTOR, at, place });
  await forgetOldEvents(db, NOW);
  const left = await db.selectFrom("events").select("created_at").where("app_name", "=", "old").execute();
  assert.deepEqual(left, [{ created_at: daysBefore(399) }]);
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

test("timelines show what concerns the reader, newest first, page by page", async () => {
  const service = createEventService({ database });
  const [ada, ben, cleo] = [await addUser("ada"), await addUser("ben"), await addUser("cleo")];
  const shop = await addApp("shop", ada);
  const gone = await addApp("gone", ada, { removedAt: NOW });
  await db
    .insertInto("collaborators")
    .values({
      id: newObjectId(NOW),
      app_id: shop.appId,
      email: "ben@x",
      user_id: ben.userId,
      role: "limited",
      invitation_hash: null,
      invitation_expires_at: null,
      accepted_at: NOW,
    })
    .execute();
  await recordEvent(db, { type: "new_app", data: {}, actor: ada, at: NOW, place: shop });
  await recordEvent(db, { type: "delete_app", data: {}, actor: ada, at: NOW, place: gone });
  const token = { token_id: "t1", token_name: "laptop" };
  await recordEvent(db, { type: "new_token", data: token, actor: ben, at: NOW });
  const made = { username: "cleo", email: "cleo@x" };
  await recordEvent(db, { type: "new_user", data: made, actor: ada, subjectUserId: cleo.userId, at: NOW });
  const page = { page: 1, perPage: 30 };
  const typesOf = async (who: Principal) => (await service.ofUser(who, page)).items.map(({ type }) => type);
  assert.deepEqual(await typesOf(ada), ["new_user", "delete_app", "new_app"]);
  assert.deepEqual(await typesOf(ben), ["new_token", "new_app"]);
  assert.deepEqual(await typesOf(cleo), ["new_user"]);
  assert.deepEqual(
    (await service.ofApp(ben, "shop", page)).items.map(({ text }) => text),
    ["The application has been created"],
  );
  await assert.rejects(service.ofApp(cleo, "shop", page), (error) => isErrorCode(error, "not_found"));
  const second = await service.ofUser(ada, { page: 2, perPage: 2 });
  assert.deepEqual([second.items.map(({ type }) => type), second.totalCount], [["new_app"], 3]);
});

test("audit() is for the owner of the platform, and narrows by user, app and type", async () => {
  const service = createEventService({ database });
  const page = { page: 1, perPage: 30 };
  const dora = await addUser("dora");
  await assert.rejects(service.audit(dora, {}, page), (error) => isErrorCode(error, "forbidden"));
  const place = await addApp("audited", dora);
  await recordEvent(db, { type: "new_app", data: {}, actor: { ...dora, address: "192.0.2.9" }, at: NOW, place });
  await recordEvent(db, { type: "delete_app", data: {}, actor: "platform", at: NOW, place });
  const owner = { ...dora, isPlatformOwner: true };
  const found = await service.audit(owner, { username: "dora" }, page);
  assert.deepEqual(
    found.items.map(({ type, address }) => [type, address]),
    [["new_app", "192.0.2.9"]],
  );
  const [byPlatform] = (await service.audit(owner, { app: "audited", type: "delete_app" }, page)).items;
  assert.equal(byPlatform?.actor, null);
});

async function addUser(username: string): Promise<Principal> {
  const userId = newObjectId(NOW);
  const email = `${username}@x`;
  await db
    .insertInto("users")
    .values({ id: userId, username, email, fullname: "", password_hash: "", is_platform_owner: false })
    .execute();
  return { userId, username, email, isPlatformOwner: false, apiTokenId: null, loginEpoch: 0 };
}

async function addApp(
  name: string,
  owner: Principal,
  { removedAt = null }: { removedAt?: Date | null } = {},
): Promise<{ appId: ObjectId; appName: string }> {
  const appId = newObjectId(NOW);
  await db.insertInto("apps").values({ id: appId, name, owner_id: owner.userId, removed_at: removedAt }).execute();
  return { appId, appName: name };
}
