import type { Lsn } from "../../core/lsn.ts";
import type { TimestampUs } from "../../core/timestamp.ts";

/** Moments that wait for their WAL to become durable. Beyond it, neighbours are joined: what is recoverable then shows a little later, never too early. */
const WAITING_MAX = 4096;

/** Everything up to `lsn` being durable, the moment `time` is recoverable. */
export interface Moment {
  readonly lsn: Lsn;
  readonly time: TimestampUs;
}

/** Finds the newest recoverable moment, as WAL passes and becomes durable. */
export class CommitTracker {
  #waiting: Moment[] = [];
  #newest: Moment | undefined;

  /** The newest moment whose WAL is durable. */
  get newest(): Moment | undefined {
    return this.#newest;
  }

  /**
   * Notes a moment: the stamp of a commit and the end of its record, or a server's time and a flush position that was read after it.
   *
   * @param moment in any order; stamps are not in the order of the log
   */
  add(moment: Moment): void {
    const last = this.#waiting.at(-1);
    if (last === undefined || moment.lsn >= last.lsn) this.#waiting.push(moment);
    else {
      const index = this.#waiting.findIndex(({ lsn }) => lsn > moment.lsn);
      this.#waiting.splice(index, 0, moment);
    }
    if (this.#waiting.length > WAITING_MAX) this.#waiting = joinNeighbours(this.#waiting);
  }

  /** All WAL up to `durable` is stored. */
  advance(durable: Lsn): void {
    let count = 0;
    for (const moment of this.#waiting) {
      if (moment.lsn > durable) break;
      count += 1;
      if (this.#newest === undefined || moment.time > this.#newest.time) this.#newest = moment;
    }
    if (count > 0) this.#waiting.splice(0, count);
  }

  /** Forgets what waits: its WAL was not stored, and will pass again. */
  reset(): void {
    this.#waiting = [];
  }
}

/** Each two become one that is true of both: the later position, the later time. */
function joinNeighbours(moments: readonly Moment[]): Moment[] {
  const joined: Moment[] = [];
  for (let index = 0; index < moments.length; index += 2) {
    const first = moments[index];
    const second = moments[index + 1] ?? first;
    if (first === undefined || second === undefined) continue;
    joined.push({ lsn: second.lsn, time: first.time > second.time ? first.time : second.time });
  }
  return joined;
}
