import assert from "node:assert/strict";
import { after, test } from "node:test";
import { createVariableService, readVariables } from "../../../src/control/app-variables.ts";
import { createCollaboratorService } from "../../../src/control/collaborators.ts";
import type { Secrets } from "../../../src/control/context.ts";
import type { Principal } from "../../../src/control/model.ts";
import { insertUser, loadPrincipal } from "../../../src/control/users.ts";
import { isErrorCode, type ErrorCode } from "../../../src/core/errors.ts";
import { newAddonId, newObjectId } from "../../../src/core/ids.ts";
import { makeControlDatabase } from "../../harness/control-database.ts";
import { startPostgresServer } from "../../harness/postgres-server.ts";
import { SteppedClock } from "../../harness/stepped-clock.ts";

const clock = new SteppedClock(new Date("2026-03-01T10:00:00Z"));
const server = await startPostgresServer({ after });
const database = await makeControlDatabase(server);
after(() => database.close());
const { db } = database;

/** Turned over, so that what is stored plain would be found. */
const turned = (bytes: Uint8Array): Buffer => Buffer.from(bytes.map((byte) => byte ^ 0xff));
const secrets: Pick<Secrets, "wrap" | "unwrap"> = {
  wrap: async (plain) => turned(plain),
  unwrap: async (wrapped) => turned(wrapped),
};
// Nothing here makes a database's key.
const context = { database, clock, secrets: secrets as Secrets, hostNameOf: () => "127.0.0.1" };
const variables = createVariableService(context);
const alice = await makeUser("alice");
const bob = await makeUser("bob");
await makeApp();

const refusedAs = (code: ErrorCode) => (error: unknown) => isErrorCode(error, code);
const env = async (expandAliases = false): Promise<Record<string, string>> =>
  Object.fromEntries(
    (await readVariables(context, alice, { app: "shop", expandAliases })).map(({ name, value }) => [name, value]),
  );

test("set() adds and changes in one go, keeps the others, and stores no value as it is", async () => {
  const first = await variables.set(alice, "shop", [
    { name: "MODE", value: "a=b=c" },
    { name: "CERTIFICATE", value: "one\ntwo\n" },
  ]);
  assert.deepEqual(
    first.map(({ name, value }) => [name, value]),
    [
      ["MODE", "a=b=c"],
      ["CERTIFICATE", "one\ntwo\n"],
    ],
  );
  const [changed, twice] = await variables.set(alice, "shop", [
    { name: "MODE", value: "slow" },
    { name: "TWICE", value: "1" },
    { name: "TWICE", value: "2" },
  ]);
  assert.equal(changed?.id, first[0]?.id);
  assert.equal(twice?.value, "2");
  const { DATABASE_URL, MODE, CERTIFICATE, TWICE } = await env();
  assert.deepEqual([DATABASE_URL, MODE, CERTIFICATE, TWICE], ["$SCALINGO_POSTGRESQL_URL", "slow", "one\ntwo\n", "2"]);
  const stored = await db.selectFrom("app_variables").select("wrapped_value").execute();
  assert.ok(stored.every(({ wrapped_value: wrapped }) => !wrapped.includes("slow") && !wrapped.includes("two")));
});

test("a value that is another variable's name with $ before it follows that one", async () => {
  await variables.set(alice, "shop", [{ name: "PRIMARY_URL", value: "$DATABASE_URL" }]);
  assert.equal((await env())["PRIMARY_URL"], "$DATABASE_URL");
  assert.match((await env(true))["PRIMARY_URL"] ?? "", /^postgresql:\/\/shop_1:/);
});

test("set(), change() and remove() leave a database's variables alone, and what they refuse changes nothing", async () => {
  const before = await env();
  const listed = await readVariables(context, alice, { app: "shop", expandAliases: false });
  assert.deepEqual(
    listed.filter(({ isManaged }) => isManaged).map(({ name }) => name),
    ["SCALINGO_POSTGRESQL_URL", "DATABASE_URL"],
  );
  const managed = listed.find(({ name }) => name === "DATABASE_URL")?.id ?? "";
  const own = listed.find(({ name }) => name === "MODE")?.id ?? "";
  for (const name of ["DATABASE_URL", "SCALINGO_POSTGRESQL_URL", "SCALINGO_POSTGRESQL_9_URL"]) {
    const changes = [
      { name: "NEW", value: "1" },
      { name, value: "1" },
    ];
    await assert.rejects(variables.set(alice, "shop", changes), refusedAs("conflict"), name);
  }
  await assert.rejects(variables.change(alice, "shop", { id: managed, value: "x" }), refusedAs("conflict"));
  await assert.rejects(variables.remove(alice, "shop", [own, managed]), refusedAs("conflict"));
  await assert.rejects(variables.remove(alice, "shop", [own, "nothing"]), refusedAs("not_found"));
  await assert.rejects(variables.change(alice, "shop", { id: "nothing", value: "x" }), refusedAs("not_found"));
  await assert.rejects(variables.create(alice, "shop", { name: "MODE", value: "x" }), refusedAs("invalid_fields"));
  const odd = [
    { name: "", value: "x" },
    { name: "A B", value: "x" },
    { name: "É", value: "x" },
    { name: "A".repeat(65), value: "x" },
    { name: "A", value: "" },
    { name: "A", value: "x\0" },
    { name: "A", value: "\ud800" },
    { name: "A", value: "x".repeat(8193) },
  ];
  for (const change of odd)
    await assert.rejects(variables.set(alice, "shop", [change]), refusedAs("invalid_fields"), JSON.stringify(change));
  const many = Array.from({ length: 251 }, (_, index) => ({ name: `V${index}`, value: "x" }));
  await assert.rejects(variables.set(alice, "shop", many), refusedAs("invalid_fields"));
  assert.deepEqual(await env(), before);
});

test("change() and remove() take ids of this app only, and a limited collaborator neither reads nor writes", async () => {
  const made = await variables.create(alice, "shop", { name: "OLD", value: "1" });
  assert.equal((await variables.change(alice, "shop", { id: made.id, value: "2" })).value, "2");
  await variables.remove(alice, "shop", [made.id]);
  assert.equal((await env())["OLD"], undefined);
  await assert.rejects(variables.remove(alice, "shop", [made.id]), refusedAs("not_found"));

  await assert.rejects(variables.set(bob, "shop", []), refusedAs("not_found"));
  const collaborators = createCollaboratorService({ database, clock, publicUrl: "http://x" });
  const { id } = await collaborators.add(alice, "shop", { who: "bob", role: "limited" });
  await assert.rejects(readVariables(context, bob, { app: "shop", expandAliases: false }), refusedAs("forbidden"));
  await assert.rejects(variables.set(bob, "shop", []), refusedAs("forbidden"));
  await collaborators.changeRole(alice, "shop", { collaboratorId: id, role: "collaborator" });
  await variables.set(bob, "shop", [{ name: "BOBS", value: "1" }]);
  const events = await db.selectFrom("events").select(["type", "actor_username", "data"]).execute();
  const last = events.findLast(({ type, actor_username: actor }) => type === "edit_variables" && actor === "bob");
  assert.match(JSON.stringify(last?.data), /BOBS/);
  assert.ok(!JSON.stringify(events).includes("slow"));
});

async function makeUser(username: string): Promise<Principal> {
  const email = `${username}@example.com`;
  const input = { username, email, fullname: "", password: "correct horse battery", isPlatformOwner: false };
  const { id } = await insertUser(database, clock, input);
  return await loadPrincipal(database, { userId: id, apiTokenId: null });
}

async function makeApp(): Promise<void> {
  const appId = newObjectId(clock.now());
  await db.insertInto("apps").values({ id: appId, name: "shop", owner_id: alice.userId, removed_at: null }).execute();
  const addonId = newAddonId();
  await db
    .insertInto("addons")
    .values({
      id: addonId,
      app_id: appId,
      name: "postgresql",
      resource_id: "shop_1",
      plan_name: "postgresql-starter-512",
      state: "running",
      provisioned_at: clock.now(),
      removed_at: null,
    })
    .execute();
  const password = await secrets.wrap(Buffer.from("secret"));
  await db
    .insertInto("databases")
    .values({
      addon_id: addonId,
      host_id: "host",
      major: 15,
      port: 15432,
      version: "15.18",
      status: "running",
      status_reason: null,
      wrapped_owner_password: password,
      wrapped_backup_password: password,
      wrapped_replication_password: password,
      recipient: "",
      wrapped_identity: password,
    })
    .execute();
}
