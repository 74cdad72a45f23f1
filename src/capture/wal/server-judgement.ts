import { type Lsn, type TimelineId, formatLsn } from "../../core/lsn.ts";
import {
  type TimelinePosition,
  type TimelineSwitch,
  descendsFrom,
  formatPosition,
} from "../../postgres/timeline-history.ts";
import type { LineageReason } from "../../repository/lineages.ts";

export interface StoredSide {
  readonly systemId: string;
  /** Where what is stored ends; undefined when nothing is. */
  readonly end: TimelinePosition | undefined;
  /** Stored histories by timeline. */
  readonly histories: ReadonlyMap<TimelineId, readonly TimelineSwitch[]>;
}

export interface ServerSide {
  readonly systemId: string;
  readonly timeline: TimelineId;
  readonly flushed: Lsn;
  /** Of the server's own timeline; empty for timeline 1. */
  readonly history: readonly TimelineSwitch[];
}

export type Judgement =
  /** Nothing is stored yet: begin wherever the server can. */
  | { readonly kind: "begin" }
  /** The server continues what is stored. */
  | { readonly kind: "continue"; readonly end: TimelinePosition }
  | { readonly kind: "diverged"; readonly reason: LineageReason; readonly explanation: string };

/**
 * Whether a server continues what is stored. A wrong yes splices two histories at one position without a word, so every contradiction that can be seen
 * before the first byte is looked for; the bytes themselves are compared later. Pure.
 */
export function judgeServer(stored: StoredSide, server: ServerSide): Judgement {
  if (stored.systemId !== server.systemId)
    return diverged("other system", `the server is cluster "${server.systemId}", stored is "${stored.systemId}"`);
  const conflict = conflictingHistory(stored, server);
  if (conflict !== undefined) return diverged("other history", conflict);
  const { end } = stored;
  if (end === undefined) return { kind: "begin" };
  if (server.timeline < end.timeline || (server.timeline === end.timeline && server.flushed < end.lsn))
    return diverged(
      "went back",
      `the server is at ${formatPosition({ timeline: server.timeline, lsn: server.flushed })}, stored is ${formatPosition(end)}`,
    );
  if (!descendsFrom(end, server))
    return diverged(
      "other history",
      `timeline ${server.timeline} of the server doesn't contain ${formatPosition(end)}, which is stored`,
    );
  return { kind: "continue", end };
}

/** Two histories of one timeline, stored and the server's, that differ; also for an ancestor of both. */
function conflictingHistory(stored: StoredSide, server: ServerSide): string | undefined {
  for (const [timeline, history] of stored.histories) {
    const known = timeline === server.timeline ? server.history : historyOfAncestor(timeline, server.history);
    if (known !== undefined && !areSame(known, history))
      return `timeline ${timeline} of the server began elsewhere (${describe(known)}) than the stored one (${describe(history)})`;
  }
  return undefined;
}

/** The history that an ancestor must have: what lies before it. Undefined when it is no ancestor. */
function historyOfAncestor(
  timeline: TimelineId,
  history: readonly TimelineSwitch[],
): readonly TimelineSwitch[] | undefined {
  const index = history.findIndex((entry) => entry.timeline === timeline);
  return index === -1 ? undefined : history.slice(0, index);
}

function areSame(first: readonly TimelineSwitch[], second: readonly TimelineSwitch[]): boolean {
  if (first.length !== second.length) return false;
  return first.every((entry, index) => {
    const other = second[index];
    return other !== undefined && entry.timeline === other.timeline && entry.end === other.end;
  });
}

function describe(history: readonly TimelineSwitch[]): string {
  return history.map(({ timeline, end }) => `${timeline} to ${formatLsn(end)}`).join(", ");
}

function diverged(reason: LineageReason, explanation: string): Judgement {
  return { kind: "diverged", reason, explanation };
}
