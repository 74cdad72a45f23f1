import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { rename } from "node:fs/promises";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { test } from "node:test";
import { Client, type ClientConfig } from "pg";
import { parseLsn } from "../../src/core/lsn.ts";
import { startPlatform, waitFor } from "../harness/platform.ts";
import { makeServerFolder, program, serverUser } from "../harness/postgres-server.ts";
import { makeTempFolder } from "../harness/temp-folder.ts";

async function query(config: ClientConfig, sql: string): Promise<string> {
  const client = new Client(config);
  await client.connect();
  try {
    const { rows } = await client.query<Record<string, unknown>>(sql);
    return String(Object.values(rows[0] ?? {})[0]);
  } finally {
    await client.end();
  }
}

test("`restore` brings a managed database back when platform, control database and data folders are gone", async (t) => {
  const platform = await startPlatform(t);
  const { addonId, resourceId } = await platform.provision("my-app");
  const database = await platform.superuser(addonId, resourceId);
  await query(database, "create table kept as select n, md5(n::text) as body from generate_series(1, 1000) n");
  const position = await query(database, "select pg_current_wal_insert_lsn()");

  const parent = await makeTempFolder(t);
  await makeServerFolder(parent, 0o755);
  const words = ["restore", "--database", addonId, "--to", join(parent, "data"), "--json"];
  // The first base backup is taken at once, and a commit reaches the repository within seconds: one after the position shows that all before it did.
  await query(database, "create table later ()");
  const isStored = async (): Promise<boolean> => {
    const { exitCode, stdout } = await platform.run([...words, "--dry-run"]);
    return exitCode === 0 && parseLsn(endOf(stdout)) > parseLsn(position);
  };
  await waitFor(isStored, "a base backup and the log after it");
  await platform.stop();
  const pid = await platform.serverPid(addonId).catch(() => undefined);
  if (pid !== undefined) process.kill(pid, "SIGKILL");
  for (const folder of ["control", "databases"])
    await rename(join(platform.home, folder), join(platform.home, `${folder}.lost`));

  const done = await platform.run([...words, "--latest"]);
  assert.equal(done.exitCode, 0, done.stderr);
  const printed = await singleUser(
    join(parent, "data"),
    resourceId,
    "select count(*) from kept where body = md5(n::text)",
  );
  assert.match(printed, /count = "1000"/);
  const verified = await platform.run(["repository", "verify", "--deep"]);
  assert.equal(verified.exitCode, 0, verified.stdout);
});

/** Where a plan's replay ends. */
function endOf(json: string): string {
  const { plan } = JSON.parse(json) as { plan: { target: { end_lsn: string } } }; // as `RestorePlan` says
  return plan.target.end_lsn;
}

/** One statement without a server, whatever roles and pg_hba.conf the folder came with; what the program printed. */
async function singleUser(folder: string, database: string, sql: string): Promise<string> {
  const child = spawn(program("postgres"), ["--single", "-D", folder, "-c", "max_prepared_transactions=10", database], {
    stdio: ["pipe", "pipe", "inherit"],
    cwd: "/",
    ...(await serverUser()),
  });
  child.stdin.end(`${sql}\n`);
  const [printed] = await Promise.all([text(child.stdout), once(child, "close")]);
  return printed;
}
