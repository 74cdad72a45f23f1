import { type FileHandle, chmod, chown, mkdir, open } from "node:fs/promises";
import { dirname, join } from "node:path";
import { TidemarkError, systemErrorCode } from "../core/errors.ts";
import { crc32c } from "../postgres/crc32c.ts";
import { type TarEntry, TarSplitter } from "../postgres/tar-splitter.ts";
import type { ByteStream } from "../stream/byte-stream.ts";

/** Folders are made with this until their own entry tells: PostgreSQL refuses a data folder that others can read. */
const FOLDER_MODE = 0o700;

export interface FileOwner {
  readonly uid: number;
  readonly gid: number;
}

export interface ExtractOptions {
  /** The folder that paths are relative to; it exists. */
  readonly folder: string;
  /** Who shall own the files, when root restores for somebody else. */
  readonly owner?: FileOwner | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly onBytes?: (bytes: number) => void;
  /** Called when a file was written whole: its path as the archive has it, and the CRC-32C of its bytes. */
  readonly onFile?: (file: ExtractedFile) => void;
}

export interface ExtractedFile {
  readonly path: Buffer;
  readonly sizeBytes: number;
  readonly crc32c: number;
}

export interface ExtractedVolume {
  readonly fileCount: number;
  readonly dataBytes: number;
}

type Step = { readonly entry: TarEntry } | { readonly bytes: Buffer } | { readonly isEnd: true };

/**
 * Extracts one volume of a base backup. Memory: what the source yields at once.
 *
 * @param tar the plain archive
 * @throws `object_corrupt` when the archive is damaged or leads out of the folder, `disk_full`, and what the source throws
 */
export async function extractVolume(tar: ByteStream, options: ExtractOptions): Promise<ExtractedVolume> {
  const writer = new VolumeWriter(options);
  let steps: Step[] = [];
  const splitter = new TarSplitter({
    entry: (entry) => void steps.push({ entry }),
    data: (bytes) => void steps.push({ bytes }),
    end: () => void steps.push({ isEnd: true }),
  });
  try {
    for await (const chunk of tar) {
      options.signal?.throwIfAborted();
      splitter.push(Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength));
      for (const step of steps) await writer.take(step);
      steps = [];
      options.onBytes?.(chunk.length);
    }
    splitter.finish();
    return writer.done;
  } catch (error) {
    if (systemErrorCode(error) === "ENOSPC")
      throw new TidemarkError("disk_full", `Cannot restore into "${options.folder}": the disk is full`, {
        cause: error,
      });
    throw error;
  } finally {
    await writer.close();
  }
}

/** Writes entries one after the other. */
class VolumeWriter {
  readonly #options: ExtractOptions;
  readonly #knownFolders = new Set<string>();
  #file: FileHandle | undefined;
  #entry: TarEntry | undefined;
  #crc = 0;
  #fileCount = 0;
  #dataBytes = 0;

  constructor(options: ExtractOptions) {
    this.#options = options;
    this.#knownFolders.add(options.folder);
  }

  get done(): ExtractedVolume {
    return { fileCount: this.#fileCount, dataBytes: this.#dataBytes };
  }

  async take(step: Step): Promise<void> {
    if ("entry" in step) await this.#begin(step.entry);
    else if ("bytes" in step) await this.#write(step.bytes);
    else await this.#end();
  }

  async close(): Promise<void> {
    const file = this.#file;
    this.#file = undefined;
    await file?.close();
  }

  async #begin(entry: TarEntry): Promise<void> {
    const path = join(this.#options.folder, safePath(entry.path));
    this.#entry = entry;
    this.#crc = 0;
    if (entry.type === "folder") {
      await this.#makeFolder(path);
      await chmod(path, entry.mode);
    } else if (entry.type === "file") {
      await this.#makeFolder(dirname(path));
      this.#file = await open(path, "w", entry.mode);
      await this.#own((owner) => this.#file?.chown(owner.uid, owner.gid));
      this.#fileCount += 1;
    } else throw damaged(`"${path}" is a symbolic link`);
  }

  async #end(): Promise<void> {
    await this.close();
    const entry = this.#entry;
    if (entry?.type !== "file") return;
    this.#options.onFile?.({ path: entry.path, sizeBytes: entry.sizeBytes, crc32c: this.#crc });
  }

  async #write(bytes: Buffer): Promise<void> {
    if (this.#options.onFile !== undefined) this.#crc = crc32c(bytes, this.#crc);
    let from = 0;
    while (from < bytes.length) from += (await this.#file?.write(bytes, from))?.bytesWritten ?? bytes.length;
    this.#dataBytes += bytes.length;
  }

  /** Makes missing parents too: an archive's folders come last, in its last volume. */
  async #makeFolder(path: string): Promise<void> {
    if (this.#knownFolders.has(path)) return;
    await this.#makeFolder(dirname(path));
    try {
      await mkdir(path, { mode: FOLDER_MODE });
      await this.#own((owner) => chown(path, owner.uid, owner.gid));
    } catch (error) {
      // Another volume made it meanwhile.
      if (systemErrorCode(error) !== "EEXIST") throw error;
    }
    this.#knownFolders.add(path);
  }

  async #own(change: (owner: FileOwner) => Promise<void> | undefined): Promise<void> {
    if (this.#options.owner !== undefined) await change(this.#options.owner);
  }
}

/** File names are bytes; Node's paths are UTF-8, in which names of a cluster come back as they were unless they are no text at all. */
function safePath(path: Buffer): string {
  const text = path.toString("utf8");
  const isSafe = !text.startsWith("/") && !text.split("/").includes("..") && text !== "";
  if (!isSafe || !Buffer.from(text, "utf8").equals(path)) throw damaged(`"${text}" is no path of a data folder`);
  return text;
}

function damaged(how: string): TidemarkError {
  return new TidemarkError("object_corrupt", `Cannot restore a volume: ${how}`);
}
