import { TidemarkError } from "../../core/errors.ts";
import {
  type Lsn,
  type TimelineId,
  type WalSegmentSize,
  advanceLsn,
  segmentOffset,
  segmentStart,
  toTimelineId,
  toWalSegmentSize,
} from "../../core/lsn.ts";
import {
  type PhysicalSlot,
  type SystemIdentity,
  createPhysicalSlot,
  dropSlot,
  identifySystem,
  readPhysicalSlot,
  readTimelineHistory,
  showSetting,
  showWalSegmentSize,
} from "../../postgres/replication/commands.ts";
import type { ReplicationConnection } from "../../postgres/replication/replication-connection.ts";
import {
  type TimelinePosition,
  type TimelineSwitch,
  descendsFrom,
  parseTimelineHistory,
} from "../../postgres/timeline-history.ts";
import type { Lineage } from "../../repository/lineages.ts";
import type { PhysicalArchive } from "../../repository/physical-archive.ts";
import type { LineageId, StoredHistory } from "../../repository/physical-layout.ts";
import { readHistory, storeHistory } from "../../repository/wal-archive.ts";
import { type WalInventory, readWalInventory } from "../../repository/wal-inventory.ts";
import { type Judgement, judgeServer } from "./server-judgement.ts";

export interface ServerFacts extends SystemIdentity {
  readonly segmentSize: WalSegmentSize;
  /** Of the server's timeline; undefined for timeline 1, which has none. */
  readonly historyFile: string | undefined;
  readonly history: readonly TimelineSwitch[];
}

/** From where to stream. */
export interface StreamPlan {
  readonly from: TimelinePosition;
  /** Tried when the server no longer has `from`, and nothing would be missing; undefined when that would be a gap. */
  readonly fallback: TimelinePosition | undefined;
  /** End of what is stored: where a gap would begin. */
  readonly storedEnd: TimelinePosition | undefined;
  /** Where streaming would go on after a gap. */
  readonly afterGap: TimelinePosition;
  readonly histories: readonly StoredHistory[];
}

/** A branch of a lineage's history that was made on purpose, by a restore: its server is expected. */
export interface KnownBranch {
  readonly lineage: LineageId;
  readonly timeline: TimelineId;
  readonly parent: TimelineId;
  /** Where the parent was left; what is stored of it may reach further. */
  readonly at: Lsn;
}

export type Identification =
  | { readonly kind: "stream"; readonly plan: StreamPlan }
  | Extract<Judgement, { kind: "diverged" }>;

/** Asks the server who it is. One command after the other: a walsender takes no more. */
export async function readServerFacts(connection: ReplicationConnection): Promise<ServerFacts> {
  const identity = await identifySystem(connection);
  const segmentSize = await showWalSegmentSize(connection);
  if (identity.timeline === 1) return { ...identity, segmentSize, historyFile: undefined, history: [] };
  const { content } = await readTimelineHistory(connection, identity.timeline);
  return { ...identity, segmentSize, historyFile: content, history: parseTimelineHistory(content) };
}

/**
 * A synchronous standby's acknowledgement releases commits on the server: ours must never be taken for one.
 *
 * @throws `server_denied` when synchronous_standby_names is `*` or names this application
 */
export async function refuseSynchronousDuty(connection: ReplicationConnection, applicationName: string): Promise<void> {
  const names = await showSetting(connection, "synchronous_standby_names");
  const listed = new Set(names.split(/[^A-Za-z0-9_*$-]+/).map((name) => name.toLowerCase()));
  if (!listed.has("*") && !listed.has(applicationName.toLowerCase())) return;
  throw new TidemarkError(
    "server_denied",
    `Cannot stream from the server: synchronous_standby_names "${names}" would take this receiver for a standby`,
    { hint: "List the standbys by their names in synchronous_standby_names, without *" },
  );
}

/**
 * Compares the server with the lineage, stores the histories of its timelines, finds or makes the slot, and plans the stream.
 *
 * @throws what replication and store throw; `lineage_diverged` when a stored history has other bytes
 */
export async function identifyServer(
  connection: ReplicationConnection,
  stored: {
    readonly archive: PhysicalArchive;
    readonly lineage: Lineage;
    readonly slotName: string;
    readonly branches: readonly KnownBranch[];
  },
  server: ServerFacts,
  signal: AbortSignal,
): Promise<Identification> {
  const { archive, lineage, slotName } = stored;
  if (lineage.segmentSizeBytes !== server.segmentSize)
    return {
      kind: "diverged",
      reason: "other system",
      explanation: `the server's WAL segments have ${server.segmentSize} bytes, the stored ones ${lineage.segmentSizeBytes}`,
    };
  const place = { lineage: lineage.lineage, segmentSize: toWalSegmentSize(lineage.segmentSizeBytes) };
  const inventory = await readWalInventory(archive, place, signal);
  const storedHistories = await readHistories(archive, inventory, signal);
  const branch = newBranch(server, { lineage: lineage.lineage, inventory, storedHistories, known: stored.branches });
  const judgement = judgeServer(
    { systemId: lineage.systemId, end: branch ?? resumeEnd(inventory), histories: storedHistories },
    server,
  );
  if (judgement.kind === "diverged") return judgement;
  const histories = await storeServerHistories(connection, stored, server, inventory.histories, signal);
  const slot = await ensureSlot(connection, slotName);
  return { kind: "stream", plan: { ...planStream(judgement, server, slot), histories } };
}

/**
 * Where a known branch begins that nothing is stored of: what is stored ends on another one, which the server left before that end. Known is a branch that
 * we were told of, or whose history is stored, since histories come first. Undefined when the server goes on with what is stored.
 */
function newBranch(
  server: ServerFacts,
  stored: {
    readonly lineage: LineageId;
    readonly inventory: WalInventory;
    readonly storedHistories: ReadonlyMap<TimelineId, unknown>;
    readonly known: readonly KnownBranch[];
  },
): TimelinePosition | undefined {
  const { end } = stored.inventory;
  const left = server.history.at(-1);
  if (end === undefined || left === undefined || end.timeline >= server.timeline || descendsFrom(end, server))
    return undefined;
  const isKnown =
    stored.storedHistories.has(server.timeline) ||
    stored.known.some(
      (branch) =>
        branch.lineage === stored.lineage &&
        branch.timeline === server.timeline &&
        branch.parent === left.timeline &&
        branch.at === left.end,
    );
  return isKnown ? { timeline: server.timeline, lsn: left.end } : undefined;
}

/** Where what is stored ends, or where it was decided to go on after a gap at that end. */
function resumeEnd(inventory: WalInventory): TimelinePosition | undefined {
  let end = inventory.end;
  for (;;) {
    const after: TimelinePosition | undefined = inventory.gaps
      .filter((gap) => gap.from === end?.lsn && gap.to > gap.from)
      .map((gap) => ({ timeline: gap.timeline, lsn: gap.to }))
      .toSorted((first, second) => (first.lsn < second.lsn ? -1 : 1))
      .at(-1);
    if (after === undefined) return end;
    end = after;
  }
}

function planStream(
  judgement: Exclude<Judgement, { kind: "diverged" }>,
  server: ServerFacts,
  slot: PhysicalSlot | undefined,
): Omit<StreamPlan, "histories"> {
  const { segmentSize } = server;
  const whole = (lsn: Lsn): Lsn => segmentStart(lsn, segmentSize);
  const reserved = slot?.restart;
  const newest: TimelinePosition =
    reserved !== undefined && reserved.timeline === server.timeline && reserved.lsn <= server.flushed
      ? { timeline: server.timeline, lsn: whole(reserved.lsn) }
      : { timeline: server.timeline, lsn: whole(server.flushed) };
  if (judgement.kind === "begin") return { from: newest, fallback: undefined, storedEnd: undefined, afterGap: newest };
  const { end } = judgement;
  const afterGap = newest.lsn > end.lsn ? newest : { timeline: server.timeline, lsn: whole(server.flushed) };
  const isBranchStart = server.timeline === end.timeline && server.history.at(-1)?.end === end.lsn;
  // Nothing of a new branch lies before its start, so there is nothing to compare with.
  const isAtBoundary = !isBranchStart && segmentOffset(end.lsn, segmentSize) === 0 && end.lsn > 0n;
  // At a boundary nothing would overlap: the segment before is asked for as well, to be compared.
  const from = { timeline: end.timeline, lsn: isAtBoundary ? advanceLsn(end.lsn, 0 - segmentSize) : whole(end.lsn) };
  const fallback = isAtBoundary ? end : nextTimelineAt(end, server);
  return { from, fallback, storedEnd: end, afterGap };
}

/** When the stored timeline ended exactly where what is stored ends, nothing of it is missing. */
function nextTimelineAt(end: TimelinePosition, server: ServerFacts): TimelinePosition | undefined {
  const index = server.history.findIndex((entry) => entry.timeline === end.timeline && entry.end === end.lsn);
  if (index === -1) return undefined;
  return { timeline: server.history[index + 1]?.timeline ?? server.timeline, lsn: end.lsn };
}

async function readHistories(
  archive: PhysicalArchive,
  inventory: WalInventory,
  signal: AbortSignal,
): Promise<ReadonlyMap<TimelineId, readonly TimelineSwitch[]>> {
  const histories = new Map<TimelineId, readonly TimelineSwitch[]>();
  for (const history of inventory.histories)
    histories.set(history.timeline, parseTimelineHistory(await readHistory(archive, history, signal)));
  return histories;
}

/** Histories come before the first byte of their timelines: a restore can't follow a switch without them. */
async function storeServerHistories(
  connection: ReplicationConnection,
  stored: { readonly archive: PhysicalArchive; readonly lineage: Lineage },
  server: ServerFacts,
  known: readonly StoredHistory[],
  signal: AbortSignal,
): Promise<readonly StoredHistory[]> {
  const all = [...known];
  const timelines = [...server.history.map(({ timeline }) => timeline), server.timeline];
  for (const timeline of timelines) {
    if (timeline === 1 || all.some((history) => history.timeline === timeline)) continue;
    const content =
      timeline === server.timeline && server.historyFile !== undefined
        ? server.historyFile
        : (await readTimelineHistory(connection, toTimelineId(timeline))).content;
    const place = { lineage: stored.lineage.lineage, timeline };
    all.push(await storeHistory(stored.archive, place, content, known, { signal }));
  }
  return all;
}

/** A slot that reserves nothing was invalidated: it stays so until it is dropped. */
async function ensureSlot(connection: ReplicationConnection, slotName: string): Promise<PhysicalSlot | undefined> {
  const slot = await readPhysicalSlot(connection, slotName);
  if (slot?.restart !== undefined) return slot;
  if (slot !== undefined) await dropSlot(connection, slotName);
  await createPhysicalSlot(connection, slotName);
  return readPhysicalSlot(connection, slotName);
}
