import { TidemarkError } from "../../core/errors.ts";
import {
  type Lsn,
  type TimelineId,
  type WalSegmentSize,
  parseLsn,
  toTimelineId,
  toWalSegmentSize,
} from "../../core/lsn.ts";
import type { CommandRow, ReplicationConnection } from "./replication-connection.ts";

/** A slot's name as PostgreSQL allows it: it needs no quotes then. */
const SLOT_NAME = /^[a-z0-9_]{1,63}$/;
const SETTING_NAME = /^[a-z_.]+$/;
const UNITS_IN_BYTES: Readonly<Record<string, number>> = { B: 1, kB: 1024, MB: 1024 ** 2, GB: 1024 ** 3 };
const UNITS_IN_MS: Readonly<Record<string, number>> = { ms: 1, s: 1000, min: 60_000, h: 3_600_000, d: 86_400_000 };

export interface SystemIdentity {
  /** 64 bits, as text: a JavaScript number would round it. */
  readonly systemId: string;
  readonly timeline: TimelineId;
  /** What the server has flushed. */
  readonly flushed: Lsn;
}

/** IDENTIFY_SYSTEM. */
export async function identifySystem(connection: ReplicationConnection): Promise<SystemIdentity> {
  const operation = "Cannot identify the server";
  const row = only(await connection.rows("IDENTIFY_SYSTEM", operation), operation);
  return {
    systemId: text(row, "systemid", operation),
    timeline: toTimelineId(Number(text(row, "timeline", operation))),
    flushed: parseLsn(text(row, "xlogpos", operation)),
  };
}

/**
 * SHOW: the only SQL that a physical walsender takes.
 *
 * @returns the setting's value as the server prints it, with its unit
 */
export async function showSetting(connection: ReplicationConnection, name: string): Promise<string> {
  const operation = `Cannot read the server's setting "${name}"`;
  if (!SETTING_NAME.test(name)) throw new TidemarkError("bad_request", `${operation}: it is no setting's name`);
  const row = only(await connection.rows(`SHOW ${name}`, operation), operation);
  return Object.values(row)[0] ?? "";
}

/** The cluster's WAL segment size, which initdb fixed. */
export async function showWalSegmentSize(connection: ReplicationConnection): Promise<WalSegmentSize> {
  return toWalSegmentSize(parseQuantity(await showSetting(connection, "wal_segment_size"), UNITS_IN_BYTES));
}

/** @returns milliseconds; 0 means that the server never cuts a silent stream */
export async function showWalSenderTimeoutMs(connection: ReplicationConnection): Promise<number> {
  return parseQuantity(await showSetting(connection, "wal_sender_timeout"), UNITS_IN_MS);
}

/** The server's version as `server_version_num` gives it: 150018 is 15.18. */
export async function showServerVersion(connection: ReplicationConnection): Promise<number> {
  return Number(await showSetting(connection, "server_version_num"));
}

export interface PhysicalSlot {
  /** Undefined while the slot reserves nothing. */
  readonly restart: { readonly lsn: Lsn; readonly timeline: TimelineId } | undefined;
}

/**
 * READ_REPLICATION_SLOT.
 *
 * @returns undefined when there is no slot of this name
 */
export async function readPhysicalSlot(
  connection: ReplicationConnection,
  slotName: string,
): Promise<PhysicalSlot | undefined> {
  const operation = `Cannot read slot "${slotName}"`;
  const row = only(await connection.rows(`READ_REPLICATION_SLOT ${slot(slotName)}`, operation), operation);
  if (row["slot_type"] === null || row["slot_type"] === undefined) return undefined;
  const lsn = row["restart_lsn"];
  const timeline = row["restart_tli"];
  if (typeof lsn !== "string" || typeof timeline !== "string") return { restart: undefined };
  return { restart: { lsn: parseLsn(lsn), timeline: toTimelineId(Number(timeline)) } };
}

/**
 * Makes a physical slot that reserves WAL at once: without that, the server may remove segments before the first connection.
 *
 * @throws `replication_failed` with `details.sqlstate` 42710 when one of this name exists
 */
export async function createPhysicalSlot(connection: ReplicationConnection, slotName: string): Promise<void> {
  const command = `CREATE_REPLICATION_SLOT ${slot(slotName)} PHYSICAL (RESERVE_WAL true)`;
  await connection.rows(command, `Cannot create slot "${slotName}"`);
}

/** @throws `replication_failed` with `details.sqlstate` 42704 when there is none, 55006 while somebody streams from it */
export async function dropSlot(connection: ReplicationConnection, slotName: string): Promise<void> {
  await connection.rows(`DROP_REPLICATION_SLOT ${slot(slotName)}`, `Cannot drop slot "${slotName}"`);
}

export interface TimelineHistoryFile {
  readonly fileName: string;
  readonly content: string;
}

/**
 * TIMELINE_HISTORY.
 *
 * @param timeline 2 or later: the first timeline has no history
 */
export async function readTimelineHistory(
  connection: ReplicationConnection,
  timeline: TimelineId,
): Promise<TimelineHistoryFile> {
  const operation = `Cannot read the history of timeline ${timeline}`;
  const row = only(await connection.rows(`TIMELINE_HISTORY ${timeline}`, operation), operation);
  return { fileName: text(row, "filename", operation), content: text(row, "content", operation) };
}

export function checkSlotName(slotName: string): string {
  return slot(slotName);
}

function slot(name: string): string {
  if (SLOT_NAME.test(name)) return name;
  throw new TidemarkError("bad_request", `"${name}" is no slot's name`, {
    hint: "Use 1 to 63 of a to z, 0 to 9 and _",
  });
}

function only(rows: readonly CommandRow[], operation: string): CommandRow {
  const row = rows[0];
  if (row === undefined) throw new TidemarkError("replication_failed", `${operation}: the server answered nothing`);
  return row;
}

function text(row: CommandRow, column: string, operation: string): string {
  const value = row[column];
  if (typeof value === "string") return value;
  throw new TidemarkError("replication_failed", `${operation}: the answer has no "${column}"`);
}

function parseQuantity(value: string, units: Readonly<Record<string, number>>): number {
  const match = /^(\d+)\s*([A-Za-z]*)$/.exec(value);
  const factor = match?.[2] === "" ? 1 : units[match?.[2] ?? ""];
  if (match === null || factor === undefined)
    throw new TidemarkError("replication_failed", `Cannot read the server's setting: "${value}" has an unknown unit`);
  return Number(match[1]) * factor;
}
