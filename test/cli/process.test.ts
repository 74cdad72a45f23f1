import assert from "node:assert/strict";
import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { chmod, copyFile, mkdir, readdir, readFile, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { after, test, type TestContext } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import type { BackupService } from "../../src/control/services.ts";
import { makeTempFolder } from "../harness/temp-folder.ts";
import { BACKUP, inMemoryServices, SIGNATURE } from "../http/in-memory-services.ts";
import { openFace, until } from "../http/open-face.ts";
import { asAlice } from "./run-cli.ts";

const ENTRY = fileURLToPath(import.meta.resolve("./entry.ts"));
const run = promisify(execFile);
const services = inMemoryServices();
const link = { url: "" };
const asked: string[] = [];
const overrides: Partial<BackupService> = {
  list: () => Promise.resolve(Array.from({ length: 5000 }, () => BACKUP)),
  archiveLink: () => Promise.resolve(link.url),
  show: (_caller, id) => {
    asked.push(id);
    return Promise.resolve({ ...BACKUP, status: asked.length > 1 ? "running" : "done" });
  },
};
const face = await openFace({ after }, { services: { ...services, backups: { ...services.backups, ...overrides } } });
link.url = `${face.url}/downloads/backups/${BACKUP.id}?expires=1&signature=${SIGNATURE}`;
const environment = { PATH: process.env["PATH"], TZ: "UTC", TIDEMARK_HOME: "/nonexistent", ...asAlice(face.url) };
const ON_DATABASE = ["--app", "my-app", "--addon", "postgresql"];

const shell = (line: string, cwd?: string) =>
  run("bash", ["--norc", "-c", `set -o pipefail; ${line}`], {
    env: { ...environment, NODE: process.execPath, ENTRY },
    cwd,
  });

test("a reader that has seen enough ends the program quietly with 0", async () => {
  const list = await shell('"$NODE" "$ENTRY" --app my-app --addon postgresql backups | head -n 3');
  assert.equal(list.stderr, "");
  assert.equal(list.stdout.split("\n").length, 4);
  asked.splice(0);
  const bytes = await shell(
    '"$NODE" "$ENTRY" -a my-app --addon postgresql backups-download -s -o - | head -c 10 | wc -c',
  );
  assert.deepEqual([bytes.stdout.trim(), bytes.stderr], ["10", ""]);
});

test("a full disk behind standard output is a failure", async () => {
  const failed = await shell('"$NODE" "$ENTRY" regions > /dev/full').catch((error: unknown) => error);
  assert.ok(failed instanceof Error && "code" in failed && "stderr" in failed);
  assert.equal(failed.code, 1);
  assert.match(String(failed.stderr), /^ !     Cannot write to standard output: .*ENOSPC/);
});

test("Ctrl+C ends the waiting with 130 and says that the backup goes on", async (t) => {
  asked.splice(0, asked.length, "so that the backup runs");
  const child = spawn(process.execPath, [ENTRY, ...ON_DATABASE, "backups-create"], { env: environment });
  t.after(() => child.kill("SIGKILL"));
  const printed = text(child.stdout);
  await until(() => asked.length > 1);
  child.kill("SIGINT");
  const [code] = await once(child, "exit");
  assert.equal(code, 130);
  assert.match(await printed, /^-----> Backup [0-9a-f]{24} goes on\n/);
});

test("a terminal gets the bar, then the file's name", async (t) => {
  asked.splice(0);
  const folder = await makeTempFolder(t);
  const command = `"$NODE" "$ENTRY" ${ON_DATABASE.join(" ")} backups-download; echo "exit $?"`;
  const { stdout } = await shell(`script --quiet --return --command '${command}' /dev/null < /dev/null`, folder);
  const name = `${BACKUP.name}.tar.gz`;
  assert.match(stdout, /-----> .*Selected the most recent successful backup/);
  assert.match(stdout, new RegExp(`100\\.00% .* p/s\\r\\n===> ${name}\\r\\nexit 0`));
  assert.deepEqual(await readdir(folder), [name]);
});

/** A copy of the project's shape: the starter, a runtime, and a `main.ts` that tests what reaches it. */
async function makeInstallation(t: TestContext, main: string): Promise<string> {
  const root = await makeTempFolder(t);
  for (const folder of ["bin", "src", "node_modules/.bin"]) await mkdir(join(root, folder), { recursive: true });
  await copyFile(join(import.meta.dirname, "../../bin/tidemark.mjs"), join(root, "bin/tidemark.mjs"));
  await writeFile(join(root, "package.json"), '{ "type": "module" }');
  await writeFile(join(root, "src/main.ts"), main);
  await symlink(process.execPath, join(root, "node_modules/.bin/node"));
  return root;
}

/** The installed runtime, and the same one as if it were too old to replace itself: the starter then stays in between. */
const STARTS: readonly { readonly title: string; readonly options: readonly string[] }[] = [
  { title: "by replacing itself", options: [] },
  { title: "as a child", options: ["--import", "data:text/javascript,delete process.execve"] },
];

for (const { title, options } of STARTS) {
  test(`bin/tidemark.mjs passes arguments, streams and exit code on, ${title}`, async (t) => {
    const main = "process.stdout.write(JSON.stringify(process.argv.slice(2))); process.exitCode = 7;";
    const root = await makeInstallation(t, main);
    const child = spawn(process.execPath, [...options, join(root, "bin/tidemark.mjs"), "a b", "--c"]);
    const [printed, [code]] = await Promise.all([text(child.stdout), once(child, "exit")]);
    assert.deepEqual([printed, code], ['["a b","--c"]', 7]);
  });

  test(`bin/tidemark.mjs passes signals on and ends as the program does, ${title}`, async (t) => {
    const main =
      'process.on("SIGTERM", () => process.exit(5)); setInterval(() => undefined, 1000); process.stdout.write("up");';
    const root = await makeInstallation(t, main);
    for (const { signal, expected } of [
      { signal: "SIGTERM", expected: [5, null] },
      { signal: "SIGHUP", expected: [null, "SIGHUP"] },
    ] as const) {
      const child = spawn(process.execPath, [...options, join(root, "bin/tidemark.mjs")]);
      t.after(() => child.kill("SIGKILL"));
      const exited = once(child, "exit");
      await once(child.stdout, "data");
      child.kill(signal);
      assert.deepEqual(await exited, expected);
    }
  });
}

test("bin/tidemark.mjs works through a link and says how to install a missing runtime", async (t) => {
  const root = await makeInstallation(t, 'process.stdout.write("here");');
  await symlink(join(root, "bin/tidemark.mjs"), join(root, "link"));
  assert.equal((await run(process.execPath, [join(root, "link")])).stdout, "here");
  const bare = await makeTempFolder(t);
  await mkdir(join(bare, "bin"));
  await copyFile(join(root, "bin/tidemark.mjs"), join(bare, "bin/tidemark.mjs"));
  await chmod(join(bare, "bin/tidemark.mjs"), 0o755);
  const failed = await run(process.execPath, [join(bare, "bin/tidemark.mjs")]).catch((error: unknown) => error);
  assert.ok(failed instanceof Error && "code" in failed && "stderr" in failed);
  assert.equal(failed.code, 2);
  assert.equal(
    failed.stderr,
    ` !     Tidemark's runtime is not installed in ${bare}\n       Install it with: npm ci --prefix ${bare}\n`,
  );
});

test("bin/tidemark.mjs needs nothing newer than Node.js 18 offers before it starts the runtime", async () => {
  const starter = await readFile(join(import.meta.dirname, "../../bin/tidemark.mjs"), "utf8");
  const imports = [...starter.matchAll(/from "([^"]+)"/g)].map((match) => match[1]);
  assert.deepEqual(imports, ["node:child_process", "node:fs", "node:os", "node:path", "node:url"]);
  assert.doesNotMatch(starter, /import\.meta\.(dirname|filename|main)/);
});
