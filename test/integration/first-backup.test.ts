import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { promisify } from "node:util";
import { collectCleanUps } from "../harness/clean-ups.ts";
import { readContents, readSchema } from "../harness/database-contents.ts";
import { pick, pickText } from "../harness/pick.ts";
import { type Platform, startPlatform } from "../harness/platform.ts";
import { program } from "../harness/postgres-server.ts";
import { TOP } from "../harness/source-files.ts";
import { makeTempFolder } from "../harness/temp-folder.ts";

const run = promisify(execFile);
const EVERYTHING = join(TOP, "test/fixtures/first-backup/every-kind-of-object.sql");
const ON_DATABASE = ["--app", "shop", "--addon", "postgresql"];
/** As the documentation gives them to users. */
const RESTORE_FLAGS = ["--clean", "--if-exists", "--no-owner", "--no-privileges", "--no-comments"];
/** What pg_restore tells of a database with everything in it. */
const OUTPUT_LIMIT_BYTES = 16 * 1024 * 1024;

describe("a database with every kind of object", () => {
  const cleanUps = collectCleanUps();
  let platform: Platform;
  let folder = "";
  let source = { addonId: "", resourceId: "", uri: "" };
  let restored = source;

  before(async () => {
    platform = await startPlatform(cleanUps);
    folder = await makeTempFolder(cleanUps);
    source = await platform.provision("shop");
    await run(program("psql"), ["-X", "-q", "-v", "ON_ERROR_STOP=1", "-d", source.uri, "-f", EVERYTHING]);
    assert.equal(await platform.runOk([...ON_DATABASE, "backups-create"]), "-----> Backup successfully finished\n");
  });
  after(() => cleanUps.run());

  test("backups-download and the archive's link give the same bytes, which are those that the platform promised", async () => {
    const output = join(folder, "by-command.tar.gz");
    const shown: unknown = JSON.parse(
      await platform.runOk([...ON_DATABASE, "backups-download", "--output", output, "--json"]),
    );
    const byCommand = await readFile(output);
    const { body } = await platform.api("GET", `/api/databases/${source.addonId}/backups`);
    const id = pickText(body, "database_backups", 0, "id");
    const link = await platform.api("GET", `/api/databases/${source.addonId}/backups/${id}/archive`);
    const answer = await fetch(pickText(link.body, "download_url"));
    assert.equal(answer.status, 200);
    assert.equal(answer.headers.get("content-encoding"), null);
    const byLink = Buffer.from(await answer.arrayBuffer());
    assert.equal(answer.headers.get("content-length"), String(byLink.length));
    assert.ok(byLink.equals(byCommand));
    assert.equal(createHash("sha256").update(byLink).digest("hex"), pickText(shown, "sha256"));
  });

  test("tar and pg_restore with the documented flags, run as the owner, bring all of it back into a fresh database", async () => {
    restored = await platform.provision("restored");
    const dump = await downloadAndUntar();
    const { stdout, stderr } = await pgRestore([...RESTORE_FLAGS, "--dbname", restored.uri, dump]);
    assert.deepEqual({ stdout, stderr }, { stdout: "", stderr: "" });
    await assertEqualDatabases(restored);
  });

  test("the same flags replace what is there meanwhile; PostgreSQL complains of partitions' keys and of nothing else", async () => {
    await psql(
      restored.uri,
      "truncate customers, measurements cascade",
      "drop table texts cascade",
      "select lo_unlink(70001)",
    );
    const args = [...RESTORE_FLAGS, "--dbname", restored.uri, await downloadAndUntar()];
    const { stderr } = await assertRejected(pgRestore(args));
    const complaints = stderr.match(/(?<=ERROR: {2}).*/g) ?? [];
    // It means to drop each partition's key before the partition, which goes with its parent's only.
    for (const complaint of complaints)
      assert.match(complaint, /^cannot drop inherited constraint "measurements_\w+_pkey" /);
    assert.equal(complaints.length, 4);
    await assertEqualDatabases(restored);
  });

  test("the archive itself holds what the documented flags leave out: owners, privileges and comments", async () => {
    const dump = await downloadAndUntar();
    const { stdout: list } = await pgRestore(["--list", dump]);
    for (const entry of ["COMMENT public TABLE orders", "ACL public TABLE orders", "COMMENT - EXTENSION pgcrypto"])
      assert.ok(list.includes(entry), entry);
    const { stdout: script } = await pgRestore(["--section=pre-data", "--file=-", dump]);
    assert.ok(script.includes(`ALTER TABLE public.orders OWNER TO ${source.resourceId};`));
  });

  test("pg_restore names the two things that PostgreSQL can't take to another database, and brings back all else", async () => {
    const target = await platform.provision("elsewhere");
    await psql(
      source.uri,
      // Its columns follow from the primary key alone, so pg_restore --clean first replaces it, by a view of a type that isn't there yet.
      "create view by_key as select c.id, c.email, count(*) from customers c join orders o on o.customer_id = c.id group by c.id",
      `create policy for_the_owner on secrets_of_others for select to ${source.resourceId} using (true)`,
    );
    await platform.runOk([...ON_DATABASE, "backups-create"]);
    const args = [...RESTORE_FLAGS, "--dbname", target.uri, await downloadAndUntar()];
    const { stderr } = await assertRejected(pgRestore(args));
    assert.deepEqual(stderr.match(/(?<=ERROR: {2}).*/g), [
      'collation "public.case insensitive" for encoding "UTF8" does not exist',
      `role "${source.resourceId}" does not exist`,
    ]);
    const contents = await readContents(await platform.superuser(target.addonId, target.resourceId));
    assert.deepEqual(contents, await readContents(await platform.superuser(source.addonId, source.resourceId)));
    const withoutPolicy = (await readSchema(source.uri)).replace(/CREATE POLICY for_the_owner [^;]*;/, "");
    assert.equal(squeezed(await readSchema(target.uri)), squeezed(withoutPolicy));
  });

  /** The path of the dump in the newest backup's archive. */
  async function downloadAndUntar(): Promise<string> {
    const printed = await platform.runOk([...ON_DATABASE, "backups-download"], { folder });
    const archive = /^===> (.*)$/m.exec(printed)?.[1] ?? "";
    const { stdout } = await run("tar", ["-xvzf", archive], { cwd: folder });
    const name = archive.replace(/\.tar\.gz$/, "");
    assert.deepEqual(stdout.trim().split("\n"), [`${name}/`, `${name}/${name}.pgsql`]);
    return join(folder, name, `${name}.pgsql`);
  }

  async function assertEqualDatabases(target: { addonId: string; resourceId: string; uri: string }): Promise<void> {
    const expected = await readContents(await platform.superuser(source.addonId, source.resourceId));
    const found = await readContents(await platform.superuser(target.addonId, target.resourceId));
    assert.deepEqual(found, expected);
    const rowCounts = Object.values(expected.tables).map((digest) => Number.parseInt(digest, 10));
    assert.ok(rowCounts.reduce((sum, count) => sum + count, 0) > 50_000);
    assert.ok(rowCounts.length >= 20 && Object.keys(expected.sequences).length >= 6);
    assert.deepEqual(Object.keys(expected.largeObjects), ["70001", "70002", "70003"]);
    assert.equal(await readSchema(target.uri), await readSchema(source.uri));
  }
});

async function psql(uri: string, ...statements: string[]): Promise<void> {
  const commands = statements.flatMap((statement) => ["-c", statement]);
  await run(program("psql"), ["-X", "-q", "-v", "ON_ERROR_STOP=1", "-d", uri, ...commands]);
}

async function pgRestore(args: readonly string[]): Promise<{ stdout: string; stderr: string }> {
  return await run(program("pg_restore"), [...args], { maxBuffer: OUTPUT_LIMIT_BYTES });
}

/** Standard error of a command that is expected to end with 1. */
async function assertRejected(command: Promise<unknown>): Promise<{ stderr: string }> {
  const error = await command.then(
    () => assert.fail("it ended well"),
    (rejected: unknown) => rejected,
  );
  assert.equal(pick(error, "code"), 1);
  return { stderr: pickText(error, "stderr") };
}

/** Without comments and empty lines. */
function squeezed(script: string): string {
  return script.replaceAll(/^(--.*)?\n/gm, "");
}
