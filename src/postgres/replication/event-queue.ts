/** Between a socket's callbacks and an async reader: keeps order, counts bytes, and says when to hold the socket back. */
export class EventQueue<Event> {
  readonly #waiting: { event: Event; sizeBytes: number }[] = [];
  readonly #limitBytes: number;
  readonly #onPause: (paused: boolean) => void;
  #queuedBytes = 0;
  #paused = false;
  #finished = false;
  #failure: Error | undefined;
  #wake: (() => void) | undefined;

  /**
   * @param limitBytes above which the source is paused; it goes on below half
   * @param onPause called with true and false, alternating
   */
  constructor(limitBytes: number, onPause: (paused: boolean) => void) {
    this.#limitBytes = limitBytes;
    this.#onPause = onPause;
  }

  push(event: Event, sizeBytes: number): void {
    this.#waiting.push({ event, sizeBytes });
    this.#queuedBytes += sizeBytes;
    if (!this.#paused && this.#queuedBytes > this.#limitBytes) this.#setPaused(true);
    this.#wakeReader();
  }

  finish(): void {
    this.#finished = true;
    this.#wakeReader();
  }

  /** The reader gets what is queued first, then the failure. */
  fail(failure: Error): void {
    this.#failure ??= failure;
    this.#wakeReader();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Event, void, void> {
    for (;;) {
      const next = this.#waiting.shift();
      if (next !== undefined) {
        this.#queuedBytes -= next.sizeBytes;
        if (this.#paused && this.#queuedBytes < this.#limitBytes / 2) this.#setPaused(false);
        yield next.event;
      } else if (this.#failure !== undefined) throw this.#failure;
      else if (this.#finished) return;
      else await new Promise<void>((resolve) => (this.#wake = resolve));
    }
  }

  #setPaused(paused: boolean): void {
    this.#paused = paused;
    this.#onPause(paused);
  }

  #wakeReader(): void {
    this.#wake?.();
    this.#wake = undefined;
  }
}
