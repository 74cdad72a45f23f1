import { Client, type ClientConfig } from "pg";
import { asTidemarkError } from "../core/errors.ts";
import type { AddonId } from "../core/ids.ts";
import { repeat } from "../core/repeat.ts";
import { REPLICATION_SLOT } from "../instances/managed-database.ts";
import { BACKUP_ROLE } from "../instances/managed-roles.ts";
import { clientConfig } from "../postgres/connection.ts";
import { type ControlContext, unwrapText } from "./context.ts";

/** How often each server is asked. */
const INTERVAL_MS = 60_000;
/** A server that has nothing to say for so long is asked again a minute later. */
const ANSWER_TIMEOUT_MS = 10_000;
/** Servers that are asked at a time: a few that hang hold up none of the others for long. */
const ASKED_AT_ONCE_MAX = 8;

const QUESTION = `select
    (case when pg_is_in_recovery() then pg_last_wal_replay_lsn() else pg_current_wal_flush_lsn() end)::text as lsn,
    slot.wal_status as "walStatus",
    pg_wal_lsn_diff(
      case when pg_is_in_recovery() then pg_last_wal_replay_lsn() else pg_current_wal_lsn() end, slot.restart_lsn
    )::float8 as "retainedBytes",
    (select sum(pg_database_size(oid))::float8 from pg_database where not datistemplate and datname <> 'postgres') as "sizeBytes"
  from (select) as one left join pg_replication_slots as slot on slot.slot_name = $1`;

type AskingContext = Pick<ControlContext, "database" | "clock" | "logger" | "hostId">;

/** How to reach the server of a database for a question. Holds a secret. */
export type ServerAddress = (addonId: AddonId) => Promise<ClientConfig>;

/**
 * Asks every running server of this machine, once a minute, how far its write-ahead log has come, how much of it the replication slot holds back, and how large its
 * data is. What the receiver of the log says of itself is compared with the first.
 */
export class ServerAnswers {
  readonly #closing = new AbortController();
  readonly #loop: Promise<void>;

  constructor(context: AskingContext, addressOf: ServerAddress) {
    const { clock, logger } = context;
    this.#loop = repeat(() => askServers(context, addressOf), {
      clock,
      intervalMs: INTERVAL_MS,
      signal: this.#closing.signal,
      onFailure: (thrown) =>
        logger.warn({ error: asTidemarkError(thrown).message }, "servers were not asked how far they are; tried again"),
    });
  }

  async close(): Promise<void> {
    this.#closing.abort();
    await this.#loop;
  }
}

/** The address of a managed database's server on this machine, by its socket, as the role that may ask for the size of any database. */
export function socketAddress({ database, secrets }: ControlContext, socketFolder: string): ServerAddress {
  return async (addonId) => {
    const row = await database.db
      .selectFrom("databases")
      .select(["port", "wrapped_backup_password"])
      .where("addon_id", "=", addonId)
      .executeTakeFirstOrThrow();
    const what = `backup password of ${addonId}`;
    const password = await unwrapText(secrets, row.wrapped_backup_password, what);
    return clientConfig({
      host: socketFolder,
      port: row.port ?? 0,
      user: BACKUP_ROLE,
      password,
      database: "postgres",
    });
  };
}

/** Asks each running server of this machine once, and stores what it says or why it doesn't. */
export async function askServers(context: AskingContext, addressOf: ServerAddress): Promise<void> {
  const rows = await context.database.db
    .selectFrom("databases")
    .innerJoin("addons", "addons.id", "databases.addon_id")
    .select("databases.addon_id as addonId")
    .where("databases.host_id", "=", context.hostId)
    .where("databases.status", "=", "running")
    .where("addons.state", "=", "running")
    .execute();
  const waiting = rows.map(({ addonId }) => addonId);
  const askNext = async (): Promise<void> => {
    for (let addonId = waiting.pop(); addonId !== undefined; addonId = waiting.pop())
      await askAndStore(context, { addonId, addressOf });
  };
  await Promise.all(Array.from({ length: ASKED_AT_ONCE_MAX }, askNext));
}

async function askAndStore(
  { database, clock }: AskingContext,
  { addonId, addressOf }: { addonId: AddonId; addressOf: ServerAddress },
): Promise<void> {
  // Before the question: all that is stored later than the answer was asked counts as late.
  const askedAt = clock.now();
  const answer = await ask(await addressOf(addonId)).catch((error: unknown) => asTidemarkError(error).message);
  const values =
    typeof answer === "string"
      ? { unanswered_because: answer }
      : {
          server_lsn: answer.lsn,
          retained_wal_bytes: answer.retainedBytes,
          wal_status: answer.walStatus,
          size_bytes: answer.sizeBytes,
          asked_at: askedAt,
          unanswered_because: null,
        };
  await database.db
    .insertInto("database_health")
    .values({ addon_id: addonId, ...values })
    .onConflict((conflict) => conflict.column("addon_id").doUpdateSet(values))
    .execute();
}

interface ServerAnswer {
  readonly lsn: string;
  readonly walStatus: string | null;
  readonly retainedBytes: number | null;
  /** Of all databases but PostgreSQL's own; null where there is none. */
  readonly sizeBytes: number | null;
}

async function ask(address: ClientConfig): Promise<ServerAnswer> {
  const client = new Client({
    ...address,
    application_name: "tidemark health",
    connectionTimeoutMillis: ANSWER_TIMEOUT_MS,
    query_timeout: ANSWER_TIMEOUT_MS,
    statement_timeout: ANSWER_TIMEOUT_MS,
  });
  // The statement's own failure tells.
  client.on("error", () => undefined);
  try {
    await client.connect();
    const { rows } = await client.query<ServerAnswer>(QUESTION, [REPLICATION_SLOT]);
    const [answer] = rows;
    if (answer === undefined) throw new Error("the server answered nothing");
    return answer;
  } finally {
    await client.end().catch(() => undefined);
  }
}
