import { TidemarkError } from "../core/errors.ts";
import { type Lsn, type TimelineId, formatLsn, parseLsn, toTimelineId } from "../core/lsn.ts";

/** One line of a history file: a timeline that the file's own descends from. */
export interface TimelineSwitch {
  readonly timeline: TimelineId;
  /** Where that timeline was left. */
  readonly end: Lsn;
}

/**
 * Reads a timeline's history file.
 *
 * @param content text of `0000000N.history`
 * @returns the ancestors, oldest first; timelines and positions rise
 * @throws `wal_invalid` when a line is no switch or goes back
 */
export function parseTimelineHistory(content: string): readonly TimelineSwitch[] {
  const switches: TimelineSwitch[] = [];
  for (const line of content.split("\n")) {
    const text = line.trim();
    if (text === "" || text.startsWith("#")) continue;
    const [, timeline, end] = /^(\d+)\s+([0-9A-Fa-f]+\/[0-9A-Fa-f]+)/.exec(text) ?? [];
    if (timeline === undefined || end === undefined) throw invalid(`"${text}" is no switch`);
    const next = { timeline: toTimelineId(Number(timeline)), end: parseLsn(end) };
    const previous = switches.at(-1);
    if (previous !== undefined && (next.timeline <= previous.timeline || next.end < previous.end))
      throw invalid(`timeline ${next.timeline} follows timeline ${previous.timeline}`);
    switches.push(next);
  }
  return switches;
}

export interface TimelinePosition {
  readonly timeline: TimelineId;
  readonly lsn: Lsn;
}

/**
 * Whether a server on `timeline` with this history has passed through a position: it is on the position's timeline, or left that timeline at the
 * position or later.
 */
export function descendsFrom(
  position: TimelinePosition,
  server: { readonly timeline: TimelineId; readonly history: readonly TimelineSwitch[] },
): boolean {
  if (server.timeline === position.timeline) return true;
  const left = server.history.find((entry) => entry.timeline === position.timeline);
  return left !== undefined && position.lsn <= left.end;
}

/** Text form for messages: `timeline 2 at 0/3000000`. */
export function formatPosition(position: TimelinePosition): string {
  return `timeline ${position.timeline} at ${formatLsn(position.lsn)}`;
}

function invalid(how: string): TidemarkError {
  return new TidemarkError("wal_invalid", `Cannot read a timeline's history: ${how}`);
}
