import { randomUUID } from "node:crypto";
import type { ServeConfig } from "../config.ts";
import type { ControlContext, Secrets } from "../control/context.ts";
import { controlFailure, operatorsDatabaseFailure } from "../control/control-failure.ts";
import { migrateControlDatabase, openControlDatabase } from "../control/database.ts";
import { openQueue, queueName } from "../control/queue.ts";
import type { Clock } from "../core/clock.ts";
import type { Logger } from "../core/logger.ts";
import type { Home } from "./home.ts";
import type { Machine } from "./machine.ts";
import { requirePlansInUse } from "./plans-file.ts";

/** The address that stands in a database's URI when there is no domain. */
const LOCAL_ADDRESS = "127.0.0.1";

/**
 * Connects to the control database, brings it up to date and opens the queue; closing is left to the stack. The same for the platform and its worker.
 */
export async function openControl(
  stack: AsyncDisposableStack,
  input: { config: ServeConfig; clock: Clock; logger: Logger; home: Home; machine: Machine; secrets: Secrets },
): Promise<ControlContext> {
  const { config, clock, logger, home, machine, secrets } = input;
  const database = openControlDatabase(machine.controlConnection, logger);
  stack.defer(() => database.close());
  const rethrow = (thrown: unknown): never => {
    throw config.controlDatabaseUrl === null ? controlFailure(thrown) : operatorsDatabaseFailure(thrown);
  };
  await migrateControlDatabase(database).catch(rethrow);
  await requirePlansInUse(database, machine.plans);
  const kinds = ["logical_backup", "base_backup", "pitr_restore", "provision"] as const;
  const queues = kinds.map((kind) => queueName(kind, home.hostId));
  const queue = await openQueue(database, { queues, logger }).catch(rethrow);
  stack.defer(() => queue.close());
  const newest = machine.controlServer.programs.major;
  return {
    database,
    queue,
    clock,
    logger,
    secrets,
    hostId: home.hostId,
    newDatabaseMajor: newest,
    plans: machine.plans,
    hostNameOf: (resourceId) => hostNameOf(config, resourceId),
  };
}

/** Holds the leases of one process's life: never the same twice. */
export function leaseOwner(role: string, home: Home): string {
  return `${leaseOwnerPrefix({ role, home, pid: process.pid })}${randomUUID()}`;
}

/** How the owner of every lease of that process begins; without a process id, of all processes of the home in that role. */
export function leaseOwnerPrefix({ role, home, pid }: { role: string; home: Home; pid?: number }): string {
  return `${role}@${home.hostId}:${pid === undefined ? "" : `${pid}:`}`;
}

function hostNameOf({ domain }: ServeConfig, resourceId: string): string {
  return domain === null ? LOCAL_ADDRESS : `${resourceId.replaceAll("_", "-")}.postgresql.${domain}`;
}
