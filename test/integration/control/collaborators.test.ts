import assert from "node:assert/strict";
import { after, test } from "node:test";
import {
  findAddonOfCaller,
  findAddonWithBackups,
  findApp,
  hasRight,
  listAddonsOfUser,
  listApps,
  type Right,
} from "../../../src/control/access.ts";
import { createAppService } from "../../../src/control/apps.ts";
import { createCollaboratorService } from "../../../src/control/collaborators.ts";
import type { ControlContext } from "../../../src/control/context.ts";
import type { AppRole, Principal } from "../../../src/control/model.ts";
import { insertUser, loadPrincipal } from "../../../src/control/users.ts";
import { isErrorCode, type ErrorCode } from "../../../src/core/errors.ts";
import { newAddonId, newObjectId } from "../../../src/core/ids.ts";
import { makeControlDatabase } from "../../harness/control-database.ts";
import { startPostgresServer } from "../../harness/postgres-server.ts";
import { SteppedClock } from "../../harness/stepped-clock.ts";

const PASSWORD = "correct horse battery";
const RIGHTS: readonly Right[] = ["read", "operate", "manage", "own"];
const DAY_MS = 24 * 3600_000;

const clock = new SteppedClock(new Date("2026-03-01T10:00:00Z"));
const server = await startPostgresServer({ after });
const database = await makeControlDatabase(server);
after(() => database.close());
const { db } = database;
const collaborators = createCollaboratorService({ database, clock, publicUrl: "https://backups.example.com" });
// Apps alone need neither queue nor keys: what they add to the context is never reached here.
const apps = createAppService({ database, clock } as unknown as ControlContext);

const [alice, bob, carol, dave] = await Promise.all(["alice", "bob", "carol", "dave"].map(makeUser));
assert.ok(alice !== undefined && bob !== undefined && carol !== undefined && dave !== undefined);

const refusedAs = (code: ErrorCode) => (error: unknown) => isErrorCode(error, code);

test("findApp() and the other finds give each role its rights, refuse the rest as forbidden, and tell a stranger nothing", async () => {
  const { app, addonId, resourceId } = await makeApp(alice, "rights");
  await collaborators.add(alice, app, { who: "bob", role: "collaborator" });
  await collaborators.add(alice, app, { who: "carol@example.com", role: "limited" });
  const roles: [Principal, AppRole][] = [
    [alice, "owner"],
    [bob, "collaborator"],
    [carol, "limited"],
  ];
  for (const [principal, role] of roles) {
    assert.equal((await apps.show(principal, app)).role, role);
    assert.equal((await apps.show(principal, app)).owner.username, "alice");
    for (const right of RIGHTS) {
      const caller = { principal, addonId: null };
      const finds = [
        () => findApp(db, principal, app, right),
        () => findAddonOfCaller(db, caller, addonId, right),
        () => findAddonWithBackups(db, caller, resourceId, right),
      ];
      for (const find of finds) {
        if (hasRight(role, right)) await find();
        else await assert.rejects(find, refusedAs("forbidden"), `${role} ${right}`);
      }
      const listed = await listAddonsOfUser(db, principal, right);
      assert.equal(
        listed.some(({ id }) => id === addonId),
        hasRight(role, right),
        `${role} ${right}`,
      );
    }
  }
  assert.deepEqual(
    (["owner", "collaborator", "limited"] as const).map((role) => RIGHTS.filter((right) => hasRight(role, right))),
    [["read", "operate", "manage", "own"], ["read", "operate", "manage"], ["read"]],
  );
  const stranger = { principal: dave, addonId: null };
  await assert.rejects(findApp(db, dave, app, "read"), refusedAs("not_found"));
  await assert.rejects(findAddonOfCaller(db, stranger, addonId, "read"), refusedAs("not_found"));
  await assert.rejects(findAddonOfCaller(db, { principal: bob, addonId: "ad-other" }, addonId, "read"), /no addon/);
  assert.deepEqual(await listApps(db, dave), []);
});

test("add() invites an address that nobody has; its link makes whoever opens it a collaborator, once", async () => {
  const { app } = await makeApp(alice, "invited");
  const added = await collaborators.add(alice, app, { who: "new@example.com", role: "limited" });
  assert.equal(added.status, "pending");
  assert.match(added.invitationLink ?? "", /^https:\/\/backups\.example\.com\/invitations\/[A-Za-z0-9]{40}$/);
  assert.deepEqual(
    (await collaborators.list(alice, app)).map(({ email, status, user }) => [email, status, user]),
    [["new@example.com", "pending", null]],
  );
  const token = added.invitationLink?.split("/").at(-1) ?? "";
  await assert.rejects(collaborators.accept(dave, `${token}x`), refusedAs("not_found"));
  await assert.rejects(collaborators.accept(alice, token), refusedAs("conflict"));
  assert.equal((await collaborators.accept(dave, token)).role, "limited");
  await assert.rejects(collaborators.accept(carol, token), refusedAs("not_found"));
  const [member] = await collaborators.list(dave, app);
  assert.deepEqual([member?.status, member?.email, member?.user?.username], ["accepted", "dave@example.com", "dave"]);
});

test("accept() refuses an invitation that is over two weeks old, or was withdrawn", async () => {
  const { app } = await makeApp(alice, "late");
  const [old, withdrawn] = [
    await collaborators.add(alice, app, { who: "old@example.com", role: "collaborator" }),
    await collaborators.add(alice, app, { who: "gone@example.com", role: "collaborator" }),
  ];
  await collaborators.remove(alice, app, withdrawn.id);
  const tokenOf = (link: string | null): string => link?.split("/").at(-1) ?? "";
  await assert.rejects(collaborators.accept(bob, tokenOf(withdrawn.invitationLink)), refusedAs("not_found"));
  clock.advance(14 * DAY_MS + 1);
  await assert.rejects(collaborators.accept(bob, tokenOf(old.invitationLink)), refusedAs("not_found"));
});

test("add(), changeRole() and remove() are the owner's; a collaborator may leave", async () => {
  const { app } = await makeApp(alice, "team");
  const member = await collaborators.add(alice, app, { who: "BOB", role: "collaborator" });
  const looker = await collaborators.add(alice, app, { who: "carol", role: "limited" });
  for (const who of ["bob", "bob@example.com", "alice", "no address"])
    await assert.rejects(collaborators.add(alice, app, { who, role: "limited" }), refusedAs("invalid_fields"), who);
  await assert.rejects(collaborators.add(bob, app, { who: "dave", role: "limited" }), refusedAs("forbidden"));
  const change = { collaboratorId: member.id, role: "collaborator" } as const;
  await assert.rejects(collaborators.changeRole(bob, app, change), refusedAs("forbidden"));
  await assert.rejects(collaborators.changeRole(dave, app, change), refusedAs("not_found"));
  await assert.rejects(collaborators.remove(bob, app, looker.id), refusedAs("forbidden"));
  await assert.rejects(collaborators.remove(alice, app, "nobody"), refusedAs("not_found"));
  assert.equal((await collaborators.changeRole(alice, app, { ...change, role: "limited" })).role, "limited");
  await assert.rejects(findApp(db, bob, app, "operate"), refusedAs("forbidden"));

  await collaborators.remove(bob, app, member.id);
  await collaborators.remove(alice, app, looker.id);
  assert.deepEqual(await collaborators.list(alice, app), []);
  await assert.rejects(findApp(db, bob, app, "read"), refusedAs("not_found"));
});

test("a member of one app can't change those of another by their ids", async () => {
  const [mine, yours] = [await makeApp(alice, "mine"), await makeApp(bob, "yours")];
  const member = await collaborators.add(bob, yours.app, { who: "carol", role: "limited" });
  const input = { collaboratorId: member.id, role: "collaborator" } as const;
  await assert.rejects(collaborators.changeRole(alice, mine.app, input), refusedAs("not_found"));
  await assert.rejects(collaborators.remove(alice, mine.app, member.id), refusedAs("not_found"));
  await assert.rejects(collaborators.remove(carol, mine.app, member.id), refusedAs("not_found"));
  assert.equal((await collaborators.listOfOwner(bob)).length, 1);
});

test("transfer() gives the app away for good, whatever the two were to it before", async () => {
  const { app } = await makeApp(alice, "given");
  await collaborators.add(alice, app, { who: "bob", role: "limited" });
  const input = { currentName: "given", owner: "bob@example.com" };
  await assert.rejects(apps.transfer(bob, app, input), refusedAs("forbidden"));
  await assert.rejects(apps.transfer(alice, app, { ...input, currentName: "other" }), refusedAs("bad_request"));
  await assert.rejects(apps.transfer(alice, app, { ...input, owner: "nobody" }), refusedAs("invalid_fields"));
  const given = await apps.transfer(alice, app, input);
  assert.deepEqual([given.owner.username, given.role], ["bob", "collaborator"]);
  assert.equal((await apps.show(bob, app)).role, "owner");
  const back = await apps.transfer(bob, app, { ...input, owner: "alice" });
  assert.deepEqual([back.owner.username, back.role], ["alice", "collaborator"]);
  assert.equal((await collaborators.list(alice, app)).length, 1);
});

async function makeUser(username: string): Promise<Principal> {
  const email = `${username}@example.com`;
  const input = { username, email, fullname: "", password: PASSWORD, isPlatformOwner: username === "alice" };
  const { id } = await insertUser(database, clock, input);
  return await loadPrincipal(database, { userId: id, apiTokenId: null });
}

/** An app with one database; of its server there are rows only. */
async function makeApp(owner: Principal, name: string) {
  const { id: appId } = await apps.create(owner, { name });
  const addonId = newAddonId();
  const resourceId = `${name}_1`;
  await db
    .insertInto("addons")
    .values({
      id: addonId,
      app_id: appId,
      name: "postgresql",
      resource_id: resourceId,
      plan_name: "postgresql-starter-512",
      state: "running",
      provisioned_at: clock.now(),
      removed_at: null,
    })
    .execute();
  const none = Buffer.alloc(0);
  await db
    .insertInto("databases")
    .values({
      addon_id: addonId,
      host_id: newObjectId(clock.now()),
      major: 15,
      port: null,
      version: null,
      status: "running",
      status_reason: null,
      wrapped_owner_password: none,
      wrapped_backup_password: none,
      wrapped_replication_password: none,
      recipient: "",
      wrapped_identity: none,
    })
    .execute();
  return { app: name, appId, addonId, resourceId };
}
