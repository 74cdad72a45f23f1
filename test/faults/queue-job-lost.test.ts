import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { ControlContext } from "../../src/control/context.ts";
import type { ControlDatabase } from "../../src/control/database.ts";
import { OperationRunner } from "../../src/control/operation-runner.ts";
import { openQueue, type Queue, queueName } from "../../src/control/queue.ts";
import { Scheduler } from "../../src/control/scheduler.ts";
import { systemClock } from "../../src/core/clock.ts";
import { planCatalogue } from "../../src/policy/plans.ts";
import { makeControlDatabase } from "../harness/control-database.ts";
import { waitFor } from "../harness/platform.ts";
import { startPostgresServer } from "../harness/postgres-server.ts";
import { quietLogger } from "../harness/quiet-logger.ts";
import { addOperations, HOST_ID } from "./operation-rows.ts";
import { sharedBackupScene } from "./backup-scene.ts";
import { signal } from "./dump-process.ts";

const OPERATIONS = 30;
const WORKERS = 2;

describe("a job that the queue has lost", () => {
  const scene = sharedBackupScene();

  test("is sent again by the scheduler", async (t) => {
    const worker = await scene().platform.workerPid();
    signal(worker, "SIGSTOP");
    t.after(() => signal(worker, "SIGCONT"));
    const id = await scene().createBackup();
    const { id: operationId } = await scene().operation(id);
    const deleted = await scene().askControl(
      "delete from pgboss.job where data->>'operationId' = $1 and state = 'created' returning id",
      [operationId],
    );
    assert.equal(deleted.length, 1);
    signal(worker, "SIGCONT");
    const backup = await scene().ended(id);
    assert.equal(backup.status, "done", JSON.stringify(backup.error));
    await scene().assertRestoresEqual(t, id);
  });
});

test("two schedulers and two workers run each of many lost operations exactly once", async (t) => {
  const server = await startPostgresServer(t);
  const database = await makeControlDatabase(server);
  const queues = (["logical_backup", "base_backup"] as const).map((kind) => queueName(kind, HOST_ID));
  const queue = await openQueue(database, { queues, logger: quietLogger });
  const ids = await addOperations(database, OPERATIONS);
  const begun: string[] = [];
  const runners = Array.from({ length: WORKERS }, (_, number) => countingRunner(database, `worker ${number}`, begun));
  const schedulers = runners.map(() => new Scheduler(schedulerContext(database, queue)));
  t.after(() => closeAll({ schedulers, runners, queue, database }));
  for (const runner of runners)
    await queue.work(queueName("logical_backup", HOST_ID), 2, (operationId) => runner.run(operationId));

  await waitFor(async () => {
    const open = database.db.selectFrom("operations").select("id").where("state", "<>", "done");
    return (await open.where("kind", "=", "logical_backup").execute()).length === 0;
  }, "the end of all operations");
  assert.deepEqual(begun.toSorted(), ids.toSorted());
});

/** A scheduler opens no secret. */
function schedulerContext(database: ControlDatabase, queue: Queue): ControlContext {
  const refuse = () => Promise.reject(new Error("a scheduler opens no secret"));
  return {
    database,
    queue,
    clock: systemClock,
    logger: quietLogger,
    secrets: { wrap: refuse, unwrap: refuse, createDatabaseKey: refuse, unwrapDatabaseKey: refuse },
    hostId: HOST_ID,
    newDatabaseMajor: 15,
    plans: planCatalogue(),
    hostNameOf: () => "127.0.0.1",
  };
}

function countingRunner(database: ControlDatabase, owner: string, begun: string[]): OperationRunner {
  return new OperationRunner({
    database,
    clock: systemClock,
    logger: quietLogger,
    owner,
    handlers: {
      async logical_backup({ operation }) {
        begun.push(operation.id);
        return async () => undefined;
      },
    },
  });
}

async function closeAll(all: {
  schedulers: Scheduler[];
  runners: OperationRunner[];
  queue: Queue;
  database: ControlDatabase;
}): Promise<void> {
  await Promise.all(all.schedulers.map((scheduler) => scheduler.close()));
  await Promise.all(all.runners.map((runner) => runner.close()));
  await all.queue.close();
  await all.database.close();
}
