import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { type Client, clientFromToken } from "scalingo";
import { generateHostKey } from "../../src/gateway/host-key.ts";
import { collectCleanUps } from "../harness/clean-ups.ts";
import { pick, pickList, pickText } from "../harness/pick.ts";
import { type Platform, startPlatform, waitFor } from "../harness/platform.ts";

/** Their JavaScript client, against the real program: what it sends and reads is not ours to choose. */
describe("the scalingo package on a real platform", () => {
  const cleanUps = collectCleanUps();
  let platform: Platform;
  let client: Client;

  before(async () => {
    platform = await startPlatform(cleanUps);
    client = await clientOf(await platform.ownerToken());
  });
  after(() => cleanUps.run());

  test("logs in by exchanging a token, and learns who it is and where", async () => {
    assert.equal((await client.Users.self()).username, "owner");
    const [region, ...others] = await client.Regions.all();
    assert.deepEqual(others, []);
    assert.equal(region?.api, platform.url);
    await assert.rejects(clientOf("tk-us-of-nobody"), { _status: 401 });
  });

  test("makes a token that works, and one that it removes doesn't", async () => {
    const { id, token = "" } = await client.Tokens.create("laptop");
    const laptop = await clientOf(token);
    assert.equal((await laptop.Users.self()).username, "owner");
    assert.ok((await client.Tokens.all()).some((each) => each.id === id));
    await client.Tokens.destroy(id);
    await assert.rejects(clientOf(token), { _status: 401 });
    await assert.rejects(laptop.Users.self(), { _status: 401 });
  });

  test("makes, lists, finds and removes apps", async () => {
    const made = await client.Apps.create({ name: "short-lived" });
    assert.equal((await client.Apps.find("short-lived")).id, made.id);
    assert.deepEqual(
      (await client.Apps.all()).map(({ name }) => name),
      ["short-lived"],
    );
    await assert.rejects(client.Apps.create({ name: "short-lived" }), { _status: 422 });
    await client.Apps.destroy("short-lived", "short-lived");
    await assert.rejects(client.Apps.find("short-lived"), { _status: 404 });
  });

  test("takes a database from the list of plans to a downloaded backup, and removes it", async () => {
    const http = client.apiClient();
    await client.Apps.create({ name: "shop" });
    assert.equal((await client.Addons.listProviders())[0]?.id, "postgresql");
    const plans = pickList((await http.get("/addon_providers/postgresql/plans")).data, "plans");
    const planId = pickText(plans[0], "id");
    const made = { addon_provider_id: "postgresql", plan_id: planId };
    const { id: addonId } = await client.Addons.create("shop", made);
    assert.match(addonId, /^ad-/);
    await waitFor(
      async () => (await client.Addons.getAddon("shop", addonId)).status === "running",
      "a database that runs",
    );
    assert.deepEqual(
      (await client.Addons.for("shop")).map(({ id }) => id),
      [addonId],
    );
    const variables = await client.Environment.for("shop");
    const uri = variables.find(({ name }) => name === "SCALINGO_POSTGRESQL_URL")?.value ?? "";
    assert.match(uri, /^postgresql:\/\/shop_\d+:\w+@127\.0\.0\.1:\d+\/shop_\d+\?sslmode=prefer$/);

    // Their package stops at the addon: its token and the database's API go through its HTTP client.
    const token = pickText((await http.post(`/apps/shop/addons/${addonId}/token`, {})).data, "addon", "token");
    const database = `${platform.url}/api/databases/${addonId}`;
    const asAddon = { headers: { Authorization: `Bearer ${token}` } };
    const bare = client.unauthenticatedClient();
    assert.equal(pick((await bare.get(database, asAddon)).data, "database", "status"), "running");
    const created = await bare.post(`${database}/backups`, {}, asAddon);
    assert.equal(created.status, 201);
    const backupId = pickText(created.data, "database_backup", "id");
    const backup = `${platform.url}/api/backups/${backupId}`;
    await waitFor(
      async () => pick((await bare.get(backup, asAddon)).data, "database_backup", "status") === "done",
      "a backup that is done",
    );
    const { data: list } = await bare.get(`${database}/backups`, asAddon);
    assert.equal(pick(list, "database_backups", 0, "id"), backupId);
    const { data: link } = await bare.get(`${database}/backups/${backupId}/archive`, asAddon);
    const archive = await bare.get(pickText(link, "download_url"), { responseType: "arraybuffer" });
    assert.deepEqual([...archive.data.subarray(0, 2)], [0x1f, 0x8b], "it is still gzipped");
    assert.equal(archive.data.length, pick(list, "database_backups", 0, "size"));

    await client.Addons.destroy("shop", addonId);
    await assert.rejects(client.Addons.getAddon("shop", addonId), { _status: 404 });
    assert.deepEqual(await client.Environment.for("shop"), []);
  });

  test("gets a JWT whose end it can read, an hour from now", async () => {
    const [head = "", claims = ""] = (await platform.ownerJwt()).split(".");
    const decoded = (part: string): unknown => JSON.parse(Buffer.from(part, "base64url").toString("utf8"));
    assert.equal(pick(decoded(head), "alg"), "HS256");
    const { iat, exp } = { iat: pick(decoded(claims), "iat"), exp: pick(decoded(claims), "exp") };
    assert.ok(typeof iat === "number" && typeof exp === "number");
    assert.equal(exp - iat, 3600);
  });

  test("adds SSH keys and sets variables, and meets a refusal as a field's message", async () => {
    await client.Apps.create({ name: "keys-and-variables" });
    const http = client.apiClient();
    const { publicKey } = generateHostKey();
    const made = await http.post("/keys", { key: { name: "laptop", content: `${publicKey} me@laptop\n` } });
    assert.equal(made.status, 201);
    const id = pickText(made.data, "key", "id");
    assert.ok(pickText(made.data, "key", "content").length > 30);
    assert.equal((await http.delete(`/keys/${id}`)).status, 204);
    const [variable] = pickList(
      (
        await http.put("/apps/keys-and-variables/variables", {
          variables: [{ id: "", name: "COLOUR", value: "blue=1" }],
        })
      ).data,
      "variables",
    );
    assert.equal(pickText(variable, "value"), "blue=1");
    await assert.rejects(http.post("/keys", { key: { name: "bad", content: "ssh-ed25519 AAAA" } }), { status: 422 });
    await client.Apps.destroy("keys-and-variables", "keys-and-variables");
  });

  async function clientOf(token: string): Promise<Client> {
    return await clientFromToken(token, { apiUrl: platform.url, authApiUrl: platform.url });
  }
});
