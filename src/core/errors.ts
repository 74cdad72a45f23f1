/**
 * Every failure that Tidemark can report, in one table. `docs/reference/errors.md` is compared with it by a test, both ways.
 *
 * - `user`: the request can't be met as asked; asking otherwise can work.
 * - `transient`: the same request can work later; only the retry wrappers and the queue retry, and only these.
 * - `permanent`: it will fail again until an operator changes something.
 * - `bug`: we are wrong.
 */
export type ErrorKind = "user" | "transient" | "permanent" | "bug";

interface ErrorRow {
  readonly kind: ErrorKind;
  /** HTTP status that the API answers. */
  readonly status: number;
  /** Exit code of the command line. */
  readonly exit: number;
  readonly meaning: string;
}

const row = (kind: ErrorKind, status: number, exit: number, meaning: string): ErrorRow => ({
  kind,
  status,
  exit,
  meaning,
});

export const ERROR_TABLE = {
  // Requests
  bad_request: row("user", 400, 1, "The request can't be read: malformed JSON, a wrong type, an unknown option"),
  invalid_fields: row(
    "user",
    422,
    1,
    "A field of the request has a value that is not allowed; `fields` says which and why",
  ),
  unauthenticated: row("user", 401, 1, "No valid token or password came with the request"),
  second_factor_required: row(
    "user",
    401,
    1,
    "The password is right, and the user has a second factor: the login needs a one-time password as well",
  ),
  forbidden: row("user", 403, 1, "The caller is known but may not do this"),
  not_found: row("user", 404, 1, "There is no such thing, or the caller may not know of it"),
  conflict: row("user", 409, 1, "The thing exists already, or its state doesn't allow this now"),
  backup_running: row(
    "user",
    409,
    1,
    "A logical backup of this database is running already; `details.backup_id` names it",
  ),
  too_many_requests: row("transient", 429, 1, "Too many attempts; wait as long as the message says"),
  method_not_allowed: row(
    "user",
    405,
    1,
    "The address exists, but not for this method; the Allow header names those it has",
  ),
  precondition_failed: row("user", 412, 1, "The file is not, or no longer, the one that the If-Match header names"),
  unsupported_media_type: row("user", 415, 1, "The request's body is not declared as JSON"),
  payload_too_large: row("user", 413, 1, "The request's body is larger than any request of the API needs to be"),
  link_expired: row("user", 403, 1, "A signed download address was altered or has expired; ask for a new one"),
  range_not_satisfiable: row("user", 416, 1, "The asked range lies outside the file"),
  cancelled: row("user", 409, 1, "The operation was cancelled"),

  // The machine and the settings
  config_invalid: row("user", 500, 2, "A setting has a value that can't be used"),
  runtime_mismatch: row("permanent", 500, 2, "The program runs on another Node.js than the one it pins"),
  home_unusable: row(
    "permanent",
    500,
    2,
    "The home folder can't be used: not writable, not reachable, or of a newer version",
  ),
  home_locked: row("permanent", 500, 2, "Another Tidemark process uses this home"),
  port_in_use: row("permanent", 500, 2, "Another program listens on a port that Tidemark needs"),
  disk_full: row("transient", 507, 2, "Less disk space is free than the operation needs"),
  memory_low: row("transient", 507, 2, "Less memory is available than the operation needs"),
  programs_missing: row("permanent", 500, 2, "PostgreSQL's programs of the needed major version are not installed"),
  program_failed: row(
    "transient",
    500,
    1,
    "A program of PostgreSQL ended with an error; its last lines are in the message",
  ),

  sandbox_unavailable: row(
    "permanent",
    409,
    1,
    "One-off containers can't run on this machine: bubblewrap is missing or the kernel refuses its namespaces",
  ),

  // Servers and backups
  server_not_running: row("transient", 409, 1, "The database server is not running"),
  server_start_failed: row(
    "transient",
    500,
    1,
    "The database server didn't start; its last log lines are in the message",
  ),
  control_unavailable: row("transient", 503, 1, "The control database can't be reached"),
  dump_failed: row("transient", 500, 1, "pg_dump ended with an error"),
  lock_timeout: row("user", 409, 1, "A lock was not granted in time; the message names the query that holds it"),
  lease_lost: row("transient", 500, 1, "Another worker took over the operation"),
  platform_stopping: row("transient", 503, 1, "The platform is stopping; the operation goes on at its next start"),

  // Replication and recovery
  server_unreachable: row("transient", 503, 1, "The database server can't be reached or takes no connections for now"),
  server_denied: row("permanent", 409, 1, "The database server refused the login, or the role lacks a privilege"),
  replication_failed: row("transient", 500, 1, "The server ended or refused a replication command"),
  wal_removed: row("permanent", 409, 1, "The server no longer has write-ahead log that the backups still need"),
  wal_invalid: row("permanent", 500, 1, "Write-ahead log that was received or stored can't be read"),
  lineage_diverged: row(
    "permanent",
    409,
    1,
    "The server's history contradicts the write-ahead log that is stored of it",
  ),
  base_backup_failed: row("transient", 500, 1, "What a base backup received is not what the server's manifest lists"),
  target_unreachable: row(
    "user",
    409,
    1,
    "No stored base backup and write-ahead log reach the moment that was asked for",
  ),
  recovery_failed: row("permanent", 500, 1, "A restored folder didn't recover to the position that was planned"),
  restore_incomplete: row(
    "permanent",
    500,
    1,
    "Some objects of a dump could not be restored; the restore's report says which and why",
  ),
  handover_failed: row(
    "permanent",
    409,
    1,
    "The last write-ahead log of a database could not be stored in time, so nothing was put in its place",
  ),
  restore_refused: row(
    "user",
    409,
    1,
    "A restore would write where it may not: an unmapped tablespace or a folder in use",
  ),

  // The repository
  object_not_found: row("permanent", 404, 1, "The repository has no object of this name"),
  object_exists: row("permanent", 409, 1, "The repository has an object of this name already"),
  object_corrupt: row("permanent", 500, 1, "A stored object is not what its manifest or its own checksums say"),
  storage_unavailable: row("transient", 503, 1, "The storage can't be reached or refused for now"),
  storage_denied: row("permanent", 500, 1, "The storage refused the credentials or the permission"),
  format_too_new: row("permanent", 500, 2, "The data was written by a newer Tidemark; use that version or a later one"),
  key_missing: row("permanent", 500, 1, "The key that opens this data is not here"),

  // Telling people
  notification_failed: row("transient", 502, 1, "A notification could not be delivered this time; it is tried again"),
  notification_refused: row("permanent", 409, 1, "A notification can't be delivered as its notifier is set up"),

  // The command line
  usage: row("user", 400, 2, "The command line can't be understood: something is missing or makes no sense"),
  interrupted: row("user", 499, 130, "The command was stopped by Ctrl+C"),
  platform_unreachable: row("transient", 503, 1, "No platform answers at the address that the command line uses"),
  host_key_mismatch: row(
    "permanent",
    502,
    1,
    "What answers at the SSH gateway's address doesn't hold the key that the platform's API names",
  ),
  reply_unreadable: row("permanent", 502, 1, "What answers at the platform's address doesn't speak its API"),
  backup_failed: row(
    "permanent",
    500,
    1,
    "The backup that the command line waited for ended with an error; the message says which",
  ),
  restore_failed: row(
    "permanent",
    500,
    1,
    "The restore in place that the command line waited for ended with an error; the message says which",
  ),
  one_off_failed: row("permanent", 500, 1, "A one-off container could not start; the message says why"),
  download_incomplete: row("transient", 502, 1, "A download was cut and could not be taken up again"),

  // Programming mistakes
  bug: row("bug", 500, 70, "A mistake in Tidemark itself; please report it"),
} as const satisfies Record<string, ErrorRow>;

export type ErrorCode = keyof typeof ERROR_TABLE;

export interface ErrorOptions {
  /** What the user or operator can do next: a sentence or a command. */
  readonly hint?: string;
  readonly cause?: unknown;
  /** For `invalid_fields`: field name to messages, as the API answers them. */
  readonly fields?: Readonly<Record<string, readonly string[]>>;
  /** Facts for programs, answered beside the message. Never a secret. */
  readonly details?: Readonly<Record<string, string | number | boolean>>;
}

/**
 * The one error class. Messages say operation, object and cause (`Cannot read manifest "x": checksum is A, expected B`), have no full stop and no
 * secret; values are quoted.
 */
export class TidemarkError extends Error {
  readonly code: ErrorCode;
  readonly hint: string | undefined;
  readonly fields: Readonly<Record<string, readonly string[]>> | undefined;
  readonly details: Readonly<Record<string, string | number | boolean>> | undefined;

  constructor(code: ErrorCode, message: string, options: ErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = "TidemarkError";
    this.code = code;
    this.hint = options.hint;
    this.fields = options.fields;
    this.details = options.details;
  }

  get kind(): ErrorKind {
    return ERROR_TABLE[this.code].kind;
  }
}

/**
 * Wraps anything thrown into a TidemarkError: ours pass unchanged, an abort becomes its reason, anything else is a `bug` whose cause is kept.
 */
export function asTidemarkError(thrown: unknown): TidemarkError {
  if (thrown instanceof TidemarkError) return thrown;
  if (thrown instanceof Error && thrown.name === "AbortError" && thrown.cause instanceof TidemarkError)
    return thrown.cause;
  const message = thrown instanceof Error ? thrown.message : String(thrown);
  return new TidemarkError("bug", `Unexpected failure: ${message}`, { cause: thrown });
}

export function isErrorCode(thrown: unknown, code: ErrorCode): thrown is TidemarkError {
  return thrown instanceof TidemarkError && thrown.code === code;
}

/** Code of an operating-system error (`ENOENT`, `EADDRINUSE`), undefined for anything else. */
export function systemErrorCode(thrown: unknown): string | undefined {
  if (!(thrown instanceof Error) || !("code" in thrown)) return undefined;
  return typeof thrown.code === "string" ? thrown.code : undefined;
}
