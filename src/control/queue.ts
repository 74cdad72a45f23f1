import type { Transaction } from "kysely";
import { fromKysely, PgBoss } from "pg-boss";
import type { Logger } from "../core/logger.ts";
import type { ControlDatabase } from "./database.ts";
import type { ControlSchema, OperationKind, OperationRow } from "./schema.ts";

/** pg-boss ends any job after a day; the operation goes on, and its next job finds it held. */
const JOB_EXPIRES_SECONDS = 24 * 3600 - 1;
/** Ended jobs say nothing that the operations' rows don't say. */
const ENDED_JOBS_KEPT_SECONDS = 3600;
/** New jobs are announced by NOTIFY; polling is for the case that a notification got lost. Part of the 15 s in which a dead worker's work is taken over. */
const POLLING_INTERVAL_SECONDS = 2;

/** The queues. Those of a host are its own, since only it can touch its servers. */
export function queueName(kind: OperationKind, hostId: string): string {
  // Whoever can take backups can remove them, and restore them.
  if (kind === "logical_backup" || kind === "expire_backups" || kind === "logical_restore") return "logical-backup";
  if (kind === "base_backup") return "base-backup";
  // Data folders are made by a worker of the host's machine.
  if (kind === "pitr_plan" || kind === "pitr_restore" || kind === "pitr_undo" || kind === "addon_copy")
    return `restore-${hostId}`;
  return `host-${hostId}`;
}

/**
 * Jobs on pg-boss. A job carries only an operation's id and starts or resumes it; state, lease and retries are the operation's, so a job
 * is never retried.
 */
export interface Queue {
  /** Sends a job for the operation, once while one waits; inside the transaction when one is given. */
  send(
    operation: Pick<OperationRow, "id" | "kind">,
    hostId: string,
    transaction?: Transaction<ControlSchema>,
  ): Promise<void>;
  /** Runs `work` for each job of a queue, so many at a time. `work` handles its own failures. */
  work(queue: string, concurrency: number, work: (operationId: string) => Promise<void>): Promise<void>;
  /** Takes no new jobs and lets go of the database. */
  close(): Promise<void>;
}

/** Opens the queue on the control database; creates its tables at the first call. `queues` are made if they don't exist. */
export async function openQueue(
  { connection }: ControlDatabase,
  { queues, logger }: { queues: readonly string[]; logger: Logger },
): Promise<Queue> {
  const boss = new PgBoss({
    ...connection,
    application_name: "tidemark queue",
    useListenNotify: true,
    schedule: false,
  });
  boss.on("error", (error) => logger.warn({ error: error.message }, "the queue met an error"));
  await boss.start();
  for (const queue of queues) await ensureQueue(boss, queue);
  return {
    async send({ id, kind }, hostId, transaction) {
      const options = { singletonKey: id, ...(transaction === undefined ? {} : { db: fromKysely(transaction) }) };
      await boss.send(queueName(kind, hostId), { operationId: id }, options);
    },
    async work(queue, concurrency, work) {
      await boss.work<{ operationId: string }>(
        queue,
        {
          localConcurrency: concurrency,
          pollingIntervalSeconds: POLLING_INTERVAL_SECONDS,
          // While notifications seem to work, polling would relax to 30 s otherwise.
          notifyPollingIntervalSeconds: POLLING_INTERVAL_SECONDS,
        },
        async (jobs) => {
          for (const job of jobs) await work(job.data.operationId);
        },
      );
    },
    close: () => boss.stop({ graceful: false, close: true }),
  };
}

async function ensureQueue(boss: PgBoss, queue: string): Promise<void> {
  // `short`: at most one job waits for each operation, however often the scheduler looks.
  await boss.createQueue(queue, {
    policy: "short",
    notify: true,
    retryLimit: 0,
    expireInSeconds: JOB_EXPIRES_SECONDS,
    deleteAfterSeconds: ENDED_JOBS_KEPT_SECONDS,
  });
}
