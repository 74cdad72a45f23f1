import type pg from "pg";
import type { Clock } from "../core/clock.ts";
import { TidemarkError } from "../core/errors.ts";
import { withSession, type Connection } from "./connection.ts";

/** Often enough to name who held up a dump that failed after the shortest sensible limit, rare enough to cost the server nothing. */
export const LOCK_POLL_MS = 500;

/** Long queries say enough in their beginning. */
const QUERY_CHARS = 500;

/** Who keeps our dump or restore waiting for a lock. */
export interface Blocker {
  readonly pid: number;
  /** Empty for a prepared transaction, which has no session. */
  readonly user: string;
  readonly query: string;
  /** When its transaction began. */
  readonly since: Date | undefined;
  /** The table that is waited for, if it is one. */
  readonly relation: string | undefined;
  /** How long so far. */
  readonly waitedMs: number;
}

/**
 * Looks every `LOCK_POLL_MS` whether the session named `applicationName` waits for a lock, and reports by whom it is held up, undefined for nobody; nothing
 * while there is no such session, so what was said last stays true of a program that has failed. Goes on until `signal` aborts, then resolves.
 *
 * @throws what the connection throws: what is watched doesn't depend on this watch.
 */
export async function watchLocks(options: {
  readonly connection: Connection;
  readonly applicationName: string;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  readonly onLook: (blocker: Blocker | undefined) => void;
}): Promise<void> {
  const { connection, clock, signal } = options;
  try {
    await withSession(connection, { applicationName: "tidemark-lock-watch", signal }, async (client) => {
      for (;;) {
        const look = await lookAtSession(client, options.applicationName);
        if (look !== "no session") options.onLook(look);
        await clock.sleep(LOCK_POLL_MS, signal);
      }
    });
  } catch (error) {
    if (!signal.aborted) throw error;
  }
}

/** The failure of a `dump` or `restore` that waited too long. */
export function lockTimeout(what: "dump" | "restore", blocker: Blocker, limitMs: number): TidemarkError {
  const waitedFor = blocker.relation === undefined ? "a lock" : `a lock on ${blocker.relation}`;
  const holder =
    blocker.pid === 0
      ? "a prepared transaction"
      : `"${blocker.query}" of user "${blocker.user}" (pid ${blocker.pid}${since(blocker)})`;
  return new TidemarkError(
    "lock_timeout",
    `The ${what} waited over ${limitMs} ms for ${waitedFor}, held up by ${holder}`,
    {
      hint: `Let that transaction end, or end it with: SELECT pg_terminate_backend(${blocker.pid})`,
      details: { pid: blocker.pid, user: blocker.user, query: blocker.query },
    },
  );
}

function since(blocker: Blocker): string {
  return blocker.since === undefined ? "" : `, in its transaction since ${blocker.since.toISOString()}`;
}

interface LookRow {
  readonly pid: number | null;
  readonly user: string | null;
  readonly query: string | null;
  readonly since: Date | null;
  readonly relation: string | null;
  readonly waited_ms: number;
}

/** One row for the watched session, blocked or not. pg_blocking_pids answers 0 for a prepared transaction, hence the outer join of sessions. */
const LOOK = `
  SELECT blocking.pid, blocker.usename AS user, left(blocker.query, ${QUERY_CHARS}) AS query, blocker.xact_start AS since,
    waiting.relation::regclass::text AS relation,
    (extract(epoch FROM clock_timestamp() - coalesce(waiting.waitstart, watched.query_start)) * 1000)::float8 AS waited_ms
  FROM pg_stat_activity AS watched
  LEFT JOIN LATERAL unnest(pg_blocking_pids(watched.pid)) AS blocking(pid) ON true
  LEFT JOIN pg_stat_activity AS blocker ON blocker.pid = blocking.pid
  LEFT JOIN pg_locks AS waiting ON waiting.pid = watched.pid AND NOT waiting.granted
  WHERE watched.application_name = $1
  ORDER BY blocker.xact_start NULLS LAST
  LIMIT 1`;

async function lookAtSession(client: pg.Client, applicationName: string): Promise<Blocker | undefined | "no session"> {
  const { rows } = await client.query<LookRow>(LOOK, [applicationName]);
  const row = rows[0];
  if (row === undefined) return "no session";
  if (row.pid === null) return undefined;
  return {
    pid: row.pid,
    user: row.user ?? "",
    query: row.query ?? "",
    since: row.since ?? undefined,
    relation: row.relation ?? undefined,
    waitedMs: row.waited_ms,
  };
}
