import assert from "node:assert/strict";
import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { chmod, mkdir, readdir, rename, stat, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { join, resolve } from "node:path";
import { test, type TestContext } from "node:test";
import { promisify } from "node:util";
import { type Platform, preparePlatform, startPlatform } from "../harness/platform.ts";
import { serverUser } from "../harness/postgres-server.ts";
import { makeTempFolder } from "../harness/temp-folder.ts";
import { ask, controlSuperuser } from "./backup-scene.ts";
import { controlDataFolder, postmastersOf } from "./server-processes.ts";

const run = promisify(execFile);
const MAIN = resolve(import.meta.dirname, "../../src/main.ts");
const EXIT_CANNOT_START = 2;

test("serve refuses a port in use before it makes anything", async (t) => {
  const platform = await preparePlatform(t);
  const { port } = new URL(platform.url);
  const other = createServer().listen(Number(port), "127.0.0.1");
  t.after(() => other.close());
  await once(other, "listening");
  const { exitCode, stderr } = await platform.run(["serve"]);
  assert.equal(exitCode, EXIT_CANNOT_START);
  assert.match(stderr, new RegExp(`^ !     Port ${port} on 127\\.0\\.0\\.1 is in use`));
  assert.match(stderr, /TIDEMARK_HTTP_PORT/);
  await assert.rejects(stat(platform.home), { code: "ENOENT" });
});

test("serve refuses an SSH port in use before it makes anything", async (t) => {
  const platform = await preparePlatform(t);
  const port = Number(platform.environment["TIDEMARK_SSH_PORT"]);
  const other = createServer().listen(port, "127.0.0.1");
  t.after(() => other.close());
  await once(other, "listening");
  const { exitCode, stderr } = await platform.run(["serve"]);
  assert.equal(exitCode, EXIT_CANNOT_START);
  assert.match(stderr, new RegExp(`^ !     Port ${port} on 127\\.0\\.0\\.1 is in use`));
  assert.match(stderr, /TIDEMARK_SSH_PORT/);
  await assert.rejects(stat(platform.home), { code: "ENOENT" });
});

test("serve refuses the home of a newer version and leaves it as it is", async (t) => {
  const home = await makeTempFolder(t);
  await writeFile(join(home, "tidemark-home.json"), '{"version":99,"hostId":"0a1b2c3d"}\n');
  await assertRefused(t, { home, reason: /has layout version 99; this Tidemark knows \d+/ });
});

test("serve refuses a folder that holds other files and leaves them as they are", async (t) => {
  const home = await makeTempFolder(t);
  await writeFile(join(home, "thesis.txt"), "years of work");
  await assertRefused(t, { home, reason: /holds other files, and no home of Tidemark/ });
});

test("serve goes on with a home whose first start was killed in its first moment", async (t) => {
  const home = await makeTempFolder(t);
  await writeFile(join(home, "tidemark-home.json.new"), '{"vers');
  const platform = await startPlatform(t, { home });
  assert.equal(await platform.stop(), 0);
});

test("serve refuses a folder that its user can't write to", async (t) => {
  const folder = await makeTempFolder(t);
  const user = await serverUser();
  // An ordinary user's folder has to be closed to himself; root's is closed to the user that `serve` then runs as.
  if (user.uid === undefined) await chmod(folder, 0o500);
  const platform = await preparePlatform(t, { home: join(folder, "home") });
  const { exitCode, stderr } = await serveAs(platform, user);
  await chmod(folder, 0o755);
  assert.equal(exitCode, EXIT_CANNOT_START, stderr);
  assert.ok(stderr.includes(`Cannot write to the folder "${folder}"`), stderr);
  assert.match(stderr, /TIDEMARK_HOME/);
  assert.deepEqual(await readdir(folder), []);
});

test("serve refuses a disk with less than 2 GiB free", async (t) => {
  const disk = await makeTempFolder(t);
  try {
    await run("mount", ["-t", "tmpfs", "-o", "size=64m,mode=0755", "tmpfs", disk]);
  } catch (error) {
    return t.skip(`a small disk can't be mounted here: ${String(error)}`);
  }
  try {
    await assertRefused(t, { home: join(disk, "home"), listed: disk, reason: /Only \d+ MiB are free where/ });
  } finally {
    await run("umount", [disk]);
  }
});

test("serve names the folder that its servers' user can't enter, and the command that opens it", async (t) => {
  if ((await serverUser()).uid === undefined) return t.skip("only root hands its servers to another user");
  const closed = join(await makeTempFolder(t), "closed");
  await mkdir(closed, { mode: 0o700 });
  await assertRefused(t, {
    home: join(closed, "home"),
    listed: closed,
    reason: new RegExp(`can't enter "${closed}"\\n.*chmod o\\+x "${closed}"`),
  });
});

test("serve refuses a home that is in use, of a newer schema, or without its master key, and none is harmed", async (t) => {
  const platform = await startPlatform(t);
  await platform.provision("shop");
  await platform.runOk(["--app", "shop", "--addon", "postgresql", "backups-create"]);

  const second = await preparePlatform(t, { home: platform.home });
  const locked = await second.run(["serve"]);
  assert.equal(locked.exitCode, EXIT_CANNOT_START);
  assert.match(locked.stderr, /Another Tidemark is running on the home/);
  assert.equal(await platform.state(), "ready");

  await ask(
    await controlSuperuser(platform),
    "insert into kysely_migration values ('9999-later', '2099-01-01T00:00:00Z')",
  );
  await platform.stop();
  const before = await listing(platform.home);
  const newer = await platform.run(["serve"]);
  assert.equal(newer.exitCode, EXIT_CANNOT_START);
  assert.match(newer.stderr, /has the migration "9999-later", which this version doesn't know/);
  assert.deepEqual(await postmastersOf(controlDataFolder(platform.home)), []);
  assert.deepEqual(await listing(platform.home), before);

  const key = join(platform.home, "keys/master.age-identity");
  await rename(key, `${key}.away`);
  const keyless = await platform.run(["serve"]);
  assert.equal(keyless.exitCode, 1);
  assert.match(keyless.stderr, /Cannot open the master key .*: the file is gone, but this home is in use/);
  await rename(`${key}.away`, key);
  assert.deepEqual(await listing(platform.home), before);
});

async function assertRefused(
  t: TestContext,
  { home, listed = home, reason }: { home: string; listed?: string; reason: RegExp },
): Promise<void> {
  const platform = await preparePlatform(t, { home });
  const before = await listing(listed);
  const { exitCode, stderr } = await platform.run(["serve"]);
  assert.equal(exitCode, EXIT_CANNOT_START, stderr);
  assert.match(stderr, reason);
  assert.deepEqual(await listing(listed), before);
}

/** Every file below, with its size; of the control server's own files and the logs only that they are there, since a start opens them. */
async function listing(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { withFileTypes: true, recursive: true });
  const lines = entries.map(async (entry) => {
    const path = join(entry.parentPath, entry.name);
    if (path.startsWith(join(folder, "control/")) || path.startsWith(join(folder, "log/"))) return [];
    const { size } = await stat(path);
    return [`${path} ${entry.isFile() ? size : "folder"}`];
  });
  return (await Promise.all(lines)).flat().toSorted();
}

/** Runs `serve` as an ordinary user. */
async function serveAs(
  platform: Platform,
  user: { readonly uid?: number; readonly gid?: number },
): Promise<{ exitCode: number | null; stderr: string }> {
  const child = spawn(process.execPath, [MAIN, "serve"], {
    env: platform.environment,
    cwd: "/",
    stdio: ["ignore", "ignore", "pipe"],
    ...user,
  });
  let stderr = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => (stderr += text));
  await once(child, "close");
  return { exitCode: child.exitCode, stderr };
}
