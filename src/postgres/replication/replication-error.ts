import { type ErrorCode, TidemarkError, systemErrorCode } from "../../core/errors.ts";

/** SQLSTATEs that the engine decides by; https://www.postgresql.org/docs/current/errcodes-appendix.html */
export const SQLSTATE = {
  undefinedFile: "58P01",
  objectNotInPrerequisiteState: "55000",
  objectInUse: "55006",
  duplicateObject: "42710",
  undefinedObject: "42704",
  insufficientPrivilege: "42501",
  adminShutdown: "57P01",
  crashShutdown: "57P02",
  cannotConnectNow: "57P03",
  tooManyConnections: "53300",
} as const;

const UNREACHABLE_SYSTEM_CODES = new Set([
  "ECONNREFUSED",
  "ECONNRESET",
  "ENOENT",
  "EPIPE",
  "ETIMEDOUT",
  "EHOSTUNREACH",
  "ENETUNREACH",
  "ENOTFOUND",
  "EAI_AGAIN",
]);
const UNREACHABLE_SQLSTATES = new Set<string>([
  SQLSTATE.adminShutdown,
  SQLSTATE.crashShutdown,
  SQLSTATE.cannotConnectNow,
  SQLSTATE.tooManyConnections,
]);

/** The SQLSTATE of a server's error, undefined for any other error. */
export function sqlStateOf(thrown: unknown): string | undefined {
  if (thrown instanceof TidemarkError) {
    const sqlState = thrown.details?.["sqlstate"];
    return typeof sqlState === "string" ? sqlState : undefined;
  }
  if (!(thrown instanceof Error) || !("code" in thrown) || !("severity" in thrown)) return undefined;
  return typeof thrown.code === "string" ? thrown.code : undefined;
}

/**
 * Turns whatever `pg` reports into one of our errors, by SQLSTATE or system code. Ours pass unchanged.
 *
 * @param operation begins the message, for example `Cannot start replication on slot "tidemark"`
 * @returns `wal_removed`, `server_denied`, `server_unreachable` or `replication_failed`; `details.sqlstate` when the server gave one
 */
export function toReplicationError(thrown: unknown, operation: string): TidemarkError {
  if (thrown instanceof TidemarkError) return thrown;
  const sqlState = sqlStateOf(thrown);
  const cause = thrown instanceof Error ? thrown.message : String(thrown);
  return new TidemarkError(codeFor(thrown, sqlState), `${operation}: ${cause}`, {
    cause: thrown,
    ...(sqlState === undefined ? {} : { details: { sqlstate: sqlState } }),
  });
}

function codeFor(thrown: unknown, sqlState: string | undefined): ErrorCode {
  if (sqlState === undefined) {
    const systemCode = systemErrorCode(thrown);
    return systemCode !== undefined && UNREACHABLE_SYSTEM_CODES.has(systemCode)
      ? "server_unreachable"
      : "replication_failed";
  }
  if (sqlState === SQLSTATE.undefinedFile) return "wal_removed";
  // Class 28 is "invalid authorization specification": wrong password, no pg_hba line, no REPLICATION.
  if (sqlState.startsWith("28") || sqlState === SQLSTATE.insufficientPrivilege) return "server_denied";
  return UNREACHABLE_SQLSTATES.has(sqlState) ? "server_unreachable" : "replication_failed";
}
