import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, test } from "node:test";
import { TidemarkError } from "../../src/core/errors.ts";
import { ADDON_ID, ALICE, BACKUP_ID, HEALTH, inMemoryServices } from "../http/in-memory-services.ts";
import { makeTempFolder } from "../harness/temp-folder.ts";
import { openFace } from "../http/open-face.ts";
import { asAlice, runCli } from "./run-cli.ts";

const face = await openFace({ after });
const environment = asAlice(face.url);
const ON_DATABASE = ["--app", "my-app", "--addon", "postgresql"];

async function print(argv: readonly string[], stdin = ""): Promise<string> {
  const run = await runCli(argv, { environment, stdin });
  assert.deepEqual({ exitCode: run.exitCode, stderr: run.stderr }, { exitCode: 0, stderr: "" });
  return run.stdout;
}

test("whoami tells the user, by both of its names", async () => {
  assert.equal(await print(["whoami"]), "-----> You are logged in as alice (alice@example.com)\n");
  assert.equal(await print(["self"]), "-----> You are logged in as alice (alice@example.com)\n");
});

test("backups prints the list as a table in the zone of TZ", async () => {
  const run = await runCli([...ON_DATABASE, "backups"], { environment: { ...environment, TZ: "XYZ-1" } });
  assert.equal(
    run.stdout,
    [
      "+--------------------------+-------------------------------+--------+--------+",
      "|            ID            |          CREATED AT           |  SIZE  | STATUS |",
      "+--------------------------+-------------------------------+--------+--------+",
      `| ${BACKUP_ID} | Sun, 22 Nov 2026 15:00:00 XYZ | 300 kB | done   |`,
      "+--------------------------+-------------------------------+--------+--------+",
      "",
    ].join("\n"),
  );
});

test("global options stand before or behind the command", async () => {
  const before = await print([...ON_DATABASE, "backups"]);
  assert.equal(await print(["backups", ...ON_DATABASE]), before);
  assert.equal(await print(["backups", "-a", "my-app", "--addon=pgsql", "--region", "local"]), before);
});

test("--addon takes the provider, its aliases, the resource id and the id", async () => {
  const expected = await print([...ON_DATABASE, "backups"]);
  for (const addon of ["psql", "pgsql", "postgres", "PostgreSQL", "my_app_4553", ADDON_ID]) {
    assert.equal(await print(["--app", "my-app", "--addon", addon, "backups"]), expected, addon);
  }
  const run = await runCli(["--app", "my-app", "--addon", "nope", "backups"], { environment });
  assert.equal(run.exitCode, 1);
  assert.match(run.stderr, /^ !     no 'nope' addon exists\n       See the addons/);
});

test("app and addon come from the environment of either client", async () => {
  const expected = await print([...ON_DATABASE, "backups"]);
  for (const prefix of ["TIDEMARK", "SCALINGO"]) {
    const named = { ...environment, [`${prefix}_APP`]: "my-app", [`${prefix}_ADDON`]: "postgresql" };
    assert.equal((await runCli(["backups"], { environment: named })).stdout, expected);
  }
});

test("apps, addons, plans, regions, tokens and status print tables", async () => {
  assert.match(await print(["apps"]), /\| my-app \| owner \| running \| alice\/default \|/);
  assert.match(
    await print(["--app", "my-app", "addons"]),
    new RegExp(`\\| PostgreSQL \\| ${ADDON_ID} \\| postgresql-starter-512 \\| running \\|`),
  );
  assert.match(await print(["addons-list"]), /\| postgresql \| PostgreSQL \|/);
  assert.match(await print(["addons-plans", "postgresql"]), /\| postgresql-starter-512 \| Starter 512M \|/);
  assert.match(await print(["regions"]), /\| local \| Local\s+\| http:\/\/127\.0\.0\.1:8420/);
  assert.match(await print(["tokens"]), /\| t1 \| laptop \| Sun, 22 Nov 2026 14:00:00 UTC \| never\s+\|/);
  assert.match(
    await print(["status"]),
    /^-----> Tidemark 0\.1\.0 is ready\n\+-[^]*\| my-app \| my_app_4553 \| running \| from Sun, 15 Nov 2026 14:00:00 UTC to 4 s ago \| none /,
  );
});

test("timelines print a line for each event, and which page it is on standard error", async () => {
  const line =
    "* Sun Nov 22 2026 14:00:00 UTC - Database Backup Failed - Manual backup b1 for addon 'PostgreSQL' (my_app_4553) failed";
  const app = await runCli(["-a", "my-app", "timeline", "--page", "2", "--per-page", "20"], { environment });
  assert.deepEqual(app, {
    exitCode: 0,
    stdout: `${line} <Tidemark (platform)>\n`,
    stderr: "Page: 2, Last Page: 3\n",
  });
  const own = await runCli(["user-timeline"], { environment });
  assert.deepEqual(own, { exitCode: 0, stdout: "", stderr: "Page: 1, Last Page: 1\n" });
  const all = await runCli(["audit", "--user", "alice"], { environment });
  assert.equal(all.stdout, `${line} <alice (alice@example.com)>\n       from 192.0.2.7\n`);
  assert.equal((await runCli(["user-timeline", "--page", "0"], { environment })).exitCode, 2);
});

test("status ends with 1 when a database isn't restorable, or when nobody checks any more, and says why", async () => {
  const services = inMemoryServices();
  const problems = [{ code: "stale", text: "continuous backups are 90 min behind" }] as const;
  const cases: readonly [Partial<typeof services.health>, number, RegExp][] = [
    [{}, 0, /^-----> /],
    [
      { ofUser: async () => [{ ...HEALTH, isRestorable: false, problems }] },
      1,
      /my_app_4553: continuous backups are 90 min behind/,
    ],
    [{ ofUser: async () => [{ ...HEALTH, problems }] }, 0, /90 min behind/],
    [{ ofUser: async () => [{ ...HEALTH, window: null, isRestorable: false }] }, 1, /\| not yet /],
    [{ check: async () => ({ checkedAt: null, isStalled: true }) }, 1, /has stopped to check/],
  ];
  for (const [health, exitCode, said] of cases) {
    const other = await openFace({ after }, { services: { ...services, health: { ...services.health, ...health } } });
    const run = await runCli(["status"], { environment: asAlice(other.url) });
    assert.equal(run.exitCode, exitCode, run.stdout);
    assert.match(run.stdout, said);
    assert.equal((await runCli(["status", "--json"], { environment: asAlice(other.url) })).exitCode, exitCode);
  }
});

test("env prints aliases as they are, env-get follows them", async () => {
  assert.match(
    await print(["-a", "my-app", "env"]),
    /^DATABASE_URL=\$SCALINGO_POSTGRESQL_URL\nSCALINGO_POSTGRESQL_URL=postgresql:/,
  );
  const uri = "postgresql://u:p@127.0.0.1:15432/d?sslmode=prefer\n";
  assert.equal(await print(["-a", "my-app", "env-get", "DATABASE_URL"]), uri);
  const absent = await runCli(["-a", "my-app", "env-get", "NOPE"], { environment });
  assert.equal(absent.exitCode, 1);
  assert.match(absent.stderr, /environment variable not found/);
});

test("create, addons-add and addons-info print the lines that users rely on", async () => {
  assert.match(await print(["create", "shop"]), /^App 'shop' has been created\n/);
  assert.equal(
    await print(["-a", "my-app", "addons-add", "postgresql", "postgresql-starter-512"]),
    "-----> Addon postgresql has been provisionned\n       ID: my_app_4553\n" +
      "       Modified variables: [SCALINGO_POSTGRESQL_URL]\n       Message from addon provider: Your database is being provisioned\n",
  );
  const info = await print(["-a", "my-app", "addons-info", "postgresql"]);
  assert.match(info, /\| Version\s+\| 15\.18/);
  assert.match(info, /\| Force TLS\s+\| activated/);
  const unknown = await runCli(["-a", "my-app", "addons-add", "postgresql", "tiny"], { environment });
  assert.equal(unknown.exitCode, 1);
  assert.match(unknown.stderr, /find plan: no plan tiny found for addon postgresql/);
});

test("addons-add --wait waits until the database runs", async () => {
  const run = await print(["-a", "my-app", "addons-add", "postgresql", "postgresql-starter-512", "--wait", "--json"]);
  assert.match(run, /"status": "running"/);
});

test("destroy and addons-remove want the name typed, and take --force instead", async () => {
  const typed = await runCli(["destroy", "my-app"], { environment, stdin: "my-app\n" });
  assert.deepEqual([typed.exitCode, typed.stdout], [0, "-----> App my-app has been deleted\n"]);
  const wrong = await runCli(["destroy", "my-app"], { environment, stdin: "my-apq\n" });
  assert.equal(wrong.exitCode, 1);
  assert.match(wrong.stderr, /'my-apq' is not 'my-app', nothing was deleted/);
  const silent = await runCli(["destroy", "my-app"], { environment });
  assert.match(silent.stderr, /Nothing was typed[^]*--force/);
  assert.equal(await print(["destroy", "my-app", "--force"]), "-----> App my-app has been deleted\n");
  const removed = await runCli(["-a", "my-app", "addons-remove", "my_app_4553"], {
    environment,
    stdin: `${ADDON_ID}\n`,
  });
  assert.deepEqual([removed.exitCode, removed.stdout], [0, `-----> Addon ${ADDON_ID} has been destroyed\n`]);
});

test("tokens-create prints the secret, tokens-remove says so", async () => {
  assert.match(await print(["tokens-create", "ci"]), new RegExp(`Token: ${ALICE.apiToken}\n`));
  assert.equal(await print(["tokens-remove", "t1"]), "-----> API token t1 has been removed\n");
});

test("users-create takes the password from standard input or makes one", async () => {
  const argv = ["users-create", "bob", "--email", "bob@example.com"];
  const piped = await print([...argv, "--password-stdin"], "a long enough password\n");
  assert.equal(piped, "-----> User bob has been created\n");
  assert.match(await print([...argv, "--generate-password"]), /Password: [A-Za-z0-9]{24}\n/);
  const neither = await runCli(argv, { environment });
  assert.equal(neither.exitCode, 2);
  assert.match(neither.stderr, /standard input is no terminal\n {7}Pass --password-stdin/);
});

test("--json prints the platform's reply as it is", async () => {
  const body: unknown = await (await face.request("/api/databases/my_app_4553/backups")).json();
  assert.deepEqual(JSON.parse(await print([...ON_DATABASE, "backups", "--json"])), body);
  const self: unknown = await (await face.request("/v1/users/self")).json();
  assert.deepEqual(JSON.parse(await print(["whoami", "--json"])), self);
  assert.equal(await print(["tokens-remove", "t1", "--json"]), "", "an empty reply");
});

test("every failure of the platform ends with 1, its text and its hint", async () => {
  const services = inMemoryServices();
  const failing = await openFace(
    { after },
    {
      services: {
        ...services,
        backups: {
          ...services.backups,
          list: () => Promise.reject(new TidemarkError("conflict", "It is \u001B[31mstopped", { hint: "Start it" })),
        },
      },
    },
  );
  const run = await runCli([...ON_DATABASE, "backups"], { environment: asAlice(failing.url) });
  assert.deepEqual(run, { exitCode: 1, stdout: "", stderr: " !     409 Conflict → It is stopped\n       Start it\n" });
});

test("a wrong token names where it came from, and never the token", async () => {
  const run = await runCli(["apps"], { environment: { ...environment, TIDEMARK_TOKEN: "tk-us-secret" } });
  assert.equal(run.exitCode, 1);
  assert.match(run.stderr, /refused the token of TIDEMARK_TOKEN\n {7}Log in again with: tidemark login/);
  assert.doesNotMatch(run.stderr, /secret/);
});

test("an address where nothing listens says how to start the platform", async (t) => {
  const gone = await openFace(t);
  await gone.server.close();
  const run = await runCli(["apps", "--url", gone.url, "--token", "x"]);
  assert.equal(run.exitCode, 1);
  assert.equal(
    run.stderr,
    ` !     Cannot reach the platform at ${gone.url}: connection refused\n       Start it with: npm start\n`,
  );
});

test("names that would change the address's path are refused", async () => {
  for (const app of ["..", ".", ""]) {
    const run = await runCli(["-a", app, "env"], { environment });
    assert.notEqual(run.exitCode, 0, app);
  }
  const slashed = await runCli(["-a", "my-app/../../v1/users/self?x=", "env"], { environment });
  assert.equal(slashed.exitCode, 1);
});

test("colours and redrawn lines are for terminals without NO_COLOR", async () => {
  const argv = [...ON_DATABASE, "backups"];
  assert.ok((await runCli(argv, { environment, terminal: true })).stdout.includes("\u001B[32mdone"));
  const plain = await runCli(argv, { environment: { ...environment, NO_COLOR: "1" }, terminal: true });
  assert.ok(!plain.stdout.includes("\u001B"));
});

test("serve and owner reset-password are left to the platform's process", async () => {
  const seen: unknown[] = [];
  const local = {
    serve: (options: { roles: string | undefined }) => {
      seen.push(options);
      return Promise.resolve(3);
    },
    resetOwnerPassword: () => Promise.resolve({ username: "owner", password: "fresh" }),
    rebuildIndex: () =>
      Promise.resolve({ databases: 1, recovered: [], logicalBackups: 2, baseBackups: 1, unreadable: [] }),
  };
  assert.equal((await runCli(["serve", "--roles", "api"], { options: { local } })).exitCode, 3);
  assert.deepEqual(seen, [{ roles: "api" }]);
  assert.match((await runCli(["owner", "reset-password"], { options: { local } })).stdout, /Password: fresh/);
});

test("collaborators lists the owner first, and the other commands name whom they changed", async () => {
  const app = ["-a", "my-app"];
  const table = await print([...app, "collaborators"]);
  assert.match(
    table,
    /\| alice@example\.com \| alice\s+\| accepted \| owner\s+\|\n\| bob@example\.com\s+\| bob\s+\| accepted \| coll/,
  );
  assert.match(
    await print([...app, "collaborators-add", "new@example.com", "--limited"]),
    /^-----> new@example\.com has been invited to collaborate on my-app\n       Invitation: http:.*\/token\n/,
  );
  assert.equal(
    await print([...app, "collaborators-update", "BOB", "--limited", "true"]),
    "-----> bob@example.com is now a limited collaborator of my-app\n",
  );
  assert.equal(
    await print([...app, "collaborators-remove", "bob@example.com"]),
    "-----> bob@example.com has been removed from the collaborators of my-app\n",
  );
  assert.equal(
    await print(["collaborators-accept", "http://127.0.0.1:8420/invitations/token"]),
    "-----> You are now a collaborator of my-app\n",
  );
  const nobody = await runCli([...app, "collaborators-remove", "eve"], { environment });
  assert.deepEqual([nobody.exitCode, nobody.stderr.split("\n")[0]], [1, ' !     "eve" is no collaborator of my-app']);
  const undecided = await runCli([...app, "collaborators-update", "bob"], { environment });
  assert.deepEqual([undecided.exitCode, undecided.stdout], [2, ""]);
});

test("keys shows both ends of a key, keys-add reads its file, and keys-remove takes the name", async (t) => {
  assert.match(await print(["keys"]), /\| laptop \| ssh-ed25519 AAAAC3Nz\.\.\.\S+ alice@laptop \|/);
  const folder = await makeTempFolder(t);
  const file = join(folder, "id.pub");
  await writeFile(file, "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJgq alice\n");
  assert.equal(await print(["keys-add", "desk", file]), "Key 'desk' has been added.\n");
  assert.equal(await print(["keys-remove", "laptop"]), "Key 'laptop' has been deleted.\n");
  await writeFile(file, "-----BEGIN OPENSSH PRIVATE KEY-----\n");
  for (const path of [file, folder, join(folder, "none")]) {
    const refused = await runCli(["keys-add", "desk", path], { environment });
    assert.deepEqual([refused.exitCode, refused.stdout], [2, ""], path);
  }
  const unknown = await runCli(["keys-remove", "desk"], { environment });
  assert.match(unknown.stderr, /^ !     find SSH key desk: no such key\n/);
});

test("env-set says what it has set, values with = included; env-unset takes names", async () => {
  assert.equal(
    await print(["-a", "my-app", "env-set", "A=1", "B=x=y"]),
    "A has been set to '1'.\nB has been set to 'x=y'.\n",
  );
  assert.equal(await print(["-a", "my-app", "env-unset", "MODE"]), "MODE has been unset.\n");
  for (const line of [["env-set"], ["env-set", "A"], ["env-set", "A="], ["env-set", "A B=1"], ["env-unset"]]) {
    const run = await runCli(["-a", "my-app", ...line], { environment });
    assert.deepEqual([run.exitCode, run.stdout], [2, ""], line.join(" "));
  }
  const unknown = await runCli(["-a", "my-app", "env-unset", "MODE", "NONE"], { environment });
  assert.deepEqual([unknown.exitCode, unknown.stdout], [1, ""]);
});

test("two-factor and its commands show the secret and the recovery codes", async () => {
  assert.equal(await print(["two-factor"]), "-----> Two-factor authentication is disabled\n");
  assert.match(await print(["two-factor-enable"]), /\n       Secret: ABC\n       Address: otpauth:\/\/totp/);
  assert.match(
    await print(["two-factor-confirm", "123456"]),
    /^-----> Two-factor authentication is enabled\n       abcd-efgh-jkmn-pqrs\n  \/!\\/,
  );
  assert.equal(await print(["two-factor-disable", "123456"]), "-----> Two-factor authentication is disabled\n");
  const wrong = await runCli(["two-factor-disable", "1"], { environment });
  assert.deepEqual([wrong.exitCode, wrong.stdout], [1, ""]);
});

test("users lists them, users-reset and users-remove take a name, password reads two lines", async () => {
  assert.match(await print(["users"]), /\| alice\s+\| alice@example\.com \| owner \| disabled\s+\|/);
  assert.match(
    await print(["users-reset", "ALICE", "--generate-password"]),
    /^-----> User alice has a new password, and no second factor\n       Password: \w{24}\n/,
  );
  assert.equal(await print(["users-remove", "alice@example.com"]), "-----> User alice has been removed\n");
  assert.equal(
    await print(["password", "--password-stdin"], "old one\nnew one\n"),
    "-----> Your password has been changed\n",
  );
  const unknown = await runCli(["users-remove", "nobody"], { environment });
  assert.match(unknown.stderr, /^ !     There is no user "nobody"\n/);
});
