/** A stream of bytes between one writer and one reader in the same process, with a bound that the writer waits for. */
export class BlockChannel {
  readonly #limitBytes: number;
  #blocks: Uint8Array[] = [];
  #queuedBytes = 0;
  #isFinished = false;
  #failure: Error | undefined;
  #wakeReader: (() => void) | undefined;
  #wakeWriter: (() => void) | undefined;

  /** @param limitBytes above which `whenReady` waits */
  constructor(limitBytes: number) {
    this.#limitBytes = limitBytes;
  }

  /** Queues a block, which belongs to the reader from now on. Never waits: ask `whenReady` between blocks. */
  push(block: Uint8Array): void {
    if (block.length === 0) return;
    this.#blocks.push(block);
    this.#queuedBytes += block.length;
    this.#notifyReader();
  }

  /** Resolves when there is room; rejects with what `fail` was given. */
  async whenReady(): Promise<void> {
    while (this.#queuedBytes > this.#limitBytes && this.#failure === undefined)
      await new Promise<void>((resolve) => (this.#wakeWriter = resolve));
    if (this.#failure !== undefined) throw this.#failure;
  }

  /** No more blocks come. */
  finish(): void {
    this.#isFinished = true;
    this.#notifyReader();
  }

  /** Ends both sides with an error. */
  fail(failure: Error): void {
    this.#failure ??= failure;
    this.#notifyReader();
    this.#notifyWriter();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array, void, void> {
    for (;;) {
      if (this.#failure !== undefined) throw this.#failure;
      const blocks = this.#blocks;
      this.#blocks = [];
      for (const block of blocks) {
        this.#queuedBytes -= block.length;
        if (this.#queuedBytes <= this.#limitBytes) this.#notifyWriter();
        yield block;
      }
      if (this.#blocks.length > 0 || this.#failure !== undefined) continue;
      if (this.#isFinished) return;
      await new Promise<void>((resolve) => (this.#wakeReader = resolve));
    }
  }

  #notifyReader(): void {
    this.#wakeReader?.();
    this.#wakeReader = undefined;
  }

  #notifyWriter(): void {
    this.#wakeWriter?.();
    this.#wakeWriter = undefined;
  }
}
