import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { chown, readFile, stat, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { once } from "node:events";
import { join } from "node:path";
import { describe, test } from "node:test";
import { systemClock } from "../../src/core/clock.ts";
import { isErrorCode } from "../../src/core/errors.ts";
import type { ManagedHost } from "../../src/instances/managed-database.ts";
import { findServer, startServer, stopServer } from "../../src/instances/server.ts";
import { type ServerDefinition, superuserConnection } from "../../src/instances/server-definition.ts";
import { initServer } from "../../src/instances/server-init.ts";
import { withSession } from "../../src/postgres/connection.ts";
import { freePort, makeManagedMachine, smallServer } from "../harness/managed-machine.ts";

const waiting = { clock: systemClock };
const session = { applicationName: "test" };

async function value(server: ServerDefinition, sql: string): Promise<string> {
  return withSession(superuserConnection(server), session, async (client) => {
    const { rows } = await client.query<{ value: unknown }>(`select (${sql}) as value`);
    return String(rows[0]?.value);
  });
}

async function madeServer(machine: ManagedHost, change: Partial<ServerDefinition> = {}): Promise<ServerDefinition> {
  const server = smallServer(machine, change);
  await initServer(server);
  return server;
}

function lockFileOf(server: ServerDefinition): string {
  return join(server.dataFolder, "postmaster.pid");
}

async function plant(server: ServerDefinition, file: string, content: string): Promise<void> {
  await writeFile(file, content, { mode: 0o600 });
  if (server.user.isSwitchedFromRoot) await chown(file, server.user.uid, server.user.gid);
}

describe("initServer()", () => {
  test("makes a private data folder with checksums, UTF-8 and no setting of ours", async (t) => {
    const server = await madeServer(await makeManagedMachine(t));
    assert.equal((await stat(server.dataFolder)).mode & 0o777, 0o700);
    assert.equal(await initServer(server), "present");
    await startServer(server, waiting);
    assert.equal(await value(server, "current_setting('data_checksums')"), "on");
    assert.equal(
      await value(server, "select pg_encoding_to_char(encoding) from pg_database where datname = 'postgres'"),
      "UTF8",
    );
    assert.equal(
      await value(
        server,
        "select count(*) from pg_file_settings where sourcefile like current_setting('data_directory') || '%'",
      ),
      "0",
    );
    assert.equal(await value(server, "select count(*) from pg_authid where rolpassword is not null"), "0");
  });

  test("begins anew when an earlier call was interrupted", async (t) => {
    const machine = await makeManagedMachine(t);
    const server = smallServer(machine);
    const interrupted = new AbortController();
    const first = initServer(server, { signal: interrupted.signal });
    interrupted.abort(new Error("stop here"));
    await assert.rejects(first, /stop here/);
    assert.equal(await initServer(server), "made");
  });

  test("refuses data of another major version", async (t) => {
    const server = await madeServer(await makeManagedMachine(t));
    const newer = { ...server, programs: { ...server.programs, major: 99, version: "99.1" } };
    await assert.rejects(initServer(newer), (error) => isErrorCode(error, "programs_missing"));
  });
});

describe("startServer()", () => {
  test("starts a server, adopts it when it runs, and stopServer() ends it", async (t) => {
    const server = await madeServer(await makeManagedMachine(t));
    const first = await startServer(server, waiting);
    assert.equal(first.wasRunning, false);
    assert.deepEqual(await startServer(server, waiting), { pid: first.pid, wasRunning: true });
    assert.deepEqual(await findServer(server), { pid: first.pid, state: "ready" });
    assert.equal(await stopServer(server, waiting), "fast");
    assert.equal(await findServer(server), undefined);
    assert.equal(await stopServer(server, waiting), "not_running");
  });

  test("has the superuser come in by the socket, without a password", async (t) => {
    const server = await madeServer(await makeManagedMachine(t));
    await startServer(server, waiting);
    assert.equal(await value(server, "session_user"), "tidemark");
    assert.equal(await value(server, "current_setting('config_file')"), join(server.folder, "conf/postgresql.conf"));
  });

  test("takes changed settings when it adopts", async (t) => {
    const server = await madeServer(await makeManagedMachine(t));
    await startServer(server, waiting);
    await startServer({ ...server, settings: { ...server.settings, work_mem: "7MB" } }, waiting);
    const deadline = Date.now() + 30_000;
    while ((await value(server, "current_setting('work_mem')")) !== "7MB") assert.ok(Date.now() < deadline);
  });

  test("gives command-line settings precedence over the files", async (t) => {
    const machine = await makeManagedMachine(t);
    const server = await madeServer(machine, { commandLineSettings: { work_mem: "9MB" } });
    await startServer(server, waiting);
    assert.equal(await value(server, "current_setting('work_mem')"), "9MB");
  });

  test("recovers after a kill of the postmaster whose backends live on", async (t) => {
    const server = await madeServer(await makeManagedMachine(t));
    const { pid } = await startServer(server, waiting);
    // A backend that computes doesn't notice that its postmaster is gone.
    const busy = withSession(superuserConnection(server), session, (client) =>
      client.query("do $$ declare x int; begin loop x := 1; end loop; end $$"),
    );
    const broken = assert.rejects(busy);
    const isBusy = "select count(*) from pg_stat_activity where state = 'active' and query like 'do %'";
    const deadline = Date.now() + 30_000;
    while ((await value(server, isBusy)) !== "1") assert.ok(Date.now() < deadline);
    process.kill(pid, "SIGKILL");
    while ((await findServer(server)) !== undefined) assert.ok(Date.now() < deadline);
    const again = await startServer(server, waiting);
    assert.notEqual(again.pid, pid);
    assert.equal(again.wasRunning, false);
    await broken;
  });

  const leftLockFiles: readonly { title: string; content: (server: ServerDefinition) => string }[] = [
    { title: "is empty", content: () => "" },
    { title: "names a process that is gone", content: ({ dataFolder }) => `${2 ** 22 + 1}\n${dataFolder}\n1\n5432\n` },
    {
      title: "names a pid that another program has now",
      content: ({ dataFolder }) => `${process.pid}\n${dataFolder}\n1\n5432\n`,
    },
  ];
  for (const { title, content } of leftLockFiles) {
    test(`is not held up by lock files left behind when their content ${title}`, async (t) => {
      const server = await madeServer(await makeManagedMachine(t));
      await plant(server, lockFileOf(server), content(server));
      await plant(server, join(server.socketFolder, `.s.PGSQL.${server.port}.lock`), content(server));
      assert.equal(await findServer(server), undefined);
      assert.equal((await startServer(server, waiting)).wasRunning, false);
    });
  }

  test("doesn't take another server of the same user for this one", async (t) => {
    const machine = await makeManagedMachine(t);
    const other = await madeServer(machine, { name: "other", port: 5433 });
    const server = await madeServer(machine);
    const { pid } = await startServer(other, waiting);
    const text = await readFile(lockFileOf(other), "utf8");
    await plant(server, lockFileOf(server), text.replace(other.dataFolder, server.dataFolder));
    assert.equal(await findServer(server), undefined);
    assert.notEqual((await startServer(server, waiting)).pid, pid);
    assert.equal((await findServer(other))?.pid, pid);
  });

  test("says who has its port when another program listens there", async (t) => {
    const machine = await makeManagedMachine(t);
    const port = await freePort();
    const occupant = createServer().listen(port, "127.0.0.1");
    t.after(() => occupant.close());
    await once(occupant, "listening");
    const server = await madeServer(machine, { port, listenAddresses: "127.0.0.1" });
    await assert.rejects(
      startServer(server, waiting),
      (error) => isErrorCode(error, "port_in_use") && error.message.includes(String(port)),
    );
  });

  test("quotes the log's last lines when the server refuses its settings", async (t) => {
    const server = await madeServer(await makeManagedMachine(t), { settings: { shared_buffers: "many" } });
    await assert.rejects(
      startServer(server, waiting),
      (error) => isErrorCode(error, "server_start_failed") && error.message.includes('"shared_buffers": "many"'),
    );
  });

  test("says which program doesn't run", async (t) => {
    const server = await madeServer(await makeManagedMachine(t));
    const broken = { ...server, programs: { ...server.programs, binFolder: server.folder } };
    await assert.rejects(startServer(broken, waiting), (error) => isErrorCode(error, "server_start_failed"));
  });
});

describe("stopServer()", () => {
  test("goes on to an immediate shutdown when the fast one takes too long", async (t) => {
    const server = await madeServer(await makeManagedMachine(t));
    const { pid } = await startServer(server, waiting);
    // A stopped checkpointer can't write the shutdown checkpoint.
    const checkpointer = Number(
      await value(server, "select pid from pg_stat_activity where backend_type = 'checkpointer'"),
    );
    process.kill(checkpointer, "SIGSTOP");
    assert.equal(await stopServer(server, { ...waiting, fastTimeoutMs: 300 }), "immediate");
    assert.throws(() => process.kill(pid, 0));
  });

  test("leaves a process alone that only has the data folder's pid file in common", async (t) => {
    const server = await madeServer(await makeManagedMachine(t));
    const bystander = spawn("sleep", ["60"]);
    t.after(() => bystander.kill("SIGKILL"));
    await once(bystander, "spawn");
    await plant(server, lockFileOf(server), `${bystander.pid}\n${server.dataFolder}\n1\n5432\n`);
    assert.equal(await stopServer(server, waiting), "not_running");
    assert.equal(bystander.exitCode, null);
    assert.equal(bystander.signalCode, null);
  });
});
