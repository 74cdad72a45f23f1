import { createReadStream } from "node:fs";
import { open, stat } from "node:fs/promises";
import { createInterface } from "node:readline";
import type { Clock } from "../core/clock.ts";
import { systemErrorCode } from "../core/errors.ts";

/** What one look at the end of a log reads at most: some ten thousand lines. */
const TAIL_BYTES_MAX = 4 * 1024 * 1024;
/** What one look at what is new takes into memory; a log that grows faster is read in several. */
const NEWS_BYTES_MAX = 256 * 1024;
/** A line that is longer is cut: a statement of megabytes isn't held in memory for the sake of its end. */
const LINE_CHARS_MAX = 256 * 1024;
const POLL_INTERVAL_MS = 500;

/**
 * The last whole lines of a log and, where it has too few, of the file that it was cut from (`.1`). Without their ends; fewer where there are no more.
 *
 * @param count how many at most.
 */
export async function lastLines(path: string, count: number): Promise<string[]> {
  const newest = await linesAtEnd(path);
  if (newest.length >= count) return newest.slice(-count);
  return [...(await linesAtEnd(`${path}.1`)), ...newest].slice(-count);
}

/** Lines that are written to a log from now on, also when it is cut meanwhile. Ends with the signal. */
export async function* followLines(
  path: string,
  { clock, signal }: { readonly clock: Clock; readonly signal: AbortSignal },
): AsyncGenerator<string> {
  let offset = await sizeOf(path);
  const decoder = new TextDecoder();
  let rest = "";
  while (!signal.aborted) {
    const size = await sizeOf(path);
    // Cut: what is there now is new.
    if (size < offset) offset = 0;
    if (size > offset) {
      const bytes = await readBytes(path, { offset, lengthBytes: Math.min(size - offset, NEWS_BYTES_MAX) });
      offset += bytes.byteLength;
      const lines = (rest + decoder.decode(bytes, { stream: true })).split("\n");
      rest = (lines.pop() ?? "").slice(0, LINE_CHARS_MAX);
      yield* lines;
      if (bytes.byteLength > 0) continue;
    }
    // Its only rejection is the signal, which the condition sees.
    await clock.sleep(POLL_INTERVAL_MS, signal).catch(() => undefined);
  }
}

/** A log that was set aside because it was full. */
export interface LogArchive {
  readonly path: string;
  readonly sizeBytes: number;
  /** When it was last written to. */
  readonly endedAt: Date;
}

/** What was set aside of this log, newest first: one file at most. */
export async function listLogArchives(path: string): Promise<LogArchive[]> {
  const archive = `${path}.1`;
  try {
    const { size, mtime } = await stat(archive);
    return size === 0 ? [] : [{ path: archive, sizeBytes: size, endedAt: mtime }];
  } catch (error) {
    if (systemErrorCode(error) === "ENOENT") return [];
    throw error;
  }
}

/** All lines of a log, without their ends, in a memory that doesn't grow with the file. */
export async function* readLines(path: string): AsyncGenerator<string> {
  const input = createReadStream(path, "utf8");
  try {
    for await (const line of createInterface({ input, crlfDelay: 0 })) yield line.slice(0, LINE_CHARS_MAX);
  } finally {
    input.destroy();
  }
}

async function linesAtEnd(path: string): Promise<string[]> {
  const size = await sizeOf(path);
  const offset = Math.max(0, size - TAIL_BYTES_MAX);
  const bytes = await readBytes(path, { offset, lengthBytes: size - offset });
  const lines = Buffer.from(bytes).toString("utf8").split("\n");
  // The last is unfinished, or nothing behind the last end; the first is half a line where the file begins before it.
  return lines.slice(offset > 0 ? 1 : 0, -1);
}

async function sizeOf(path: string): Promise<number> {
  try {
    return (await stat(path)).size;
  } catch (error) {
    if (systemErrorCode(error) === "ENOENT") return 0;
    throw error;
  }
}

async function readBytes(
  path: string,
  { offset, lengthBytes }: { readonly offset: number; readonly lengthBytes: number },
): Promise<Uint8Array> {
  if (lengthBytes === 0) return new Uint8Array();
  const file = await open(path, "r");
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(lengthBytes), 0, lengthBytes, offset);
    return buffer.subarray(0, bytesRead);
  } finally {
    await file.close();
  }
}
