import { once } from "node:events";
import { open, realpath, rename, rm, stat } from "node:fs/promises";
import type { FileHandle } from "node:fs/promises";
import { join } from "node:path";
import { systemErrorCode, TidemarkError } from "../core/errors.ts";
import type { ArchiveSink } from "./archive-download.ts";
import type { OutputStream } from "./streams.ts";

/** A place for an archive: a file that appears under its name only when it is whole, or a stream. */
export interface DownloadTarget extends ArchiveSink {
  /** As the user wrote it; null for standard output. */
  readonly path: string | null;
  /** The archive is whole: gives it its name. */
  commit(): Promise<void>;
  /** Leaves nothing behind. Also after a commit, when it does nothing. */
  close(): Promise<void>;
}

/** The platform names archives; a name from elsewhere must not leave the folder. */
const SAFE_NAME = /^[A-Za-z0-9_][A-Za-z0-9._-]*$/;

/**
 * Opens what `--output` names: `-` is standard output, a folder takes the archive under its own name, a device or pipe is written as it is, any
 * other name is a file, which replaces one of that name. Undefined is the working folder.
 *
 * `usage` for a place that can't be written.
 */
export async function openDownloadTarget({
  output,
  fileName,
  stdout,
  signal,
}: {
  output: string | undefined;
  fileName: string;
  stdout: OutputStream;
  signal: AbortSignal;
}): Promise<DownloadTarget> {
  if (output === "-") return openStream(stdout, signal);
  if (!SAFE_NAME.test(fileName)) {
    throw new TidemarkError("reply_unreadable", `The platform gave the archive an unusable name: "${fileName}"`);
  }
  const path = await choosePath(output, fileName);
  try {
    const existing = await stat(path).catch(() => undefined);
    if (existing !== undefined && !existing.isFile()) return openDevice(path);
    // A link keeps pointing: what it points to is replaced.
    return await openFile(path, existing === undefined ? path : await realpath(path));
  } catch (error) {
    throw cannotWrite(path, error);
  }
}

async function choosePath(output: string | undefined, fileName: string): Promise<string> {
  if (output === undefined) return fileName;
  const isFolder = (await stat(output).catch(() => undefined))?.isDirectory() === true;
  return isFolder || output.endsWith("/") ? join(output, fileName) : output;
}

async function openFile(path: string, finalPath: string): Promise<DownloadTarget> {
  const part = `${finalPath}.part`;
  await rm(part, { force: true });
  // A backup holds everything that the database does: for its owner only.
  const file = await open(part, "wx", 0o600);
  let closed = false;
  const closeFile = async (): Promise<void> => {
    if (!closed) await file.close();
    closed = true;
  };
  let committed = false;
  let position = 0;
  return {
    path,
    async write(bytes) {
      await writeAll(file, { bytes, position, path });
      position += bytes.byteLength;
    },
    async restart() {
      await file.truncate(0);
      position = 0;
    },
    async commit() {
      try {
        await file.sync();
        await closeFile();
        await rename(part, finalPath);
        committed = true;
      } catch (error) {
        throw cannotWrite(path, error);
      }
    },
    async close() {
      await closeFile();
      if (!committed) await rm(part, { force: true });
    },
  };
}

async function openDevice(path: string): Promise<DownloadTarget> {
  const file = await open(path, "w");
  return {
    path,
    write: (bytes) => writeAll(file, { bytes, position: null, path }),
    restart: () => Promise.reject(cannotRestart()),
    commit: () => Promise.resolve(),
    close: () => file.close(),
  };
}

function openStream(stdout: OutputStream, signal: AbortSignal): DownloadTarget {
  if (stdout.isTTY === true) {
    throw new TidemarkError("usage", "An archive is nothing for a terminal", {
      hint: "Redirect it (--output - > FILE) or name a file: --output FILE",
    });
  }
  return {
    path: null,
    async write(bytes) {
      if (!stdout.write(bytes)) await once(stdout, "drain", { signal });
    },
    restart: () => Promise.reject(cannotRestart()),
    commit: () => Promise.resolve(),
    close: () => Promise.resolve(),
  };
}

/** `position` null writes behind what was written before: devices and pipes have no other place. */
async function writeAll(
  file: FileHandle,
  { bytes, position, path }: { bytes: Uint8Array; position: number | null; path: string },
): Promise<void> {
  try {
    let done = 0;
    while (done < bytes.byteLength) {
      const at = position === null ? null : position + done;
      done += (await file.write(bytes, done, bytes.byteLength - done, at)).bytesWritten;
    }
  } catch (error) {
    throw cannotWrite(path, error);
  }
}

function cannotRestart(): TidemarkError {
  return new TidemarkError(
    "object_corrupt",
    "The download was cut, and the archive starts anew behind what is written",
    {
      hint: "Download to a file: --output FILE",
    },
  );
}

function cannotWrite(path: string, error: unknown): unknown {
  const code = systemErrorCode(error);
  if (!(error instanceof Error) || code === undefined) return error;
  if (code === "ENOSPC" || code === "EDQUOT") {
    return new TidemarkError("disk_full", `Cannot write "${path}": no space left`, { cause: error });
  }
  const reason = code === "ENOENT" || code === "ENOTDIR" ? "its folder doesn't exist" : error.message;
  return new TidemarkError("usage", `Cannot write "${path}": ${reason}`, {
    hint: "Name another place with --output.",
    cause: error,
  });
}
