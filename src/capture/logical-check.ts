import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { systemErrorCode, TidemarkError } from "../core/errors.ts";
import { programFailure, startProgram, type ProgramPlace, type RunningProgram } from "../postgres/running-program.ts";
import type { ByteStream } from "../stream/byte-stream.ts";

/** What pg_restore found in a dump. */
export interface DumpContents {
  /** Entries of its table of contents. */
  readonly entries: number;
  /** Tables whose rows are in it. */
  readonly tablesWithData: number;
}

/** `pg_restore --list` with LC_ALL=C: a comment with the number of entries, then a line for each that would be restored. */
const ENTRIES_LINE = /^;\s+TOC Entries: (\d+)$/;
const TABLE_DATA_LINE = /^\d+; \d+ \d+ TABLE DATA /;

/** pg_restore stops reading when it has seen the table of contents: what a write to it then says. */
const CLOSED_EARLY = new Set(["EPIPE", "ECONNRESET", "ERR_STREAM_PREMATURE_CLOSE", "ERR_STREAM_DESTROYED"]);

/**
 * Lets pg_restore read the table of contents of a dump.
 *
 * @throws `dump_failed` when it doesn't take it for a dump or finds nothing in it, `programs_missing`, and what reading the dump throws.
 */
export async function checkDump(place: ProgramPlace, dump: ByteStream, signal?: AbortSignal): Promise<DumpContents> {
  const program = startProgram(place, "pg_restore", { args: ["--list"], env: {}, takesInput: true });
  const onAbort = (): void => void program.close();
  signal?.addEventListener("abort", onAbort, { once: true });
  try {
    const [contents] = await Promise.all([readList(program), feed(program, dump)]);
    const end = await program.ended;
    signal?.throwIfAborted();
    if (end.exitCode !== 0) throw programFailure("dump_failed", { name: "pg_restore", place, program, end });
    if (contents.entries === 0)
      throw new TidemarkError("dump_failed", "pg_restore finds no entries in the stored dump", {
        hint: "Try the backup again; if this comes back, run pg_dump by hand and look at its output",
      });
    return contents;
  } finally {
    signal?.removeEventListener("abort", onAbort);
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

async function readList({ child }: RunningProgram): Promise<DumpContents> {
  let entries = 0;
  let tablesWithData = 0;
  for await (const line of lines(child.stdout)) {
    const counted = ENTRIES_LINE.exec(line)?.[1];
    if (counted !== undefined) entries = Number(counted);
    if (TABLE_DATA_LINE.test(line)) tablesWithData++;
  }
  return { entries, tablesWithData };
}

/** A list has a line for each entry; names are at most 63 bytes, so lines are short. */
async function* lines(output: Readable | null): AsyncGenerator<string> {
  let held = "";
  for await (const text of output?.setEncoding("utf8") ?? []) {
    const parts = (held + String(text)).split("\n");
    held = parts.pop() ?? "";
    yield* parts;
  }
  if (held !== "") yield held;
}
