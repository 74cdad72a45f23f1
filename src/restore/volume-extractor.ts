import { chmodSync, chownSync, closeSync, fchownSync, mkdirSync, openSync, writeSync } from "node:fs";
import { dirname, join } from "node:path";
import { TidemarkError, systemErrorCode } from "../core/errors.ts";
import { crc32c } from "../postgres/crc32c.ts";
import { type TarEntry, TarSplitter } from "../postgres/tar-splitter.ts";
import type { FileOwner } from "./owned-files.ts";

/** Folders are made with this until their own entry tells: PostgreSQL refuses a data folder that others can read. */
const FOLDER_MODE = 0o700;

export interface ExtractOptions {
  /** The folder that paths are relative to; it exists. */
  readonly folder: string;
  /** Who shall own the files, when root restores for somebody else. */
  readonly owner?: FileOwner | undefined;
  /** Called when a file was written whole: its path as the archive has it, and the CRC-32C of its bytes. */
  readonly onFile?: (file: ExtractedFile) => void;
}

export interface ExtractedFile {
  readonly path: Uint8Array;
  readonly sizeBytes: number;
  readonly crc32c: number;
}

/**
 * Extracts one volume of a base backup, entry by entry, and returns from each call when everything is written: for a thread of its own. Keeps nothing of what
 * it is given.
 */
export class VolumeExtractor {
  readonly #options: ExtractOptions;
  readonly #splitter: TarSplitter;
  readonly #knownFolders = new Set<string>();
  #file: number | undefined;
  #entry: TarEntry | undefined;
  #crc = 0;

  constructor(options: ExtractOptions) {
    this.#options = options;
    this.#knownFolders.add(options.folder);
    this.#splitter = new TarSplitter({
      entry: (entry) => this.#begin(entry),
      data: (bytes) => this.#write(bytes),
      end: () => this.#end(),
    });
  }

  /**
   * @param tar the next bytes of the plain archive
   * @throws `object_corrupt` when the archive is damaged or leads out of the folder, `disk_full`
   */
  push(tar: Buffer): void {
    try {
      this.#splitter.push(tar);
    } catch (error) {
      throw this.#explained(error);
    }
  }

  /** @throws as `push` */
  finish(): void {
    this.#splitter.finish();
  }

  /** Lets an open file go; for an extraction that ends early, too. May be called twice. */
  close(): void {
    const file = this.#file;
    this.#file = undefined;
    if (file !== undefined) closeSync(file);
  }

  #begin(entry: TarEntry): void {
    const path = join(this.#options.folder, safePath(entry.path));
    const { owner } = this.#options;
    this.#entry = entry;
    this.#crc = 0;
    if (entry.type === "folder") {
      this.#makeFolder(path);
      chmodSync(path, entry.mode);
    } else if (entry.type === "file") {
      this.#makeFolder(dirname(path));
      this.#file = openSync(path, "w", entry.mode);
      if (owner !== undefined) fchownSync(this.#file, owner.uid, owner.gid);
    } else throw damaged(`"${path}" is a symbolic link`);
  }

  #write(bytes: Buffer): void {
    if (this.#file === undefined) return;
    if (this.#options.onFile !== undefined) this.#crc = crc32c(bytes, this.#crc);
    for (let from = 0; from < bytes.length;) from += writeSync(this.#file, bytes, from);
  }

  #end(): void {
    this.close();
    const entry = this.#entry;
    if (entry?.type !== "file") return;
    this.#options.onFile?.({ path: entry.path, sizeBytes: entry.sizeBytes, crc32c: this.#crc });
  }

  /** Makes missing parents too: an archive's folders come last, in its last volume. */
  #makeFolder(path: string): void {
    if (this.#knownFolders.has(path)) return;
    this.#makeFolder(dirname(path));
    const { owner } = this.#options;
    try {
      mkdirSync(path, { mode: FOLDER_MODE });
      if (owner !== undefined) chownSync(path, owner.uid, owner.gid);
    } catch (error) {
      // Another volume made it meanwhile.
      if (systemErrorCode(error) !== "EEXIST") throw error;
    }
    this.#knownFolders.add(path);
  }

  #explained(error: unknown): unknown {
    if (systemErrorCode(error) !== "ENOSPC") return error;
    return new TidemarkError("disk_full", `Cannot restore into "${this.#options.folder}": the disk is full`, {
      cause: error,
    });
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
