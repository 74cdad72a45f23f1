import assert from "node:assert/strict";
import { after, describe, test } from "node:test";
import type { DatabaseService } from "../../src/control/services.ts";
import { BACKUP_ID, inMemoryServices } from "../http/in-memory-services.ts";
import { openFace } from "../http/open-face.ts";
import { asAlice, type CliRun, runCli } from "./run-cli.ts";

const ON_DATABASE = ["--app", "my-app", "--addon", "postgresql"];

type Change = Parameters<DatabaseService["configureBackups"]>[2];

/** Services that note each change of the schedule, and show it afterwards. */
const changes: Change[] = [];
const services = inMemoryServices();
const face = await openFace(
  { after },
  {
    services: {
      ...services,
      databases: {
        ...services.databases,
        configureBackups(caller, addon, change) {
          changes.push(change);
          return services.databases.configureBackups(caller, addon, change);
        },
        async periodicBackups(caller, addon) {
          const shown = await services.databases.periodicBackups(caller, addon);
          const last = changes.at(-1);
          const isEnabled = last?.isEnabled ?? shown.isEnabled;
          return {
            ...shown,
            isEnabled,
            hourUtc: last?.hourUtc ?? shown.hourUtc,
            nextRuns: isEnabled ? shown.nextRuns : [],
          };
        },
      },
    },
  },
);

/** It is 22 November 2026, 14:00 UTC. */
function config(argv: readonly string[], { zone = "UTC", stdin = "" } = {}): Promise<CliRun> {
  changes.length = 0;
  const environment = { ...asAlice(face.url), TZ: zone };
  return runCli([...ON_DATABASE, "backups-config", ...argv], { environment, stdin });
}

describe("backups-config", () => {
  test("--schedule-at sends an hour of UTC, and answers with the hour of the machine's own zone", async () => {
    for (const [at, zone, hourUtc, answer] of [
      ["4:00 UTC", "Europe/Paris", 4, "5:00 CET"],
      ["6", "Europe/Paris", 5, "6:00 CET"],
      ["3 Europe/Paris", "UTC", 2, "2:00 UTC"],
      ["10 UTC", "UTC", 10, "10:00 UTC"],
      ["0 UTC", "America/New_York", 0, "19:00 EST"],
      ["20 UTC", "Asia/Kolkata", 20, "1:30 IST"],
    ] as const) {
      const run = await config(["--schedule-at", at], { zone });
      assert.deepEqual([run.exitCode, run.stderr], [0, ""]);
      assert.deepEqual(changes, [{ hourUtc, isEnabled: true }], at);
      const [line] = run.stdout.split("\n");
      assert.equal(line, `-----> Periodic backups will be done daily at ${answer}`);
    }
  });

  test("shows the next runs in UTC and by the machine's clock; without options it changes nothing", async () => {
    const run = await config([], { zone: "Europe/Paris" });
    assert.deepEqual(changes, []);
    assert.equal(
      run.stdout,
      [
        "-----> Periodic backups will be done daily at 5:00 CET",
        "       Next: Mon, 23 Nov 2026 04:12:05 UTC (Mon, 23 Nov 2026 05:12:05 CET)",
        "       Next: Tue, 24 Nov 2026 04:12:05 UTC (Tue, 24 Nov 2026 05:12:05 CET)",
        "",
      ].join("\n"),
    );
  });

  test("refuses what is no hour with exit code 2 and the two nearest, and sends nothing", async () => {
    for (const [at, hint] of [
      ["30", "The nearest are --schedule-at 23 and 0."],
      ["4:30 UTC", 'The nearest are --schedule-at "4 UTC" and "5 UTC".'],
      ["3 Asia/Kolkata", 'The nearest are --schedule-at "21 UTC" (2:30 IST) and --schedule-at "22 UTC" (3:30 IST).'],
    ]) {
      const run = await config(["--schedule-at", at ?? ""]);
      assert.deepEqual([run.exitCode, run.stdout], [2, ""]);
      assert.ok(run.stderr.includes(hint ?? ""), run.stderr);
      assert.deepEqual(changes, []);
    }
    assert.equal((await config(["--schedule-at", "3", "--unschedule"])).exitCode, 2);
  });

  test("--unschedule asks first, at a terminal or through a pipe, unless --yes is given", async () => {
    for (const answer of ["n\n", "\n", "maybe\n"]) {
      const run = await config(["--unschedule"], { stdin: answer });
      assert.equal(run.exitCode, 1);
      assert.match(run.stderr, /periodic backups are still enabled\n$/);
      assert.deepEqual(changes, []);
    }
    const unasked = await config(["--unschedule"]);
    assert.match(unasked.stderr, /Nothing was typed[^]*--yes/);
    assert.deepEqual(changes, []);
    for (const run of [await config(["--unschedule"], { stdin: "y\n" }), await config(["--unschedule", "--yes"])]) {
      assert.deepEqual([run.exitCode, run.stdout], [0, "-----> Periodic backups are disabled\n"]);
      assert.deepEqual(changes, [{ isEnabled: false }]);
    }
  });
});

describe("what is kept", () => {
  const environment = { ...asAlice(face.url), TZ: "UTC" };

  test("backups --why tells method, date and reason; --resource needs no app", async () => {
    const why = await runCli(["backups", "--resource", "my_app_4553", "--why"], { environment });
    assert.deepEqual([why.exitCode, why.stderr], [0, ""]);
    assert.match(why.stdout, /\| STATUS \| METHOD \| NOT BEFORE \| +BECAUSE +\|/);
    assert.match(
      why.stdout,
      new RegExp(`\\| ${BACKUP_ID} \\| .* \\| manual \\| +\\| One of the newest 10 manual backups \\|`),
    );
    const unknown = await runCli(["backups", "--resource", "my_app_1"], { environment });
    assert.equal(unknown.exitCode, 1);
  });

  test("retention preview shows each verdict, of the own plan or another, and how many would go", async () => {
    const own = await runCli([...ON_DATABASE, "retention", "preview"], { environment });
    assert.match(
      own.stdout,
      /\| kept +\| +\| One of the newest 10 manual backups \|[^]*-----> 0 of 1 backups would go\n$/,
    );
    const other = ["retention", "preview", "--plan", "postgresql-business-512"];
    const run = await runCli([...ON_DATABASE, ...other], { environment });
    assert.match(run.stdout, /\| goes +\| +\| The plan keeps none \|[^]*-----> 1 of 1 backups would go\n$/);
    const unknown = await runCli([...ON_DATABASE, "retention", "preview", "--plan", "tiny & co"], { environment });
    assert.equal(unknown.exitCode, 1);
  });
});
