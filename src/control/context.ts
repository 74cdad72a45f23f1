import type { Clock } from "../core/clock.ts";
import type { Logger } from "../core/logger.ts";
import type { PlanCatalogue } from "../policy/plans.ts";
import type { ControlDatabase } from "./database.ts";
import type { Queue } from "./queue.ts";

/** What the master key does for the control database: small secrets are stored wrapped. `keys/` implements it. */
export interface Secrets {
  wrap(plain: Uint8Array): Promise<Buffer>;
  /** `what` names it in errors: `password of my_app_4553`. */
  unwrap(wrapped: Uint8Array, what: string): Promise<Buffer>;
  /** A key pair of one database, its identity wrapped. */
  createDatabaseKey(): Promise<{ recipient: string; wrappedIdentity: Buffer }>;
  unwrapDatabaseKey(databaseId: string, wrappedIdentity: Uint8Array): Promise<string>;
}

/** What every service and operation of one process shares. */
export interface ControlContext {
  readonly database: ControlDatabase;
  readonly queue: Queue;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly secrets: Secrets;
  /** This machine's id: new databases are made on it. */
  readonly hostId: string;
  /** PostgreSQL's major version that new databases get: the newest installed. */
  readonly newDatabaseMajor: number;
  readonly plans: PlanCatalogue;
  /** Host name in the connection URI of a database. */
  readonly hostNameOf: (resourceId: string) => string;
}

/** What a scheduler needs of it. */
export type SchedulingContext = Pick<ControlContext, "database" | "queue" | "clock" | "logger">;

export async function unwrapText(secrets: Secrets, wrapped: Uint8Array, what: string): Promise<string> {
  return (await secrets.unwrap(wrapped, what)).toString("utf8");
}
