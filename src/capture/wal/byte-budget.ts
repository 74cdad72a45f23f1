import { WakeList } from "./wake-list.ts";

/**
 * A bound on the bytes that many uploads hold in memory at once. Small ones run by the hundred side by side, as stores far away need it; large ones one
 * or two at a time.
 */
export class ByteBudget {
  readonly #limitBytes: number;
  readonly #freed = new WakeList();
  #usedBytes = 0;

  constructor(limitBytes: number) {
    this.#limitBytes = limitBytes;
  }

  /**
   * Runs work that holds `sizeBytes`, once they are free. Work larger than the whole budget runs alone.
   *
   * @throws the signal's reason while waiting; what the work throws
   */
  async spend<Result>(sizeBytes: number, signal: AbortSignal, work: () => Promise<Result>): Promise<Result> {
    const needed = Math.min(sizeBytes, this.#limitBytes);
    while (this.#usedBytes + needed > this.#limitBytes) await this.#freed.wait(signal);
    this.#usedBytes += needed;
    try {
      return await work();
    } finally {
      this.#usedBytes -= needed;
      this.#freed.wakeAll();
    }
  }
}
