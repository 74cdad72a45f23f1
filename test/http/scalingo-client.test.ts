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

  test("reads variables", async () => {
    const names = (await client.Environment.for("my-app")).map(({ name }) => name);
    assert.deepEqual(names, ["DATABASE_URL", "SCALINGO_POSTGRESQL_URL"]);
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
