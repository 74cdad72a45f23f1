import { type Hash, createHash } from "node:crypto";
import { TidemarkError } from "../core/errors.ts";
import { type Lsn, type TimelineId, parseLsn, toTimelineId } from "../core/lsn.ts";

/** The longest path has 1,024 bytes, which a line holds as hex with a few fields beside. */
const LINE_BYTES_MAX = 64 * 1024;
const CHECKSUM_LINE = '"Manifest-Checksum"';
const NEWLINE = 0x0a;

export interface ManifestFile {
  /** In the data folder; tablespaces as pg_tblspc/OID/... The bytes as PostgreSQL names the file, which need not be UTF-8. */
  readonly path: Buffer;
  readonly sizeBytes: number;
  /** CRC-32C as eight lower-case hex digits. */
  readonly crc32c: string;
}

export interface ManifestWalRange {
  readonly timeline: TimelineId;
  readonly start: Lsn;
  readonly end: Lsn;
}

export interface ManifestSummary {
  /** 1 for PostgreSQL 15 and 16, 2 from 17 on. */
  readonly version: number;
  /** From version 2 on; 64 bits, as text. */
  readonly systemId: string | undefined;
  readonly walRanges: readonly ManifestWalRange[];
  readonly fileCount: number;
}

/**
 * Reads PostgreSQL's backup_manifest as it arrives; memory doesn't grow with the number of files. The server writes one line for each file
 * (src/backend/backup/backup_manifest.c), so the lines are read one by one: a parse of the whole would also round the system identifier.
 */
export class BackupManifestReader {
  readonly #onFile: (file: ManifestFile) => void;
  readonly #hash: Hash = createHash("sha256");
  #rest: Buffer = Buffer.alloc(0);
  #version: number | undefined;
  #systemId: string | undefined;
  #walRanges: ManifestWalRange[] = [];
  #fileCount = 0;
  #isChecked = false;

  /** @param onFile called for each file in the manifest's order */
  constructor(onFile: (file: ManifestFile) => void) {
    this.#onFile = onFile;
  }

  /** @throws `object_corrupt` for a line that no server writes */
  push(bytes: Buffer): void {
    let from = 0;
    for (let at = bytes.indexOf(NEWLINE); at !== -1; at = bytes.indexOf(NEWLINE, from)) {
      const line = bytes.subarray(from, at + 1);
      this.#line(this.#rest.length === 0 ? line : Buffer.concat([this.#rest, line]));
      this.#rest = Buffer.alloc(0);
      from = at + 1;
    }
    if (from < bytes.length) this.#rest = Buffer.concat([this.#rest, bytes.subarray(from)]);
    if (this.#rest.length > LINE_BYTES_MAX) throw corrupt("a line is too long");
  }

  /** @throws `object_corrupt` when the manifest is cut or its own checksum is wrong */
  finish(): ManifestSummary {
    if (this.#rest.length > 0 || !this.#isChecked) throw corrupt("it is cut short");
    if (this.#version === undefined) throw corrupt("it has no version");
    return {
      version: this.#version,
      systemId: this.#systemId,
      walRanges: this.#walRanges,
      fileCount: this.#fileCount,
    };
  }

  #line(line: Buffer): void {
    const text = line.toString("utf8").trim();
    if (this.#isChecked) throw corrupt("something follows its checksum");
    if (text.startsWith(CHECKSUM_LINE)) return this.#check(text);
    this.#hash.update(line);
    if (text.startsWith('{ "Path"') || text.startsWith('{ "Encoded-Path"')) this.#file(text);
    else if (text.startsWith('{ "Timeline"')) this.#walRange(text);
    else this.#heading(text);
  }

  #file(text: string): void {
    const fields = parseObject(text);
    const encoded = fields["Encoded-Path"];
    const plain = fields["Path"];
    const sizeBytes = fields["Size"];
    const checksum = fields["Checksum"];
    if (typeof sizeBytes !== "number" || typeof checksum !== "string" || fields["Checksum-Algorithm"] !== "CRC32C")
      throw corrupt("a file has no size or no CRC-32C");
    if (typeof encoded !== "string" && typeof plain !== "string") throw corrupt("a file has no path");
    const path = typeof encoded === "string" ? Buffer.from(encoded, "hex") : Buffer.from(String(plain), "utf8");
    this.#fileCount += 1;
    this.#onFile({ path, sizeBytes, crc32c: checksum });
  }

  #walRange(text: string): void {
    const fields = parseObject(text);
    this.#walRanges.push({
      timeline: toTimelineId(Number(fields["Timeline"])),
      start: parseLsn(String(fields["Start-LSN"])),
      end: parseLsn(String(fields["End-LSN"])),
    });
  }

  #heading(text: string): void {
    const version = /^\{? ?"PostgreSQL-Backup-Manifest-Version": (\d+),$/.exec(text)?.[1];
    const systemId = /^"System-Identifier": (\d+),$/.exec(text)?.[1];
    if (version !== undefined) this.#version = Number(version);
    else if (systemId !== undefined) this.#systemId = systemId;
    else if (!/^("Files": \[|"WAL-Ranges": \[|\],|\}|)$/.test(text)) throw corrupt("it has an unknown line");
    if (this.#version !== undefined && this.#version > 2)
      throw new TidemarkError(
        "format_too_new",
        `Cannot read the backup manifest: version "${this.#version}" is unknown`,
      );
  }

  #check(text: string): void {
    const stated = /^"Manifest-Checksum": "([0-9a-f]{64})"\}$/.exec(text)?.[1];
    if (stated === undefined || stated !== this.#hash.digest("hex")) throw corrupt("its own checksum is wrong");
    this.#isChecked = true;
  }
}

/** The checksum as the manifest writes it: the CRC's bytes in memory order of a little-endian machine. */
export function manifestCrc(crc: number): string {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(crc);
  return bytes.toString("hex");
}

function parseObject(line: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(line.endsWith(",") ? line.slice(0, -1) : line);
    // JSON.parse of text that begins with a brace gives an object.
    return value as Record<string, unknown>;
  } catch (error) {
    throw corrupt("a line is no JSON", error);
  }
}

function corrupt(how: string, cause?: unknown): TidemarkError {
  return new TidemarkError("object_corrupt", `Cannot read the backup manifest: ${how}`, { cause });
}
