import { randomBytes } from "node:crypto";
import { availableParallelism } from "node:os";
import type pg from "pg";
import type { Clock } from "../core/clock.ts";
import { asTidemarkError, TidemarkError } from "../core/errors.ts";
import { withSession, type Connection } from "../postgres/connection.ts";
import { LOCK_POLL_MS, lockTimeout, watchLocks, type Blocker } from "../postgres/lock-watch.ts";
import type { ProgramPlace } from "../postgres/running-program.ts";
import { logicalManifestKey } from "../repository/layout.ts";
import {
  archiveName,
  readStoredArchive,
  storeLogicalArchive,
  verifyStoredArchive,
  type StoredArchive,
  type VerifiedArchive,
} from "../repository/logical-archive.ts";
import {
  LOGICAL_MANIFEST_VERSION,
  writeLogicalManifest,
  type LogicalManifest,
} from "../repository/logical-manifest.ts";
import type { Repository } from "../repository/repository.ts";
import type { ByteStream } from "../stream/byte-stream.ts";
import type { ParallelGzip } from "../stream/gzip.ts";
import { checkDump, type DumpContents } from "./logical-check.ts";
import { startDump } from "./logical-dump.ts";

/** A dump that waits for a lock makes others wait behind it; after this it gives way. */
export const LOCK_WAIT_TIMEOUT_MS = 30_000;

/**
 * Measured on text, JSON, numbers and program sources against `gzip -6`: level 5 in blocks of 1 MiB is 0.4% smaller to 1.8% larger at half the
 * processor time of level 6; level 4 is up to 5.9% larger; blocks of 4 MiB save 0.2%, at four times the memory.
 */
const GZIP_LEVEL = 5;
const GZIP_BLOCK_BYTES = 1024 * 1024;
/** Blocks beyond one a core keep the cores busy while a finished one is on its way to the store and the next is read. */
const GZIP_SPARE_BLOCKS = 2;

/**
 * pg_dump's own limit is this much longer than ours: the watch ends a dump that waits too long, since it knows who is in the way. Only when nobody could
 * watch does pg_dump end by itself. Generous, since a crowded machine looks late.
 */
const LOCK_WATCH_SLACK_MS = 10_000;

/** As many names of unlogged tables as a message can hold. */
const UNLOGGED_TABLES_MAX = 50;

/** How the session of every attempt at this backup begins to name itself in pg_stat_activity. */
export function dumpSessionPrefix(backupId: string): string {
  return `tidemark-dump-${backupId}-`;
}

export interface LogicalBackupRequest extends ProgramPlace {
  readonly repository: Repository;
  readonly databaseId: string;
  /** 24 hex digits. May be used again after a failure, not after a success. */
  readonly backupId: string;
  readonly resourceId: string;
  readonly method: LogicalManifest["method"];
  /** The database's recipient, and any other who shall be able to open the backup. */
  readonly recipients: readonly string[];
  readonly connection: Connection;
  /** Who may look at locks and other sessions' queries; `connection` when absent. */
  readonly watchConnection?: Connection;
  /** How long the dump may wait for a lock; `LOCK_WAIT_TIMEOUT_MS` when absent. */
  readonly lockWaitTimeoutMs?: number;
  readonly clock: Clock;
}

export interface LogicalBackupProgress {
  /** `dumping` counts bytes of the dump, `verifying` bytes of the stored archive, `checking` nothing. */
  readonly phase: "dumping" | "verifying" | "checking";
  readonly bytes: number;
  /** Known while verifying. */
  readonly totalBytes?: number;
}

export interface LogicalBackupCall {
  /** Ends pg_dump and everything else; the call rejects with the signal's reason. */
  readonly signal?: AbortSignal;
  /** Called for each chunk, so some thousand times a second: keep the last value and publish that on a timer. */
  readonly onProgress?: (progress: LogicalBackupProgress) => void;
}

/**
 * Takes one logical backup: pg_dump, compressed on all cores and encrypted, into the repository in one pass; read back and compared; its table of
 * contents read by pg_restore; then committed by its manifest. Memory, whatever the size: `2 * (cores + 2)` MiB of blocks
 * and what the garbage collector leaves lying for a while; under 200 MiB in all on two cores.
 *
 * @returns the manifest as committed.
 * @throws `dump_failed`, `lock_timeout` (names the query that holds the lock), `server_not_running`, `programs_missing`, `object_corrupt` when the
 *   store gives back other bytes, `object_exists` when this backup is committed already, and what the store throws. No backup is visible then; an
 *   archive that could not be removed is left to `sweepLogicalOrphans`.
 */
export async function captureLogicalBackup(
  request: LogicalBackupRequest,
  call: LogicalBackupCall = {},
): Promise<LogicalManifest> {
  await refuseCommitted(request, call.signal);
  const startedAt = request.clock.now();
  const session = sessionCall(call.signal);
  const facts = await withSession(request.watchConnection ?? request.connection, session, readFacts);
  const warnings = [...facts.warnings];
  const archive = await storeDump(request, { startedAt, warnings }, call);
  try {
    const found = await examine(request, archive, call);
    const manifest: LogicalManifest = {
      format: "tidemark-logical",
      version: LOGICAL_MANIFEST_VERSION,
      backupId: request.backupId,
      databaseId: request.databaseId,
      resourceId: request.resourceId,
      method: request.method,
      startedAt: startedAt.toISOString(),
      finishedAt: request.clock.now().toISOString(),
      postgresqlVersion: facts.version,
      archive: { ...describeArchive(archive), ...found.hashes },
      dump: { sizeBytes: archive.dumpSizeBytes, ...found.contents },
      warnings,
    };
    await writeLogicalManifest(request.repository, manifest, request.recipients, abortable(call.signal));
    return manifest;
  } catch (error) {
    await discard(request, archive);
    throw error;
  }
}

/** Before an hour of dumping, not after it; the write of the manifest refuses once more. */
async function refuseCommitted(request: LogicalBackupRequest, signal: AbortSignal | undefined): Promise<void> {
  const key = logicalManifestKey(request.databaseId, request.backupId);
  if ((await request.repository.store.head(key, abortable(signal))) === undefined) return;
  throw new TidemarkError("object_exists", `Cannot take backup "${request.backupId}": it is committed already`, {
    hint: "Take another backup, which gets an id of its own",
  });
}

/** Reads the stored archive back, then lets pg_restore read the dump in it. */
async function examine(
  request: LogicalBackupRequest,
  archive: StoredArchive,
  call: LogicalBackupCall,
): Promise<{ readonly hashes: VerifiedArchive; readonly contents: DumpContents }> {
  const hashes = await verifyStoredArchive(request.repository, archive, {
    ...abortable(call.signal),
    onBytes: (bytes) => call.onProgress?.({ phase: "verifying", bytes, totalBytes: archive.storedSizeBytes }),
  });
  call.onProgress?.({ phase: "checking", bytes: 0 });
  const dump = readStoredArchive(request.repository, archive).readDump(call.signal);
  return { hashes, contents: await checkDump(request, dump, call.signal) };
}

interface ServerFacts {
  readonly version: string;
  readonly warnings: readonly string[];
}

async function readFacts(client: pg.Client): Promise<ServerFacts> {
  const { rows } = await client.query<{ version: string; standby: boolean; unlogged: string[] }>(
    `SELECT split_part(current_setting('server_version'), ' ', 1) AS version, pg_is_in_recovery() AS standby,
       ARRAY(SELECT oid::regclass::text FROM pg_class WHERE relpersistence = 'u' AND relkind = 'r' ORDER BY 1
         LIMIT ${UNLOGGED_TABLES_MAX}) AS unlogged`,
  );
  const { version = "", standby = false, unlogged = [] } = rows[0] ?? {};
  const leftOut = standby && unlogged.length > 0;
  return {
    version,
    warnings: leftOut ? [`Taken from a standby, so without the rows of unlogged tables: ${unlogged.join(", ")}`] : [],
  };
}

/** Runs pg_dump into the store, with a watch on the locks it waits for. */
async function storeDump(
  request: LogicalBackupRequest,
  run: { readonly startedAt: Date; readonly warnings: string[] },
  call: LogicalBackupCall,
): Promise<StoredArchive> {
  const limitMs = request.lockWaitTimeoutMs ?? LOCK_WAIT_TIMEOUT_MS;
  const applicationName = `${dumpSessionPrefix(request.backupId)}${randomBytes(4).toString("hex")}`;
  const giveUp = new AbortController();
  const signal = AbortSignal.any([giveUp.signal, ...(call.signal === undefined ? [] : [call.signal])]);
  signal.throwIfAborted();

  let blocker: Blocker | undefined;
  const watchEnd = new AbortController();
  const watch = watchLocks({
    connection: request.watchConnection ?? request.connection,
    applicationName,
    clock: request.clock,
    signal: watchEnd.signal,
    onLook(found) {
      blocker = found;
      if (found !== undefined && found.waitedMs >= limitMs) giveUp.abort(lockTimeout("dump", found, limitMs));
    },
  }).catch((error: unknown) => {
    // The dump doesn't need the watch; without it a lock wait still ends, by pg_dump's own limit, but unexplained.
    run.warnings.push(`Lock waits were not watched: ${asTidemarkError(error).message}`);
  });

  const dump = startDump({ ...request, applicationName, lockWaitTimeoutMs: limitMs + LOCK_WATCH_SLACK_MS });
  const onAbort = (): void => void dump.close();
  signal.addEventListener("abort", onAbort, { once: true });
  try {
    return await storeLogicalArchive(
      request.repository,
      {
        databaseId: request.databaseId,
        backupId: request.backupId,
        name: archiveName(run.startedAt, request.resourceId),
        startedAt: run.startedAt,
        dump: counted(dump.bytes, call.onProgress),
        recipients: request.recipients,
        compression: compression(),
      },
      { signal },
    );
  } catch (error) {
    signal.throwIfAborted();
    throw explained(error, blocker, limitMs);
  } finally {
    signal.removeEventListener("abort", onAbort);
    await dump.close();
    watchEnd.abort();
    await watch;
  }
}

function compression(): ParallelGzip {
  return {
    level: GZIP_LEVEL,
    blockSizeBytes: GZIP_BLOCK_BYTES,
    inFlight: availableParallelism() + GZIP_SPARE_BLOCKS,
  };
}

async function* counted(dump: ByteStream, onProgress: LogicalBackupCall["onProgress"]): AsyncGenerator<Uint8Array> {
  let bytes = 0;
  for await (const chunk of dump) {
    bytes += chunk.length;
    onProgress?.({ phase: "dumping", bytes });
    yield chunk;
  }
}

/** A dump that failed while it was waiting, for as long as it may, failed because of that. */
function explained(error: unknown, blocker: Blocker | undefined, limitMs: number): unknown {
  const waitedFully = blocker !== undefined && blocker.waitedMs + 2 * LOCK_POLL_MS >= limitMs;
  const failure: TidemarkError = asTidemarkError(error);
  return failure.code === "dump_failed" && waitedFully ? lockTimeout("dump", blocker, limitMs) : error;
}

function describeArchive(archive: StoredArchive): Omit<LogicalManifest["archive"], "sha256" | "storedSha256"> {
  const { key, fileName, sizeBytes, storedSizeBytes } = archive;
  return { key, fileName, sizeBytes, storedSizeBytes };
}

/**
 * Removes an archive unless a manifest may name it: a store can carry out a write and still answer with an error. Best effort: what stays is invisible
 * without a manifest, and the sweep, which reads manifests, takes it a day later. The failure that led here is the one to report.
 */
async function discard(request: LogicalBackupRequest, archive: StoredArchive): Promise<void> {
  const { store } = request.repository;
  try {
    const manifest = await store.head(logicalManifestKey(request.databaseId, request.backupId));
    if (manifest === undefined) await store.delete(archive.key);
  } catch {
    return; // left to the sweep
  }
}

function abortable(signal: AbortSignal | undefined): { readonly signal?: AbortSignal } {
  return signal === undefined ? {} : { signal };
}

function sessionCall(signal: AbortSignal | undefined): {
  readonly applicationName: string;
  readonly signal?: AbortSignal;
} {
  return { applicationName: "tidemark-backup", ...abortable(signal) };
}
