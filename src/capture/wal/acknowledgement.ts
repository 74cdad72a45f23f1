import { type Lsn, LSN_ZERO } from "../../core/lsn.ts";

export interface AcknowledgementFacts {
  /** End of what this connection has received. */
  readonly received: Lsn;
  /** End of what is durable in the repository, on this connection's timeline. */
  readonly durable: Lsn;
  /** The last position that the slot was moved to: it follows blindly, also backwards. */
  readonly reported: Lsn;
}

export interface StatusPositions {
  readonly written: Lsn;
  readonly flushed: Lsn;
}

/**
 * What to tell the server, in order.
 *
 * Only what is durable is reported as flushed, since the server removes WAL up to there; and never what this connection has not received itself. A
 * stopping server waits until everything it sent is flushed, or written if the last status had no flushed position: so while the repository lags,
 * the last status always has none. 0 leaves the slot where it is.
 *
 * @returns one or two statuses; at most one of them moves the slot, and only forwards
 */
export function acknowledge(facts: AcknowledgementFacts): readonly StatusPositions[] {
  const { received, durable, reported } = facts;
  const lagging: StatusPositions = { written: received, flushed: LSN_ZERO };
  if (durable > received || durable < reported) return [lagging];
  if (durable === received) return [{ written: received, flushed: durable }];
  return durable === reported ? [lagging] : [{ written: received, flushed: durable }, lagging];
}
