import { chown, copyFile, open, stat, truncate } from "node:fs/promises";
import { systemErrorCode } from "../core/errors.ts";
import { type ServerDefinition, logFile } from "./server-definition.ts";
import { modesFor } from "./server-files.ts";

/** What its log takes of a server. */
type LoggingServer = Pick<ServerDefinition, "folder" | "user">;

/** Two files of this size a server at most: days of an ordinary log, and no disk filled by a noisy one. */
const LOG_BYTES_MAX = 16 * 1024 * 1024;
/** What an error message quotes. */
const TAIL_LINES = 12;
const TAIL_BYTES_MAX = 8 * 1024;

/** Size of the log now; 0 where there is none. What follows is one start's own. */
export async function logPosition(server: LoggingServer): Promise<number> {
  return (await stat(logFile(server)).catch(() => undefined))?.size ?? 0;
}

/**
 * Opens the log for a server to write to; the caller closes it. Appending, so that the file may be cut while the server
 * runs.
 */
export async function openLog(server: LoggingServer): Promise<Awaited<ReturnType<typeof open>>> {
  await boundLog(server);
  const file = await open(logFile(server), "a", modesFor(server.user).file);
  if (server.user.isSwitchedFromRoot) await chown(logFile(server), 0, server.user.gid);
  return file;
}

/**
 * Keeps the log's size in bounds, also of a running server: past the limit it is copied to `postgresql.log.1` and
 * emptied. Lines written between copy and cut are lost.
 */
export async function boundLog(server: LoggingServer): Promise<void> {
  const path = logFile(server);
  if ((await logPosition(server)) <= LOG_BYTES_MAX) return;
  await copyFile(path, `${path}.1`);
  await truncate(path);
}

/** The last lines written after `position`, for an error message; empty where there are none. */
export async function logTail(server: LoggingServer, position = 0): Promise<string> {
  try {
    const file = await open(logFile(server), "r");
    try {
      const { size } = await file.stat();
      const from = Math.max(size < position ? 0 : position, size - TAIL_BYTES_MAX);
      const { buffer, bytesRead } = await file.read(Buffer.alloc(size - from), 0, size - from, from);
      return buffer.subarray(0, bytesRead).toString("utf8").trim().split("\n").slice(-TAIL_LINES).join("\n");
    } finally {
      await file.close();
    }
  } catch (error) {
    if (systemErrorCode(error) === "ENOENT") return "";
    throw error;
  }
}
