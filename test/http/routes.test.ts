import assert from "node:assert/strict";
import { after, describe, test } from "node:test";
import { pick, pickText } from "../harness/pick.ts";
import { ADDON_ID, ALICE, APP_ID, ARCHIVE, BACKUP_ID, LOGICAL_RESTORE, SIGNATURE } from "./in-memory-services.ts";
import { MAINTENANCE_ID } from "./in-memory-database-nouns.ts";
import { basic, bearer, openFace } from "./open-face.ts";

const AT = "2026-11-22T14:00:00.123Z";
const OWNER_ID = "0193512a0000cccccccccccc";

const APP = {
  id: APP_ID,
  name: "my-app",
  region: "local",
  owner: { id: OWNER_ID, username: "alice", email: "alice@example.com" },
  project: { id: OWNER_ID, name: "default" },
  status: "running",
  git_url: "",
  url: null,
  base_url: null,
  stack_id: "",
  force_https: false,
  sticky_session: false,
  hds_resource: false,
  flags: {},
  links: null,
  last_deployed_at: null,
  created_at: AT,
  updated_at: AT,
};
const PLAN = {
  id: "postgresql-starter-512",
  name: "postgresql-starter-512",
  display_name: "Starter 512M",
  description: "One instance, 512 MB",
  price: 0,
  position: 1,
  on_demand: false,
  disabled: false,
  disabled_alternative_plan_id: null,
  sku: "postgresql-starter-512",
  hds_available: false,
};
const PROVIDER = {
  id: "postgresql",
  name: "PostgreSQL",
  short_description: "A PostgreSQL database with continuous and daily backups",
  description: "A PostgreSQL database with continuous and daily backups",
  category: { id: "databases", name: "Databases", description: "Databases", position: 1 },
  logo_url: "",
  provider_name: "Tidemark",
  provider_url: "",
  hds_available: false,
};
const ADDON = {
  id: ADDON_ID,
  app_id: APP_ID,
  resource_id: "my_app_4553",
  type: "postgresql",
  status: "running",
  plan: PLAN,
  next_plan: null,
  addon_provider: PROVIDER,
  hds_resource: false,
  created_at: AT,
  provisioned_at: AT,
  deprovisioned_at: null,
};
const BACKUP = {
  id: BACKUP_ID,
  database_id: ADDON_ID,
  method: "manual",
  status: "done",
  name: "20261122140000_my_app_4553",
  size: ARCHIVE.length,
  progress_bytes: 1_000_000,
  kept_until: null,
  kept_because: "One of the newest 10 manual backups",
  created_at: AT,
  started_at: AT,
  ended_at: AT,
  error: null,
};

/** When every database was last looked at. */
const CHECK = { checked_at: AT, stalled: false };

const face = await openFace({ after });

/** Status and body of an answer, for one comparison. */
async function answerOf(response: Response): Promise<{ status: number; body: unknown }> {
  const text = await response.text();
  return { status: response.status, body: text === "" ? null : JSON.parse(text) };
}

describe("health and regions, without credentials", () => {
  test("GET /healthz tells state and version, and whether databases are looked after", async () => {
    const answer = await answerOf(await fetch(`${face.url}/healthz`));
    assert.deepEqual(answer, { status: 200, body: { status: "ready", version: "0.1.0", health_check: CHECK } });
  });

  test("GET /healthz answers 503 while the platform stops", async (t) => {
    const stopping = await openFace(t, { state: () => "stopping" });
    const answer = await answerOf(await fetch(`${stopping.url}/healthz`));
    assert.deepEqual(answer, { status: 503, body: { status: "stopping", version: "0.1.0", health_check: CHECK } });
  });

  test("GET /v1/regions? names the public address, whatever Host the client sends", async () => {
    const { status, body } = await answerOf(
      await fetch(`${face.url}/v1/regions?`, { headers: { Host: "evil.example" } }),
    );
    const origin = "http://127.0.0.1:8420";
    assert.equal(status, 200);
    assert.deepEqual(body, {
      regions: [
        {
          name: "local",
          display_name: "Local",
          api: origin,
          database_api: origin,
          ssh: "127.0.0.1:8422",
          ssh_host_key: "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJgqZ0b8S9hW7h6yM3m9Jr6T3JtqVZ5eI6Gm1m0mS0aE",
          ssh_fingerprint: "SHA256:iP5ga1O3q1NtFsTIYvb/GMhbZIyAZuinHhx9oYMKH00",
          dashboard: origin,
          default: true,
        },
      ],
    });
  });
});

describe("tokens", () => {
  test("POST /v1/tokens/exchange takes an API token as the password of nobody", async () => {
    const response = await face.request("/v1/tokens/exchange", {
      method: "POST",
      json: {},
      headers: basic("", ALICE.apiToken),
    });
    assert.deepEqual(await answerOf(response), { status: 200, body: { token: ALICE.jwt } });
  });

  test("POST /v1/tokens/exchange refuses a password and a JWT", async () => {
    for (const headers of [basic("alice", ALICE.password), bearer(ALICE.jwt)]) {
      const response = await face.request("/v1/tokens/exchange", { method: "POST", json: {}, headers });
      assert.equal(response.status, 401);
    }
  });

  for (const [kind, headers] of [
    ["a password that holds colons", basic("alice", ALICE.password)],
    ["a JWT", bearer(ALICE.jwt)],
  ] as const)
    test(`POST /v1/tokens makes a token for ${kind}`, async () => {
      const response = await face.request("/v1/tokens", {
        method: "POST",
        json: { token: { name: "Scalingo CLI - host", id: "", unknown: 1 } },
        headers,
      });
      const token = { id: "t2", name: "Scalingo CLI - host", created_at: AT, last_used_at: AT, token: ALICE.apiToken };
      assert.deepEqual(await answerOf(response), { status: 201, body: { token } });
    });

  test("POST /v1/tokens takes the name without the noun around it, and needs one", async () => {
    const create = (json: unknown): Promise<Response> => face.request("/v1/tokens", { method: "POST", json });
    assert.equal((await create({ name: "laptop" })).status, 201);
    assert.deepEqual(await answerOf(await create({})), { status: 422, body: { errors: { name: ["is required"] } } });
  });

  test("GET /v1/tokens lists tokens without their secrets", async () => {
    const tokens = [{ id: "t1", name: "laptop", created_at: AT, last_used_at: null }];
    assert.deepEqual(await answerOf(await face.request("/v1/tokens")), { status: 200, body: { tokens } });
  });

  test("DELETE /v1/tokens/ID answers 204 without a body", async () => {
    assert.deepEqual(await answerOf(await face.request("/v1/tokens/t1", { method: "DELETE" })), {
      status: 204,
      body: null,
    });
  });
});

describe("users", () => {
  const ALICE_JSON = {
    id: OWNER_ID,
    username: "alice",
    email: "alice@example.com",
    fullname: "Alice",
    flags: {},
    created_at: AT,
    platform_owner: true,
  };

  test("GET /v1/users/self tells who asks, and never an admin flag", async () => {
    assert.deepEqual(await answerOf(await face.request("/v1/users/self?")), {
      status: 200,
      body: { user: ALICE_JSON },
    });
  });

  test("POST /v1/users makes a user, with an empty full name when none is given", async () => {
    const bob = { username: "bob", email: "bob@example.com" };
    const response = await face.request("/v1/users", {
      method: "POST",
      json: { user: { ...bob, password: "secret" } },
    });
    assert.deepEqual(await answerOf(response), {
      status: 201,
      body: { user: { ...ALICE_JSON, ...bob, fullname: "" } },
    });
  });
});

describe("apps and variables", () => {
  test("GET /v1/apps? lists apps", async () => {
    assert.deepEqual(await answerOf(await face.request("/v1/apps?")), { status: 200, body: { apps: [APP] } });
  });

  test("POST /v1/apps makes one and ignores fields it doesn't know", async () => {
    const response = await face.request("/v1/apps", {
      method: "POST",
      json: { app: { name: "other", hds_resource: true, project_id: null } },
    });
    assert.deepEqual(await answerOf(response), {
      status: 201,
      body: { app: { ...APP, name: "other", status: "new" } },
    });
  });

  test("POST /v1/apps makes nothing of a dry run", async () => {
    const headers = { "X-Dry-Run": "true" };
    const response = await face.request("/v1/apps", { method: "POST", json: { app: { name: "other" } }, headers });
    assert.equal(response.status, 400);
  });

  for (const key of ["my-app", APP_ID])
    test(`GET /v1/apps/${key} shows it`, async () => {
      assert.deepEqual(await answerOf(await face.request(`/v1/apps/${key}?`)), { status: 200, body: { app: APP } });
    });

  test("DELETE /v1/apps/APP needs its name once more", async () => {
    const remove = (query: string): Promise<Response> => face.request(`/v1/apps/my-app${query}`, { method: "DELETE" });
    assert.equal((await remove("?current_name=my-app")).status, 204);
    assert.equal((await remove("?current_name=other")).status, 400);
    assert.deepEqual(await answerOf(await remove("?")), {
      status: 422,
      body: { errors: { current_name: ["is required"] } },
    });
  });

  test("GET /v1/apps/APP/variables replaces aliases only when asked not to show them", async () => {
    const valueWith = async (query: string): Promise<unknown> => {
      const { body } = await answerOf(await face.request(`/v1/apps/my-app/variables${query}`));
      const { variables } = body as { variables: { value: string }[] }; // its shape is what this test checks
      return variables[0]?.value;
    };
    assert.equal(await valueWith("?aliases=true"), "$SCALINGO_POSTGRESQL_URL");
    assert.equal(await valueWith("?"), "$SCALINGO_POSTGRESQL_URL");
    assert.equal(await valueWith("?aliases=false"), "postgresql://u:p@127.0.0.1:15432/d?sslmode=prefer");
    assert.equal((await face.request("/v1/apps/my-app/variables?aliases=perhaps")).status, 422);
  });

  test("GET /v1/apps/APP/variables tells those of databases, which nobody can change", async () => {
    const { body } = await answerOf(await face.request("/v1/apps/my-app/variables"));
    const { variables } = body as { variables: { name: string; managed: boolean }[] }; // its shape is what this test checks
    assert.deepEqual(
      variables.map(({ name, managed }) => [name, managed]),
      [
        ["DATABASE_URL", true],
        ["SCALINGO_POSTGRESQL_URL", true],
        ["MODE", false],
      ],
    );
  });
});

describe("addon providers and addons", () => {
  test("GET /v1/addon_providers lists PostgreSQL", async () => {
    assert.deepEqual(await answerOf(await face.request("/v1/addon_providers?")), {
      status: 200,
      body: { addon_providers: [PROVIDER] },
    });
  });

  for (const provider of ["postgresql", "scalingo-postgresql"])
    test(`GET /v1/addon_providers/${provider}/plans lists plans`, async () => {
      const response = await face.request(`/v1/addon_providers/${provider}/plans?show_all=false`);
      assert.deepEqual(await answerOf(response), { status: 200, body: { plans: [PLAN] } });
    });

  test("GET /v1/apps/APP/addons lists them with plan and provider", async () => {
    assert.deepEqual(await answerOf(await face.request("/v1/apps/my-app/addons?")), {
      status: 200,
      body: { addons: [ADDON] },
    });
  });

  test("POST /v1/apps/APP/addons answers 201 with addon, message and variables", async () => {
    const response = await face.request("/v1/apps/my-app/addons", {
      method: "POST",
      json: { addon: { addon_provider_id: "postgresql", plan_id: PLAN.id, options: null } },
    });
    assert.deepEqual(await answerOf(response), {
      status: 201,
      body: {
        addon: { ...ADDON, status: "provisioning", provisioned_at: null },
        message: "Your database is being provisioned",
        variables: ["SCALINGO_POSTGRESQL_URL"],
      },
    });
  });

  test("GET, POST token and DELETE of one addon", async () => {
    const path = `/v1/apps/my-app/addons/${ADDON_ID}`;
    assert.deepEqual(await answerOf(await face.request(path)), { status: 200, body: { addon: ADDON } });
    assert.deepEqual(await answerOf(await face.request(`${path}/token`, { method: "POST", json: {} })), {
      status: 200,
      body: { addon: { ...ADDON, token: ALICE.addonToken } },
    });
    assert.equal((await face.request(path, { method: "DELETE" })).status, 204);
  });
});

describe("the database API", () => {
  const asAddon = { headers: bearer(ALICE.addonToken) };

  test("GET /api/databases/ADDON shows the database to its addon's token and to its user", async () => {
    for (const headers of [bearer(ALICE.addonToken), bearer(ALICE.jwt)]) {
      const { status, body } = await answerOf(await face.request(`/api/databases/${ADDON_ID}?`, { headers }));
      assert.equal(status, 200);
      assert.deepEqual(body, {
        database: {
          id: ADDON_ID,
          resource_id: "my_app_4553",
          app_name: "my-app",
          created_at: AT,
          encryption_at_rest: false,
          plan: "postgresql-starter-512",
          status: "running",
          status_reason: null,
          type_id: "postgresql",
          type_name: "postgresql",
          version_id: "15.18",
          next_version_id: null,
          readable_version: "15.18",
          hostname: "127.0.0.1",
          cluster: "local",
          current_operation_id: null,
          features: [{ name: "force-ssl", status: "ACTIVATED" }],
          instances: [
            {
              id: ADDON_ID,
              hostname: "127.0.0.1",
              port: 15_432,
              status: "running",
              type: "db-node",
              features: [],
              private_ip: null,
            },
          ],
          size: 7_654_321,
          periodic_backups_enabled: true,
          periodic_backups_scheduled_at: [4],
          maintenance_window: { weekday_utc: 2, starting_hour_utc: 22, duration_in_hour: 8 },
        },
      });
    }
  });

  test("PATCH /api/databases/ADDON takes an hour and a switch, ignores what is null or foreign, and answers the hours as a list", async () => {
    const patch = async (database: unknown) => {
      const reply = await face.request(`/api/databases/${ADDON_ID}`, {
        ...asAddon,
        method: "PATCH",
        json: { database },
      });
      const { status, body } = await answerOf(reply);
      const shown = [
        pick(body, "database", "periodic_backups_enabled"),
        pick(body, "database", "periodic_backups_scheduled_at"),
      ];
      return { status, shown, errors: pick(body, "errors") };
    };
    const accepted = async (database: unknown) => {
      const { status, shown } = await patch(database);
      assert.equal(status, 200);
      return shown;
    };
    assert.deepEqual(await accepted({ periodic_backups_scheduled_at: 6, periodic_backups_enabled: true }), [true, [6]]);
    assert.deepEqual(await accepted({ periodic_backups_scheduled_at: 0 }), [true, [0]]);
    assert.deepEqual(await accepted({ periodic_backups_enabled: false }), [false, [4]]);
    const idle = { periodic_backups_scheduled_at: null, periodic_backups_enabled: null, maintenance_window: {} };
    assert.deepEqual(await accepted(idle), [true, [4]]);
    for (const hour of [24, -1, 1.5, "3", [3], true]) {
      const { status, errors } = await patch({ periodic_backups_scheduled_at: hour });
      assert.equal(status, 422, JSON.stringify(hour));
      assert.deepEqual(Object.keys(errors ?? {}), ["periodic_backups_scheduled_at"]);
    }
    const { status, errors } = await patch({ periodic_backups_enabled: "yes" });
    assert.deepEqual([status, errors], [422, { periodic_backups_enabled: ["must be true or false"] }]);
  });

  test("GET /api/databases/ADDON/periodic_backups tells the next runs", async () => {
    assert.deepEqual(await answerOf(await face.request(`/api/databases/${ADDON_ID}/periodic_backups`, asAddon)), {
      status: 200,
      body: {
        periodic_backups: {
          enabled: true,
          scheduled_at: [4],
          next_runs: ["2026-11-23T04:12:05.000Z", "2026-11-24T04:12:05.000Z"],
          waits_because: null,
        },
      },
    });
  });

  test("GET /api/databases/ADDON/retention gives a verdict for each backup, of another plan too", async () => {
    const verdict = {
      id: BACKUP_ID,
      method: "manual",
      status: "done",
      size: ARCHIVE.length,
      created_at: AT,
      kept: true,
      kept_until: null,
      reason: "One of the newest 10 manual backups",
    };
    const path = `/api/databases/${ADDON_ID}/retention`;
    assert.deepEqual(await answerOf(await face.request(`${path}?`, asAddon)), {
      status: 200,
      body: { retention: [verdict] },
    });
    const other = await answerOf(await face.request(`${path}?plan=postgresql-business-512`, asAddon));
    assert.deepEqual(other.body, { retention: [{ ...verdict, kept: false, reason: "The plan keeps none" }] });
    const unknown = await answerOf(await face.request(`${path}?plan=tiny`, asAddon));
    assert.equal(unknown.status, 422);
  });

  test("a copy of a database is begun and shown", async () => {
    const path = `/v1/apps/my-app/addons/${ADDON_ID}/copies`;
    const begin = (copy: unknown): Promise<Response> => face.request(path, { method: "POST", json: { copy } });
    const { status, body } = await answerOf(await begin({ name: "staging", target: "latest" }));
    assert.equal(status, 201);
    assert.equal(pick(body, "copy", "status"), "scheduled");
    assert.equal(pick(body, "addon", "status"), "provisioning");
    const shown = await answerOf(await face.request(`/v1/apps/my-app/copies/${pickText(body, "copy", "id")}`));
    assert.equal(pick(shown.body, "copy", "total_bytes"), 2_000_000);
    assert.equal((await begin({ name: "staging", target: 7 })).status, 422);
    assert.equal((await begin({ name: "x".repeat(40), target: "latest" })).status, 422);
  });

  test("restores of backups are begun, listed, shown with their objects, and cancelled", async () => {
    const post = { ...asAddon, method: "POST" };
    const { id, objects, counts } = LOGICAL_RESTORE;
    const path = `/api/databases/${ADDON_ID}/backups/${BACKUP_ID}/restore`;
    for (const to of [undefined, null, ADDON_ID]) {
      const { status, body } = await answerOf(await face.request(path, { ...post, json: { restore: { to } } }));
      assert.equal(status, 201);
      assert.deepEqual(pick(body, "logical_restore", "status"), "scheduled");
      assert.deepEqual(pick(body, "logical_restore", "objects"), null);
    }
    const wrong = await face.request(path, { ...post, json: { restore: { to: "../.." } } });
    assert.equal(wrong.status, 422);
    const listed = await answerOf(await face.request(`/api/databases/${ADDON_ID}/logical_restores`, asAddon));
    assert.equal(pick(listed.body, "logical_restores", 0, "id"), id);
    for (const shown of [
      await answerOf(await face.request(`/api/logical_restores/${id}`, asAddon)),
      await answerOf(await face.request(`/api/logical_restores/${id}/cancel`, { ...post, json: {} })),
    ]) {
      assert.equal(shown.status, 200);
      assert.deepEqual(pick(shown.body, "logical_restore", "counts"), counts);
      assert.deepEqual(pick(shown.body, "logical_restore", "objects"), objects);
      assert.equal(pick(shown.body, "logical_restore", "database_id"), ADDON_ID);
    }
  });

  test("backups are listed, made, shown, cancelled and linked", async () => {
    const path = `/api/databases/${ADDON_ID}/backups`;
    const post = { ...asAddon, method: "POST", json: {} };
    assert.deepEqual(await answerOf(await face.request(`${path}?`, asAddon)), {
      status: 200,
      body: { database_backups: [BACKUP] },
    });
    assert.deepEqual(await answerOf(await face.request(path, post)), {
      status: 201,
      body: {
        database_backup: { ...BACKUP, status: "scheduled", name: null, size: null, started_at: null, ended_at: null },
      },
    });
    assert.deepEqual(await answerOf(await face.request(`/api/backups/${BACKUP_ID}?`, asAddon)), {
      status: 200,
      body: { database_backup: BACKUP },
    });
    assert.deepEqual(await answerOf(await face.request(`${path}/${BACKUP_ID}/cancel`, post)), {
      status: 200,
      body: {
        database_backup: {
          ...BACKUP,
          status: "error",
          error: { code: "cancelled", message: "It was cancelled", hint: null },
        },
      },
    });
    assert.deepEqual(await answerOf(await face.request(`${path}/${BACKUP_ID}/archive`, asAddon)), {
      status: 200,
      body: {
        download_url: `http://127.0.0.1:8420/downloads/backups/${BACKUP_ID}?expires=1&signature=${SIGNATURE}`,
      },
    });
  });
});

describe("events", () => {
  const EVENT = {
    id: "0193512a0000dddddddddddd",
    app_id: APP_ID,
    app_name: "my-app",
    resource_id: "my_app_4553",
    created_at: AT,
    user: { id: "", username: "Tidemark", email: "platform" },
    type: "database_backup_failed",
    type_data: { backup_id: BACKUP_ID },
    title: "Database Backup Failed",
    text: "Manual backup b1 for addon 'PostgreSQL' (my_app_4553) failed",
  };

  test("GET /v1/apps/APP/events answers a page and where it stands", async () => {
    assert.deepEqual(await answerOf(await face.request("/v1/apps/my-app/events?page=2&per_page=20")), {
      status: 200,
      body: {
        events: [EVENT],
        meta: {
          pagination: { current_page: 2, prev_page: 1, next_page: 3, total_pages: 3, total_count: 41, per_page: 20 },
        },
      },
    });
    assert.equal((await face.request("/v1/apps/other/events")).status, 404);
  });

  test("GET /v1/events answers the first of 30 where nothing is asked, and one empty page when there is nothing", async () => {
    const pagination = {
      current_page: 1,
      prev_page: null,
      next_page: null,
      total_pages: 1,
      total_count: 0,
      per_page: 30,
    };
    assert.deepEqual(await answerOf(await face.request("/v1/events?")), {
      status: 200,
      body: { events: [], meta: { pagination } },
    });
  });

  test("a page that can't be is refused", async () => {
    for (const query of ["page=0", "page=x", "page=1.5", "per_page=101", "per_page=-1", "page=1e9"])
      assert.equal((await face.request(`/v1/events?${query}`)).status, 422, query);
  });

  test("GET /v1/platform/audit tells address and token too", async () => {
    const { status, body } = await answerOf(await face.request("/v1/platform/audit?user=alice"));
    const user = { id: OWNER_ID, username: "alice", email: "alice@example.com" };
    assert.equal(status, 200);
    assert.deepEqual(pick(body, "events"), [{ ...EVENT, user, address: "192.0.2.7", api_token_id: "t1" }]);
  });
});

describe("status", () => {
  const DATABASE_STATUS = {
    app: "my-app",
    owner: "alice",
    addon_id: ADDON_ID,
    resource_id: "my_app_4553",
    plan: PLAN.id,
    status: "running",
    status_reason: null,
    last_backup: BACKUP,
    last_good_backup: null,
    next_backup_at: AT,
    restorable: { from: "2026-11-15T14:00:00.000Z", to: "2026-11-22T13:59:56.123Z", lag_seconds: 4 },
    continuous: { state: "healthy", since: null, lag_bytes: 0, retained_wal_bytes: 16_777_216 },
    is_restorable: true,
    problems: [],
  };
  const pagination = {
    current_page: 1,
    prev_page: null,
    next_page: null,
    total_pages: 1,
    total_count: 1,
    per_page: 30,
  };

  test("GET /v1/status tells platform and databases", async () => {
    assert.deepEqual(await answerOf(await face.request("/v1/status")), {
      status: 200,
      body: { platform: { version: "0.1.0", state: "ready", health_check: CHECK }, databases: [DATABASE_STATUS] },
    });
  });

  test("GET /v1/platform/databases and /operations show the whole platform to its owner", async () => {
    assert.deepEqual(await answerOf(await face.request("/v1/platform/databases")), {
      status: 200,
      body: { databases: [DATABASE_STATUS], meta: { pagination } },
    });
    const operation = {
      id: BACKUP_ID,
      kind: "logical_backup",
      app: "my-app",
      resource_id: "my_app_4553",
      state: "running",
      attempt: 1,
      progress_bytes: 5,
      created_at: AT,
      started_at: AT,
      ended_at: null,
      error: null,
    };
    assert.deepEqual(await answerOf(await face.request("/v1/platform/operations?")), {
      status: 200,
      body: { operations: [operation], meta: { pagination } },
    });
    const failed = await answerOf(await face.request("/v1/platform/operations?state=error"));
    assert.deepEqual(pick(failed.body, "operations"), []);
    assert.equal((await face.request("/v1/platform/operations?state=lost")).status, 422);
  });
});

describe("features, users and maintenances of a database", () => {
  const database = `/api/databases/${ADDON_ID}`;
  const call = async (method: string, path: string, body?: unknown) =>
    answerOf(
      await fetch(`${face.url}${database}${path}`, {
        method,
        headers: { ...bearer(ALICE.addonToken), ...(body === undefined ? {} : { "Content-Type": "application/json" }) },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      }),
    );

  test("a feature is switched on and off as clients expect", async () => {
    assert.deepEqual(await call("POST", "/features", { feature: { name: "force-ssl", status: "" } }), {
      status: 200,
      body: { name: "force-ssl", status: "PENDING", message: "The server is taking it up" },
    });
    const off = await call("DELETE", "/features?feature=force-ssl");
    assert.deepEqual([off.status, pick(off.body, "status")], [200, "DISABLED"]);
    assert.equal((await call("DELETE", "/features")).status, 422);
  });

  test("users are listed below a key with a hyphen, and one below its own", async () => {
    const reporting = {
      name: "reporting",
      read_only: true,
      protected: false,
      dbms_attributes: { password_encryption: "SCRAM-SHA-256" },
    };
    const list = await call("GET", "/users");
    assert.deepEqual(list, {
      status: 200,
      body: { "database-users": [{ ...reporting, name: "my_app_4553", read_only: false, protected: true }, reporting] },
    });
    const given = "p".repeat(24);
    const asked = { name: "reporting", read_only: true, password: given, password_confirmation: given };
    assert.deepEqual(await call("POST", "/users", { database_user: { database_id: ADDON_ID, ...asked } }), {
      status: 201,
      body: { ...reporting, database_user: reporting },
    });
    const slip = { database_user: { ...asked, password_confirmation: "other" } };
    assert.equal((await call("POST", "/users", slip)).status, 422);
    assert.deepEqual(await call("POST", "/users/reporting/reset_password", {}), {
      status: 200,
      body: { ...reporting, password: "generated", database_user: { ...reporting, password: "generated" } },
    });
    assert.equal((await call("PATCH", "/users/reporting", { database_user: { password: given } })).status, 200);
    assert.deepEqual(await call("DELETE", "/users/reporting"), { status: 204, body: null });
    assert.equal((await call("DELETE", "/users/nobody")).status, 404);
  });

  test("maintenances come in pages; one has its fields at the root and below a key", async () => {
    const list = await call("GET", "/maintenance?page=1&per_page=20");
    assert.equal(list.status, 200);
    assert.equal(pick(list.body, "meta", "pagination", "per_page"), 20);
    const first = pick(list.body, "maintenance", 0);
    const one = await call("GET", `/maintenance/${MAINTENANCE_ID}`);
    assert.deepEqual(one.body, { ...Object(first), maintenance: first });
    assert.equal(pick(one.body, "started_at"), null);
  });

  test("a window is moved beside the schedule of backups, and a day that is none is refused", async () => {
    const window = { weekday_utc: 1, starting_hour_utc: 1 };
    assert.equal((await call("PATCH", "", { database: { maintenance_window: window } })).status, 200);
    const odd = { ...window, weekday_utc: 7 };
    assert.equal((await call("PATCH", "", { database: { maintenance_window: odd } })).status, 422);
  });
});
