import assert from "node:assert/strict";
import { after, describe, test } from "node:test";
import { clientFromToken } from "scalingo";
import { ADDON_ID, ALICE, APP_ID } from "./in-memory-services.ts";
import { openFace } from "./open-face.ts";

const face = await openFace({ after });
const client = await clientFromToken(ALICE.apiToken, { apiUrl: face.url, authApiUrl: face.url });

/** A client that others wrote for the API that we speak. */
describe("the scalingo package", () => {
  test("learns who it is, and where", async () => {
    assert.equal((await client.Users.self()).username, "alice");
    assert.deepEqual(
      (await client.Regions.all()).map(({ name }) => name),
      ["local"],
    );
  });

  test("lists, makes and removes tokens", async () => {
    assert.equal((await client.Tokens.all()).length, 1);
    assert.equal((await client.Tokens.create("laptop")).token, ALICE.apiToken);
    await client.Tokens.destroy("t1");
  });

  test("lists, makes, finds and removes apps", async () => {
    assert.equal((await client.Apps.all())[0]?.id, APP_ID);
    assert.equal((await client.Apps.create({ name: "other" })).name, "other");
    assert.equal((await client.Apps.find("my-app")).owner.username, "alice");
    await client.Apps.destroy("my-app", "my-app");
  });

  test("reads, sets and removes variables", async () => {
    const names = (await client.Environment.for("my-app")).map(({ name }) => name);
    assert.deepEqual(names, ["DATABASE_URL", "SCALINGO_POSTGRESQL_URL", "MODE"]);
    const changes = [{ name: "MODE", value: "slow" }];
    assert.equal((await client.Environment.bulkUpdate("my-app", changes))[0]?.value, "slow");
    assert.equal((await client.Environment.create("my-app", { name: "NEW", value: "1" })).name, "NEW");
    assert.equal((await client.Environment.update("my-app", "v3", "fast")).value, "fast");
    await client.Environment.destroy("my-app", "v3");
    await client.Environment.bulkDestroy("my-app", ["v3"]);
  });

  test("lists, invites, changes and removes collaborators, accepts an invitation, and gives an app away", async () => {
    const [member] = await client.Collaborators.for("my-app");
    assert.deepEqual([member?.username, member?.status, member?.is_limited], ["bob", "accepted", false]);
    const invited = await client.Collaborators.invite("my-app", "new@example.com");
    assert.match(invited.invitation_link, /\/invitations\/token$/);
    const id = member?.id ?? "";
    assert.equal((await client.Collaborators.update("my-app", id, { is_limited: true })).is_limited, true);
    await client.Collaborators.destroy("my-app", id);
    await client.Collaborators.inviteAccept("token");
    assert.equal((await client.Apps.transfer("my-app", "my-app", "bob@example.com")).id, APP_ID);
  });

  test("lists, adds, shows and removes SSH keys", async () => {
    const [key] = await client.Keys.all();
    const id = key?.id ?? "";
    assert.equal((await client.Keys.show(id)).name, "laptop");
    assert.equal((await client.Keys.create("desk", "ssh-ed25519 AAAA desk")).name, "desk");
    await client.Keys.destroy(id);
  });

  test("begins, confirms and disables a second factor", async () => {
    const factor = client.TwoFactorAuth;
    assert.equal((await factor.status()).enabled, false);
    assert.match((await factor.initiate()).uri, /^otpauth:/);
    assert.deepEqual((await factor.validate(123456)).codes, ["abcd-efgh-jkmn-pqrs"]);
    assert.equal((await factor.disable(123456)).enabled, false);
  });

  test("lists providers without credentials; lists, makes, finds and removes addons", async () => {
    assert.equal((await client.Addons.listProviders())[0]?.name, "PostgreSQL");
    assert.equal((await client.Addons.for("my-app"))[0]?.plan.name, "postgresql-starter-512");
    const made = { addon_provider_id: "postgresql", plan_id: "postgresql-starter-512" };
    assert.equal((await client.Addons.create("my-app", made)).status, "provisioning");
    assert.equal((await client.Addons.getAddon("my-app", ADDON_ID)).resource_id, "my_app_4553");
    await client.Addons.destroy("my-app", ADDON_ID);
  });

  test("reads status and text of errors", async () => {
    await assert.rejects(client.Apps.find("other"), {
      _status: 404,
      message: "There is no app of this name or id",
    });
    await assert.rejects(clientFromToken("wrong", { apiUrl: face.url, authApiUrl: face.url }), { _status: 401 });
  });
});
