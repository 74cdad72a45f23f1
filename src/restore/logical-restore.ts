import { chown, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { z } from "zod";
import type { Clock } from "../core/clock.ts";
import { TidemarkError, systemErrorCode } from "../core/errors.ts";
import { type Connection, libpqEnvironment, withSession } from "../postgres/connection.ts";
import { lockTimeout, watchLocks } from "../postgres/lock-watch.ts";
import { type ProgramPlace, type RunningProgram, programFailure, startProgram } from "../postgres/running-program.ts";
import type { ByteStream } from "../stream/byte-stream.ts";
import { type DumpEntry, RestoreLog, type RestoredObject, extensionOf, parseDumpList } from "./logical-report.ts";

/** A restore that waits for a lock makes the application's queries wait behind it; after this it gives way. */
export const RESTORE_LOCK_WAIT_TIMEOUT_MS = 60_000;

/** Objects belong to whoever restores, who may not be able to give rights or comment on what others own. */
const WHAT_TO_RESTORE = ["--no-owner", "--no-privileges", "--no-comments"];
const HOW_TO_RESTORE = [
  // Repeating it gives the same: what the dump has is dropped first.
  "--clean",
  "--if-exists",
  // Else rows are added to a table that is in use and couldn't be dropped.
  "--no-data-for-failed-tables",
  "--verbose",
  "--no-password",
];
/** pg_restore closes its input when it has seen the table of contents, or has failed: what a write to it then says. */
const CLOSED_EARLY = new Set(["EPIPE", "ECONNRESET", "ERR_STREAM_PREMATURE_CLOSE", "ERR_STREAM_DESTROYED"]);
const LIST_FILE_MODE = 0o600;
const SESSION = "tidemark restore";

export interface LogicalRestoreRequest extends ProgramPlace {
  /** As the role whose the objects shall be: a database's owner. */
  readonly connection: Connection;
  /** For looking at locks; a role that may see others' queries. */
  readonly watchConnection: Connection;
  /** Shown in pg_stat_activity; at most 63 bytes, one for each attempt. */
  readonly applicationName: string;
  /** A dump in custom format from its first byte. Read twice: once for its table of contents alone. */
  readonly readDump: (signal: AbortSignal) => ByteStream;
  readonly lockWaitTimeoutMs?: number;
  readonly clock: Clock;
}

export interface LogicalRestoreReport {
  /** One for each entry of the dump, in its order. */
  readonly objects: readonly RestoredObject[];
  /** What ended pg_restore before its end; null when it came to its end, with failures or without. */
  readonly endedEarly: string | null;
}

/**
 * Restores a dump into a database by pg_restore, object by object: one that fails doesn't keep the others from being restored. What the dump has is dropped
 * and made anew; what it doesn't have stays. An extension that is there is left as it is. It may be repeated after any interruption.
 *
 * Memory: one chunk of the dump, and the names and failures of its objects.
 *
 * @param call.signal ends pg_restore; what it has restored so far stays
 * @param call.onProgress bytes of the dump read by pg_restore
 * @returns what became of every object; failures are not thrown
 * @throws `lock_timeout` naming who is in the way, `server_not_running` when the server stops meanwhile, `program_failed`, `programs_missing`, and what
 *   reading the dump throws
 */
export async function restoreLogicalDump(
  request: LogicalRestoreRequest,
  call: { readonly signal: AbortSignal; readonly onProgress?: (bytes: number) => void },
): Promise<LogicalRestoreReport> {
  const entries = await listEntries(request, call.signal);
  const facts = await readTargetFacts(request.connection, call.signal);
  const isKept = (entry: DumpEntry): boolean => facts.extensions.has(extensionOf(entry) ?? "");
  const kept = entries.filter(isKept);
  const wanted = entries.filter((entry) => !isKept(entry));
  const folder = await mkdtemp(join(tmpdir(), "tidemark-restore-"));
  try {
    const listFile = join(folder, "entries");
    await writeFile(listFile, wanted.map(({ id }) => `${id};\n`).join(""), { mode: LIST_FILE_MODE });
    if (request.runAs !== undefined)
      for (const path of [listFile, folder]) await chown(path, request.runAs.uid, request.runAs.gid);
    const { log, exitCode } = await runRestore(request, listFile, call);
    const isWhole = exitCode === 0 || log.hasEnded;
    // A server that went away fails every object after it: that is one failure, and another attempt mends it.
    if (exitCode !== 0) await requireSameServer(request.connection, facts.startedAt, call.signal);
    return { objects: log.report(wanted, kept, isWhole), endedEarly: isWhole ? null : log.lastError };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function listEntries(request: LogicalRestoreRequest, signal: AbortSignal): Promise<readonly DumpEntry[]> {
  const program = startProgram(request, "pg_restore", {
    args: ["--list", ...WHAT_TO_RESTORE],
    env: {},
    takesInput: true,
  });
  return await ending(program, signal, async () => {
    const lines: string[] = [];
    const reading = (async () => {
      if (program.child.stdout === null) return;
      for await (const line of createInterface({ input: program.child.stdout })) lines.push(line);
    })();
    await Promise.all([reading, feed(program, request.readDump(signal))]);
    const end = await program.ended;
    signal.throwIfAborted();
    if (end.exitCode !== 0)
      throw programFailure("program_failed", { name: "pg_restore", place: request, program, end });
    return parseDumpList(lines);
  });
}

const factsRow = z.object({ started_at: z.string(), extensions: z.array(z.string()) });

async function readTargetFacts(
  connection: Connection,
  signal: AbortSignal,
): Promise<{ readonly startedAt: string; readonly extensions: ReadonlySet<string> }> {
  return await withSession(connection, { applicationName: SESSION, signal }, async (client) => {
    const { rows } = await client.query(
      `select pg_postmaster_start_time()::text as started_at, array(select extname::text from pg_extension) as extensions`,
    );
    const { started_at: startedAt, extensions } = factsRow.parse(rows[0]);
    return { startedAt, extensions: new Set(extensions) };
  });
}

async function requireSameServer(connection: Connection, startedAt: string, signal: AbortSignal): Promise<void> {
  const now = await readTargetFacts(connection, signal);
  if (now.startedAt === startedAt) return;
  throw new TidemarkError("server_not_running", "The database server stopped while the dump was restored", {
    hint: "The restore begins anew by itself",
  });
}

async function runRestore(
  request: LogicalRestoreRequest,
  listFile: string,
  call: { readonly signal: AbortSignal; readonly onProgress?: (bytes: number) => void },
): Promise<{ readonly log: RestoreLog; readonly exitCode: number | null }> {
  const limitMs = request.lockWaitTimeoutMs ?? RESTORE_LOCK_WAIT_TIMEOUT_MS;
  const giveUp = new AbortController();
  const signal = AbortSignal.any([call.signal, giveUp.signal]);
  const { connection, clock, applicationName } = request;
  const program = startProgram(request, "pg_restore", {
    args: [...HOW_TO_RESTORE, ...WHAT_TO_RESTORE, `--use-list=${listFile}`, "--dbname", connection.database],
    env: { ...libpqEnvironment(connection), PGAPPNAME: applicationName },
    takesInput: true,
  });
  const watchEnd = new AbortController();
  const watch = watchLocks({
    connection: request.watchConnection,
    applicationName,
    clock,
    signal: watchEnd.signal,
    onLook(blocker) {
      if (blocker !== undefined && blocker.waitedMs >= limitMs) giveUp.abort(lockTimeout("restore", blocker, limitMs));
    },
  }).catch(() => undefined); // Without it a wait for a lock ends by cancelling the restore only.
  const log = new RestoreLog();
  try {
    return await ending(program, signal, async () => {
      const reading = (async () => {
        if (program.child.stderr === null) return;
        for await (const line of createInterface({ input: program.child.stderr })) log.push(line);
      })();
      program.child.stdout?.resume();
      await Promise.all([reading, feed(program, counted(request.readDump(signal), call.onProgress))]);
      const end = await program.ended;
      signal.throwIfAborted();
      if (end.startError !== undefined || end.signal !== null)
        throw programFailure("program_failed", { name: "pg_restore", place: request, program, end });
      return { log, exitCode: end.exitCode };
    });
  } finally {
    watchEnd.abort();
    await watch;
  }
}

/** Runs `work` with a program that is ended when the signal aborts, and in any case afterwards; the signal's reason wins over how the program took it. */
async function ending<Result>(
  program: RunningProgram,
  signal: AbortSignal,
  work: () => Promise<Result>,
): Promise<Result> {
  const onAbort = (): void => void program.close();
  signal.addEventListener("abort", onAbort, { once: true });
  if (signal.aborted) onAbort();
  try {
    return await work();
  } catch (error) {
    signal.throwIfAborted();
    throw error;
  } finally {
    signal.removeEventListener("abort", onAbort);
    await program.close();
  }
}

async function feed({ child }: RunningProgram, dump: ByteStream): Promise<void> {
  if (child.stdin === null) return;
  try {
    await pipeline(Readable.from(dump), child.stdin);
  } catch (error) {
    if (!CLOSED_EARLY.has(systemErrorCode(error) ?? "")) throw error;
  }
}

async function* counted(
  dump: ByteStream,
  onProgress: ((bytes: number) => void) | undefined,
): AsyncGenerator<Uint8Array> {
  let bytes = 0;
  for await (const chunk of dump) {
    yield chunk;
    bytes += chunk.length;
    onProgress?.(bytes);
  }
}
