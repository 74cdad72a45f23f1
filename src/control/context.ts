import type { Clock } from "../core/clock.ts";
import type { Logger } from "../core/logger.ts";
import type { ControlDatabase } from "./database.ts";
import type { Queue } from "./queue.ts";

/** What the master key does for the control database: small secrets are stored wrapped. `keys/` implements it. */
export interface Secrets {
  wrap(plain: Uint8Array): Promise<Buffer>;
  unwrap(wrapped: Uint8Array): Promise<Buffer>;
  /** A key pair of one database, its identity wrapped. */
  createDatabaseKey(): Promise<{ recipient: string; wrappedIdentity: Buffer }>;
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
  /** Host name in the connection URI of a database. */
  readonly hostNameOf: (resourceId: string) => string;
}

export async function unwrapText(secrets: Secrets, wrapped: Uint8Array): Promise<string> {
  return (await secrets.unwrap(wrapped)).toString("utf8");
}
