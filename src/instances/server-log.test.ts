import assert from "node:assert/strict";
import { mkdir, readFile, readdir, stat, truncate, writeFile } from "node:fs/promises";
import { dirname } from "node:path";
import { type TestContext, test } from "node:test";
import { makeTempFolder } from "../../test/harness/temp-folder.ts";
import { logFile } from "./server-definition.ts";
import { boundLog, logPosition, logTail, openLog } from "./server-log.ts";
import { type ServiceUser, findServiceUser } from "./service-user.ts";

const LIMIT_BYTES = 16 * 1024 * 1024;

async function makeServer(t: TestContext): Promise<{ readonly folder: string; readonly user: ServiceUser }> {
  const server = { folder: await makeTempFolder(t), user: await findServiceUser() };
  await mkdir(dirname(logFile(server)));
  return server;
}

test("logTail() gives the last lines since a position, and nothing where there is no log", async (t) => {
  const server = await makeServer(t);
  assert.equal(await logTail(server), "");
  assert.equal(await logPosition(server), 0);
  await writeFile(logFile(server), "of an earlier start\n");
  const position = await logPosition(server);
  await writeFile(logFile(server), Array.from({ length: 20 }, (_, index) => `line ${index}\n`).join(""), { flag: "a" });
  const lines = (await logTail(server, position)).split("\n");
  assert.deepEqual([lines.length, lines[0], lines.at(-1)], [12, "line 8", "line 19"]);
});

test("logTail() reads on from the start when the log was cut after the position", async (t) => {
  const server = await makeServer(t);
  await writeFile(logFile(server), "short\n");
  assert.equal(await logTail(server, 1_000_000), "short");
});

test("boundLog() moves a large log aside under the feet of its writer, and leaves a small one", async (t) => {
  const server = await makeServer(t);
  const log = await openLog(server);
  t.after(() => log.close());
  await log.write("small\n");
  await boundLog(server);
  assert.deepEqual(await readdir(dirname(logFile(server))), ["postgresql.log"]);
  await truncate(logFile(server), LIMIT_BYTES + 1);
  await boundLog(server);
  await log.write("after\n");
  assert.equal(await readFile(logFile(server), "utf8"), "after\n");
  assert.equal((await stat(`${logFile(server)}.1`)).size, LIMIT_BYTES + 1);
  assert.equal((await stat(logFile(server))).mode & 0o007, 0);
});
