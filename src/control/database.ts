import { Kysely, PostgresDialect, sql } from "kysely";
import { type Migration, Migrator } from "kysely/migration";
import { DatabaseError, Pool, types } from "pg";
import { TidemarkError } from "../core/errors.ts";
import type { Logger } from "../core/logger.ts";
import * as foundation from "./migrations/0001-foundation.ts";
import * as continuous from "./migrations/0002-continuous.ts";
import * as schedule from "./migrations/0003-schedule.ts";
import * as pointInTime from "./migrations/0004-point-in-time.ts";
import * as logicalRestores from "./migrations/0005-logical-restores.ts";
import * as events from "./migrations/0006-events.ts";
import * as people from "./migrations/0007-people.ts";
import * as databaseNouns from "./migrations/0008-database-nouns.ts";
import * as sshGateway from "./migrations/0009-ssh-gateway.ts";
import * as oneOffs from "./migrations/0010-one-offs.ts";
import * as notifiers from "./migrations/0011-notifiers.ts";
import * as health from "./migrations/0012-health.ts";
import * as operationTotals from "./migrations/0013-operation-totals.ts";
import * as changes from "./migrations/0014-changes.ts";
import * as samples from "./migrations/0015-samples.ts";
import type { ControlSchema } from "./schema.ts";

/** Connections of one process for all but the queue, which has its own. */
const POOL_CONNECTIONS_MAX = 10;
/** A control database that doesn't answer by then is down. */
const CONNECT_TIMEOUT_MS = 10_000;
/** No statement of ours needs longer: what does has lost its way. */
const STATEMENT_TIMEOUT_MS = 30_000;

const MIGRATIONS: Record<string, Migration> = {
  "0001-foundation": foundation,
  "0002-continuous": continuous,
  "0003-schedule": schedule,
  "0004-point-in-time": pointInTime,
  "0005-logical-restores": logicalRestores,
  "0006-events": events,
  "0007-people": people,
  "0008-database-nouns": databaseNouns,
  "0009-ssh-gateway": sshGateway,
  "0010-one-offs": oneOffs,
  "0011-notifiers": notifiers,
  "0012-health": health,
  "0013-operation-totals": operationTotals,
  "0014-changes": changes,
  "0015-samples": samples,
};

/** Where the control database is: the private one by its socket, or the URI that the operator gave. Both `pg` and the queue take it. */
export type ControlConnection =
  | { readonly connectionString: string }
  | { readonly host: string; readonly port: number; readonly user: string; readonly database: string };

export interface ControlDatabase {
  readonly connection: ControlConnection;
  readonly db: Kysely<ControlSchema>;
  close(): Promise<void>;
}

/** Opens the pool; connects at the first statement. A connection that breaks while idle is logged and replaced. */
export function openControlDatabase(connection: ControlConnection, logger: Logger): ControlDatabase {
  const pool = new Pool({
    ...connection,
    application_name: "tidemark control",
    max: POOL_CONNECTIONS_MAX,
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
    statement_timeout: STATEMENT_TIMEOUT_MS,
    types: { getTypeParser: parserOf },
  });
  // The pool listens to idle connections only. One that breaks between two statements of its borrower would end the process; the next statement tells.
  pool.on("connect", (client) => client.on("error", () => undefined));
  pool.on("error", (error) => logger.warn({ error: error.message }, "a connection to the control database broke"));
  const db = new Kysely<ControlSchema>({ dialect: new PostgresDialect({ pool }) });
  return { connection, db, close: () => db.destroy() };
}

/**
 * Brings the schema up to this version; several processes may call it at once. `format_too_new` when a newer Tidemark has been here.
 */
export async function migrateControlDatabase(database: ControlDatabase): Promise<void> {
  const migrator = new Migrator({ db: database.db, provider: { getMigrations: async () => MIGRATIONS } });
  await refuseNewerSchema(database);
  const { error } = await migrator.migrateToLatest();
  if (error !== undefined) {
    throw new TidemarkError("control_unavailable", "Cannot migrate the control database", { cause: error });
  }
}

async function refuseNewerSchema({ db }: ControlDatabase): Promise<void> {
  const { rows: tables } = await sql<{
    found: string | null;
  }>`select to_regclass('kysely_migration')::text as found`.execute(db);
  if (tables[0]?.found === null) return;
  const { rows } = await sql<{ name: string }>`select name from kysely_migration`.execute(db);
  const unknown = rows.map((row) => row.name).find((name) => !(name in MIGRATIONS));
  if (unknown === undefined) return;
  throw new TidemarkError(
    "format_too_new",
    `The control database has the migration "${unknown}", which this version doesn't know`,
    {
      hint: "Start the Tidemark version that last used it, or a later one.",
    },
  );
}

/**
 * Name of the constraint or index that a statement violated, when the server refused it with this SQLSTATE; undefined for any other failure.
 */
export function violatedConstraint(thrown: unknown, sqlState: string): string | undefined {
  return thrown instanceof DatabaseError && thrown.code === sqlState ? (thrown.constraint ?? "") : undefined;
}

/** The types int8 and date in pg_type. */
const INT8_OID = 20;
const DATE_OID = 1082;

/** Of PostgreSQL's appendix A, those that we decide by. */
export const UNIQUE_VIOLATION = "23505";

/** Bytes and counters are below 2^53 here: bigint as a number. A day stays text: as a Date it would be midnight of this machine's zone. */
function parserOf(oid: number, format?: "text" | "binary"): (value: string) => unknown {
  if (oid === INT8_OID) return Number;
  if (oid === DATE_OID) return (value) => value;
  return types.getTypeParser(oid, format ?? "text");
}
