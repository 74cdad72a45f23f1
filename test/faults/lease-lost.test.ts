import assert from "node:assert/strict";
import { after, before, describe, test, type TestContext } from "node:test";
import { sql } from "kysely";
import type { ControlDatabase } from "../../src/control/database.ts";
import { type OperationHandler, OperationRunner } from "../../src/control/operation-runner.ts";
import { ATTEMPTS_MAX, HEARTBEAT_MS, LEASE_SECONDS, requestCancel } from "../../src/control/operations.ts";
import type { OperationRow } from "../../src/control/schema.ts";
import { type Clock, systemClock } from "../../src/core/clock.ts";
import { type ErrorCode, TidemarkError } from "../../src/core/errors.ts";
import type { ObjectId } from "../../src/core/ids.ts";
import { makeControlDatabase } from "../harness/control-database.ts";
import { waitFor } from "../harness/platform.ts";
import { type PostgresServer, startPostgresServer } from "../harness/postgres-server.ts";
import { quietLogger } from "../harness/quiet-logger.ts";
import { SteppedClock } from "../harness/stepped-clock.ts";
import { addOperations } from "./operation-rows.ts";

/** Lets a test decide when the work of an operation ends. */
interface HeldWork {
  readonly handler: OperationHandler;
  readonly begun: Promise<void>;
  /** Ends it well; its result would mark the operation as stored by this worker. */
  finish(): void;
  /** Resolves with the reason when the runner interrupts it. */
  readonly interrupted: Promise<unknown>;
}

describe("an operation's lease", () => {
  let server: PostgresServer;
  const cleanUps: (() => Promise<void>)[] = [];

  before(async () => {
    server = await startPostgresServer({ after: (clean) => cleanUps.unshift(clean) });
  });
  after(async () => {
    for (const clean of cleanUps) await clean();
  });

  async function oneOperation(t: TestContext): Promise<{ database: ControlDatabase; id: ObjectId }> {
    const database = await makeControlDatabase(server);
    t.after(() => database.close());
    const [id] = await addOperations(database, 1);
    assert.ok(id !== undefined);
    return { database, id };
  }

  test("lets one of two workers begin that claim at the same moment", async (t) => {
    const { database, id } = await oneOperation(t);
    const held = [holdWork("a"), holdWork("b")];
    const runners = held.map(({ handler }, index) => makeRunner(database, { owner: `worker ${index}`, handler }));
    const runs = runners.map((runner) => runner.run(id));
    await Promise.race(held.map(({ begun }) => begun));
    await Promise.race(runs);
    assert.equal((await operation(database, id)).attempt, 1);
    for (const each of held) each.finish();
    await Promise.all(runs);
    assert.equal((await operation(database, id)).state, "done");
  });

  test("that has run out is another's, and the first worker's late result is stored nowhere", async (t) => {
    const { database, id } = await oneOperation(t);
    const slow = holdWork("slow");
    // Its clock stands: a worker that is frozen sends no heartbeat.
    const clock = new SteppedClock(new Date());
    const first = makeRunner(database, { owner: "slow", handler: slow.handler, clock }).run(id);
    await slow.begun;
    await makeRunner(database, { owner: "early", handler: refuseToWork }).run(id);
    await expireLease(database, id);
    const next = holdWork("next");
    const second = makeRunner(database, { owner: "next", handler: next.handler }).run(id);
    await next.begun;

    slow.finish();
    await first;
    assert.equal((await operation(database, id)).state, "running");
    next.finish();
    await second;
    const row = await operation(database, id);
    assert.deepEqual([row.state, row.attempt, row.error_message], ["done", 2, null]);
    assert.deepEqual(await storedBy(database), ["next"]);
  });

  test("taken by another worker interrupts the first at its next heartbeat", async (t) => {
    const { database, id } = await oneOperation(t);
    const held = holdWork("held");
    const clock = new SteppedClock(new Date());
    const run = makeRunner(database, { owner: "held", handler: held.handler, clock }).run(id);
    await held.begun;
    await expireLease(database, id);
    await database.db.updateTable("operations").set({ lease_owner: "other", attempt: 2 }).execute();
    await heartbeatUntil(clock, held.interrupted);
    assertCode(await held.interrupted, "lease_lost");
    await run;
    assert.deepEqual(await storedBy(database), []);
    assert.equal((await operation(database, id)).lease_owner, "other");
  });

  test("is lost for a worker that can't reach the control database until it has run out", async (t) => {
    const { database, id } = await oneOperation(t);
    const held = holdWork("held");
    const clock = new SteppedClock(new Date());
    const run = makeRunner(database, { owner: "held", handler: held.handler, clock }).run(id);
    await held.begun;
    await sql`alter table operations rename to operations_away`.execute(database.db);
    await heartbeatUntil(clock, held.interrupted);
    assertCode(await held.interrupted, "lease_lost");
    await run;
    await sql`alter table operations_away rename to operations`.execute(database.db);
    const row = await operation(database, id);
    assert.deepEqual([row.state, row.lease_owner], ["running", "held"]);

    await expireLease(database, id);
    const next = holdWork("next");
    next.finish();
    await makeRunner(database, { owner: "next", handler: next.handler }).run(id);
    assert.deepEqual(await storedBy(database), ["next"]);
  });

  test("is prolonged by heartbeats, with the progress", async (t) => {
    const { database, id } = await oneOperation(t);
    const held = holdWork("held");
    const clock = new SteppedClock(new Date());
    const runner = makeRunner(database, {
      owner: "held",
      clock,
      handler(work) {
        work.progress(4711);
        return held.handler(work);
      },
    });
    const run = runner.run(id);
    await held.begun;
    await expireLease(database, id);
    await waitFor(async () => {
      clock.advance(HEARTBEAT_MS);
      const { lease_until: until, progress_bytes: bytes } = await operation(database, id);
      return bytes === 4711 && until !== null && until.getTime() > Date.now() + (LEASE_SECONDS * 1000) / 2;
    }, "a longer lease");
    held.finish();
    await run;
    assert.equal((await operation(database, id)).state, "done");
  });

  test("of an operation that is cancelled ends its work at the next heartbeat", async (t) => {
    const { database, id } = await oneOperation(t);
    const held = holdWork("held");
    const clock = new SteppedClock(new Date());
    const run = makeRunner(database, { owner: "held", handler: held.handler, clock }).run(id);
    await held.begun;
    await requestCancel(database.db, id, new TidemarkError("cancelled", "Cancelled by owner"));
    await heartbeatUntil(clock, held.interrupted);
    await run;
    const row = await operation(database, id);
    assert.deepEqual([row.state, row.error_code], ["error", "cancelled"]);
  });

  test("is not given to work that was cancelled while nobody held it, nor to work that never ends", async (t) => {
    const { database, id } = await oneOperation(t);
    await leaveRunning(database, { attempt: 1, cancel_requested: true });
    await makeRunner(database, { owner: "next", handler: refuseToWork }).run(id);
    const row = await operation(database, id);
    assert.deepEqual([row.state, row.error_code], ["error", "cancelled"]);

    const other = await oneOperation(t);
    await leaveRunning(other.database, { attempt: ATTEMPTS_MAX, cancel_requested: false });
    await makeRunner(other.database, { owner: "next", handler: refuseToWork }).run(other.id);
    const endless = await operation(other.database, other.id);
    assert.deepEqual([endless.state, endless.error_code, endless.attempt], ["error", "bug", ATTEMPTS_MAX + 1]);
  });

  test("is given back without counting when the worker is told to stop", async (t) => {
    const { database, id } = await oneOperation(t);
    const held = holdWork("held");
    const runner = makeRunner(database, { owner: "held", handler: held.handler });
    const run = runner.run(id);
    await held.begun;
    await runner.close();
    await run;
    const row = await operation(database, id);
    assert.deepEqual([row.state, row.attempt, row.lease_owner], ["scheduled", 0, null]);
  });

  test("is given back with a pause after a transient failure, and not after any other", async (t) => {
    const { database, id } = await oneOperation(t);
    const failing = (code: ErrorCode) => () => Promise.reject(new TidemarkError(code, "It failed"));
    await makeRunner(database, { owner: "first", handler: failing("dump_failed") }).run(id);
    const row = await operation(database, id);
    assert.deepEqual([row.state, row.attempt], ["scheduled", 1]);
    assert.ok(row.run_after.getTime() > Date.now());
    await makeRunner(database, { owner: "early", handler: refuseToWork }).run(id);
    await database.db
      .updateTable("operations")
      .set({ run_after: sql<Date>`now()` })
      .execute();
    await makeRunner(database, { owner: "second", handler: failing("object_corrupt") }).run(id);
    const ended = await operation(database, id);
    assert.deepEqual([ended.state, ended.attempt, ended.error_code], ["error", 2, "object_corrupt"]);
  });
});

function makeRunner(
  database: ControlDatabase,
  { owner, handler, clock = systemClock }: { owner: string; handler: OperationHandler; clock?: Clock },
): OperationRunner {
  return new OperationRunner({ database, clock, logger: quietLogger, owner, handlers: { logical_backup: handler } });
}

function holdWork(name: string): HeldWork {
  const begun = Promise.withResolvers<void>();
  const finished = Promise.withResolvers<void>();
  const interrupted = Promise.withResolvers<unknown>();
  return {
    async handler({ signal }) {
      const onAbort = (): void => {
        interrupted.resolve(signal.reason);
        finished.reject(signal.reason);
      };
      signal.addEventListener("abort", onAbort, { once: true });
      begun.resolve();
      await finished.promise;
      return async (transaction) => {
        await transaction.insertInto("login_attempts").values(mark(name)).execute();
      };
    },
    begun: begun.promise,
    finish: finished.resolve,
    interrupted: interrupted.promise,
  };
}

/** A row of a table that no operation touches stands for the result that a worker stores. */
function mark(name: string): { key: string; failures: number; window_started_at: Date } {
  return { key: `stored by ${name}`, failures: 0, window_started_at: new Date(0) };
}

async function storedBy({ db }: ControlDatabase): Promise<string[]> {
  const rows = await db.selectFrom("login_attempts").select("key").execute();
  return rows.map(({ key }) => key.replace("stored by ", ""));
}

function refuseToWork(): never {
  throw new assert.AssertionError({ message: "nobody may begin this operation" });
}

/** Moves the clock on until the promise is settled, as long as heartbeats go out in between. */
async function heartbeatUntil(clock: SteppedClock, settled: Promise<unknown>): Promise<void> {
  let isSettled = false;
  void settled.then(() => (isSettled = true));
  await waitFor(async () => {
    clock.advance(HEARTBEAT_MS);
    return isSettled;
  }, "an interruption");
}

async function expireLease({ db }: ControlDatabase, id: ObjectId): Promise<void> {
  await db
    .updateTable("operations")
    .set({ lease_until: sql<Date>`now() - interval '1 second'` })
    .where("id", "=", id)
    .execute();
}

/** As a worker leaves it that was killed a while ago. */
async function leaveRunning(
  { db }: ControlDatabase,
  facts: { attempt: number; cancel_requested: boolean },
): Promise<void> {
  const lease = { lease_owner: "dead", lease_until: sql<Date>`now() - interval '1 minute'` };
  await db
    .updateTable("operations")
    .set({ state: "running", ...lease, ...facts })
    .execute();
}

async function operation({ db }: ControlDatabase, id: ObjectId): Promise<OperationRow> {
  return await db.selectFrom("operations").selectAll().where("id", "=", id).executeTakeFirstOrThrow();
}

function assertCode(thrown: unknown, code: ErrorCode): void {
  assert.ok(thrown instanceof TidemarkError);
  assert.equal(thrown.code, code);
}
