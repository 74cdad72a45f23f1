import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { chown, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { join } from "node:path";
import { type TestContext, describe, test } from "node:test";
import { systemClock } from "../../src/core/clock.ts";
import { findServer } from "../../src/instances/server.ts";
import type { ServerDefinition } from "../../src/instances/server-definition.ts";
import { initServer } from "../../src/instances/server-init.ts";
import {
  SUPERVISOR_LIMITS,
  type ServerState,
  type ServerStatus,
  type SupervisedServer,
  Supervisor,
} from "../../src/instances/supervisor.ts";
import { freePort, makeManagedMachine, smallServer } from "../harness/managed-machine.ts";
import { type LogLine, recordedLog } from "../harness/recorded-log.ts";

const DEADLINE_MS = 60_000;
const LIMITS = { ...SUPERVISOR_LIMITS, pollIntervalMs: 20, restartDelayMs: 50 };

class Watched {
  readonly seen: ServerStatus[] = [];
  readonly log: LogLine[];
  readonly supervisor: Supervisor;
  #changed = Promise.withResolvers<void>();

  constructor(t: TestContext, limits = LIMITS) {
    const { logger, lines } = recordedLog();
    this.log = lines;
    this.supervisor = new Supervisor({
      clock: systemClock,
      logger,
      limits,
      onStatus: (status) => {
        this.seen.push(status);
        this.#changed.resolve();
        this.#changed = Promise.withResolvers();
      },
    });
    // Before the machine's own clean-up, or it would start again what that one stops.
    t.after(() => this.supervisor.close({ leaveRunning: true, timeoutMs: 5_000 }));
  }

  /** Waits for a state told after the first `skip` ones. */
  async next(state: ServerState, skip: number): Promise<ServerStatus> {
    const late = AbortSignal.timeout(DEADLINE_MS);
    for (;;) {
      late.throwIfAborted();
      const found = this.seen.slice(skip).find((status) => status.state === state);
      if (found !== undefined) return found;
      await this.#changed.promise;
    }
  }

  warnings(): string[] {
    return this.log.filter(({ level }) => level === "warn" || level === "error").map(({ message }) => message);
  }
}

async function madeServer(t: TestContext, change: Partial<ServerDefinition> = {}): Promise<ServerDefinition> {
  const server = smallServer(await makeManagedMachine(t), change);
  await initServer(server);
  return server;
}

function supervised(server: ServerDefinition): SupervisedServer {
  return { id: server.name, dataFolder: server.dataFolder, define: () => Promise.resolve(server) };
}

describe("Supervisor", () => {
  test("starts, stops, restarts and lets go of a server", async (t) => {
    const watched = new Watched(t);
    const { supervisor } = watched;
    const server = await madeServer(t);
    const running = await supervisor.supervise(supervised(server));
    assert.equal(running.state, "running");
    assert.equal(running.pid, (await findServer(server))?.pid);
    await supervisor.stop(server.name);
    assert.deepEqual(
      [supervisor.status(server.name)?.state, supervisor.status(server.name)?.reason],
      ["stopped", null],
    );
    assert.equal(await findServer(server), undefined);
    assert.equal((await supervisor.start(server.name)).state, "running");
    const again = await supervisor.restart(server.name);
    assert.notEqual(again.pid, running.pid);
    await supervisor.release(server.name);
    assert.equal(supervisor.status(server.name), undefined);
    assert.equal((await findServer(server))?.pid, again.pid);
    assert.deepEqual(watched.warnings(), []);
  });

  test("starts a server again after a crash, and again", async (t) => {
    const watched = new Watched(t);
    const server = await madeServer(t);
    let { pid } = await watched.supervisor.supervise(supervised(server));
    for (let crash = 1; crash <= 2; crash++) {
      const told = watched.seen.length;
      assert.ok(pid !== null);
      process.kill(pid, "SIGKILL");
      const failed = await watched.next("failed", told);
      assert.match(failed.reason ?? "", /^It ended unexpectedly/);
      const running = await watched.next("running", told);
      assert.notEqual(running.pid, pid);
      pid = running.pid;
    }
    assert.deepEqual(watched.warnings(), Array(2).fill("database server ended unexpectedly"));
  });

  test("says why a server can't start, goes on trying, and starts it when it can", async (t) => {
    const watched = new Watched(t);
    const port = await freePort();
    const occupant = createServer().listen(port, "127.0.0.1");
    t.after(() => occupant.close());
    await once(occupant, "listening");
    const server = await madeServer(t, { port, listenAddresses: "127.0.0.1" });
    const stopped = await watched.supervisor.supervise(supervised(server));
    assert.equal(stopped.state, "stopped");
    assert.match(stopped.reason ?? "", new RegExp(`port ${port}`));
    occupant.close();
    assert.equal((await watched.next("running", 0)).reason, null);
    assert.ok(watched.warnings().every((message) => message === "database server doesn't start"));
  });

  test("says that a server is still recovering when that takes long, and waits for it", async (t) => {
    const machine = await makeManagedMachine(t);
    // Recovery hangs until the folder is gone or the way is opened.
    const restore_command = "while test -e recovery.signal && ! test -e go-on; do sleep 0.05; done; false";
    const server = smallServer(machine, { commandLineSettings: { restore_command } });
    await initServer(server);
    const signalFile = join(server.dataFolder, "recovery.signal");
    await writeFile(signalFile, "");
    if (server.user.isSwitchedFromRoot) await chown(signalFile, server.user.uid, server.user.gid);
    const watched = new Watched(t, { ...LIMITS, readyTimeoutMs: 200 });
    const starting = await watched.supervisor.supervise(supervised(server));
    assert.equal(starting.state, "starting");
    assert.match(starting.reason ?? "", /doesn't accept connections after 0.2 s/);
    await writeFile(join(server.dataFolder, "go-on"), "");
    assert.equal((await watched.next("running", 0)).pid, starting.pid);
  });

  test("asks for the server's newest definition at each start", async (t) => {
    const { supervisor } = new Watched(t);
    const server = await madeServer(t);
    let asked = 0;
    const define = (): Promise<ServerDefinition> => {
      asked++;
      return Promise.resolve(server);
    };
    await supervisor.supervise({ ...supervised(server), define });
    await supervisor.restart(server.name);
    assert.equal(asked, 2);
  });

  test("stops a server whose definition can't be made any more", async (t) => {
    const { supervisor } = new Watched(t);
    const server = await madeServer(t);
    await supervisor.supervise(supervised(server));
    const broken = { ...supervised(server), define: () => Promise.reject(new Error("its programs are gone")) };
    assert.equal((await supervisor.supervise(broken)).state, "running");
    await supervisor.stop(server.name);
    assert.equal(await findServer(server), undefined);
    const { state, reason } = await supervisor.start(server.name);
    assert.equal(state, "failed");
    assert.match(reason ?? "", /its programs are gone/);
  });

  test("close() stops all servers at once, or leaves them running", async (t) => {
    const machine = await makeManagedMachine(t);
    const servers = ["first", "second"].map((name, index) => smallServer(machine, { name, port: 5432 + index }));
    await Promise.all(servers.map((server) => initServer(server)));
    const running = async (): Promise<boolean[]> =>
      Promise.all(servers.map(async (server) => (await findServer(server)) !== undefined));
    for (const leaveRunning of [true, false]) {
      const { supervisor } = new Watched(t);
      await Promise.all(servers.map((server) => supervisor.supervise(supervised(server))));
      await supervisor.close({ leaveRunning, timeoutMs: 20_000 });
      assert.deepEqual(await running(), [leaveRunning, leaveRunning]);
    }
  });
});

describe("a platform that is killed", () => {
  test("leaves its server running; the next one adopts it and restarts it after a crash", async (t) => {
    const server = await madeServer(t);
    const platform = spawn(
      process.execPath,
      [join(import.meta.dirname, "../harness/supervising-platform.ts"), JSON.stringify(server)],
      { stdio: ["ignore", "pipe", "inherit"] },
    );
    t.after(() => platform.kill("SIGKILL"));
    const [printed] = (await once(platform.stdout.setEncoding("utf8"), "data")) as [string];
    const pid = Number(printed);
    const ended = once(platform, "exit");
    platform.kill("SIGKILL");
    await ended;

    assert.deepEqual(await findServer(server), { pid, state: "ready" });
    const watched = new Watched(t);
    assert.equal((await watched.supervisor.supervise(supervised(server))).pid, pid);
    assert.deepEqual(
      watched.log.map(({ message }) => message),
      ["database server adopted"],
    );
    const told = watched.seen.length;
    process.kill(pid, "SIGKILL");
    assert.notEqual((await watched.next("running", told)).pid, pid);
    await watched.supervisor.close({ leaveRunning: false, timeoutMs: 20_000 });
    assert.equal(await findServer(server), undefined);
  });
});
