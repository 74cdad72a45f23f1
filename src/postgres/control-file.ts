import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { TidemarkError } from "../core/errors.ts";
import { type Lsn, type TimelineId, type WalSegmentSize, toLsn, toTimelineId, toWalSegmentSize } from "../core/lsn.ts";
import { crc32c } from "./crc32c.ts";
import type { StandbyMinimums } from "./wal/record.ts";

/** Path in a data folder. It is written last by a restore: without it the server refuses to start. */
export const CONTROL_FILE_PATH = "global/pg_control";

/** Versions of the file: 1300 is PostgreSQL 13 to 16, 1700 is 17, and 1800 is 18, which put one byte before the nonce. */
const VERSION_13 = 1300;
const VERSION_17 = 1700;
const VERSION_18 = 1800;
/** Offsets in ControlFileData on 64-bit little-endian machines; src/include/catalog/pg_control.h */
const AT = {
  systemId: 0,
  version: 8,
  catalogVersion: 12,
  state: 16,
  checkpoint: 32,
  redo: 40,
  timeline: 48,
  minRecoveryPoint: 136,
  maxConnections: 180,
  maxWorkerProcesses: 184,
  maxWalSenders: 188,
  maxPreparedTransactions: 192,
  maxLocksPerTransaction: 196,
  blockSize: 216,
  blocksPerFile: 220,
  walSegmentSize: 228,
  checksumVersion: 252,
} as const;
const CRC_AT = 288;
const CRC_AT_18 = 292;
const STATES = [
  "starting up",
  "shut down",
  "shut down in recovery",
  "shutting down",
  "in crash recovery",
  "in archive recovery",
  "in production",
] as const;

export type ClusterState = (typeof STATES)[number];

export interface ControlFile {
  /** 64 bits, as text. */
  readonly systemId: string;
  readonly catalogVersion: number;
  readonly state: ClusterState;
  /** Where the last checkpoint's record begins. */
  readonly checkpoint: Lsn;
  /** Where replay from it begins. */
  readonly redo: Lsn;
  readonly timeline: TimelineId;
  readonly minRecoveryPoint: Lsn;
  /** What a server that recovers this folder must have at least. */
  readonly minimums: StandbyMinimums;
  readonly walSegmentSize: WalSegmentSize;
  readonly hasChecksums: boolean;
}

/** pg_control of a data folder. @throws as `parseControlFile`, and what reading the file throws */
export async function readControlFile(dataFolder: string): Promise<ControlFile> {
  return parseControlFile(await readFile(join(dataFolder, CONTROL_FILE_PATH)));
}

/**
 * Reads pg_control of PostgreSQL 13 to 18.
 *
 * @param bytes the file, 296 bytes of it at least
 * @throws `object_corrupt` when its CRC is wrong, `format_too_new` for a version or block size that this program doesn't know
 */
export function parseControlFile(bytes: Buffer): ControlFile {
  if (bytes.length < CRC_AT_18 + 4)
    throw new TidemarkError("object_corrupt", "Cannot read pg_control: it is cut short");
  const version = bytes.readUInt32LE(AT.version);
  if (version !== VERSION_13 && version !== VERSION_17 && version !== VERSION_18)
    throw new TidemarkError("format_too_new", `Cannot read pg_control: version "${version}" is unknown`, {
      hint: "Use a version of Tidemark that knows this major version of PostgreSQL",
    });
  const crcAt = version === VERSION_18 ? CRC_AT_18 : CRC_AT;
  if (crc32c(bytes.subarray(0, crcAt)) !== bytes.readUInt32LE(crcAt))
    throw new TidemarkError("object_corrupt", "Cannot read pg_control: its CRC is wrong");
  if (bytes.readUInt32LE(AT.blockSize) !== 8192 || bytes.readUInt32LE(AT.blocksPerFile) !== 131_072)
    throw new TidemarkError(
      "format_too_new",
      "Cannot read the cluster: its block or file size isn't PostgreSQL's default",
    );
  return {
    systemId: bytes.readBigUInt64LE(AT.systemId).toString(),
    catalogVersion: bytes.readUInt32LE(AT.catalogVersion),
    state: STATES[bytes.readUInt32LE(AT.state)] ?? "starting up",
    checkpoint: toLsn(bytes.readBigUInt64LE(AT.checkpoint)),
    redo: toLsn(bytes.readBigUInt64LE(AT.redo)),
    timeline: toTimelineId(bytes.readUInt32LE(AT.timeline)),
    minRecoveryPoint: toLsn(bytes.readBigUInt64LE(AT.minRecoveryPoint)),
    minimums: {
      maxConnections: bytes.readInt32LE(AT.maxConnections),
      maxWorkerProcesses: bytes.readInt32LE(AT.maxWorkerProcesses),
      maxWalSenders: bytes.readInt32LE(AT.maxWalSenders),
      maxPreparedTransactions: bytes.readInt32LE(AT.maxPreparedTransactions),
      maxLocksPerTransaction: bytes.readInt32LE(AT.maxLocksPerTransaction),
    },
    walSegmentSize: toWalSegmentSize(bytes.readUInt32LE(AT.walSegmentSize)),
    hasChecksums: bytes.readUInt32LE(AT.checksumVersion) !== 0,
  };
}
