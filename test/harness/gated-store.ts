import { TidemarkError } from "../../src/core/errors.ts";
import type { Store } from "../../src/storage/store.ts";

export type GateState = "open" | "failing" | "hanging";

/** A store that can be made to fail or to hang, and to work again. */
export class GatedStore implements Store {
  readonly #inner: Store;
  #state: GateState = "open";
  #waiting: (() => void)[] = [];

  constructor(inner: Store) {
    this.#inner = inner;
  }

  set(state: GateState): void {
    this.#state = state;
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const resolve of waiting) resolve();
  }

  async put(...call: Parameters<Store["put"]>): ReturnType<Store["put"]> {
    await this.#pass(call[2]?.signal);
    return this.#inner.put(...call);
  }

  async putDeferred(...call: Parameters<Store["putDeferred"]>): ReturnType<Store["putDeferred"]> {
    await this.#pass(call[2]?.signal);
    return this.#inner.putDeferred(...call);
  }

  async *get(...call: Parameters<Store["get"]>): AsyncGenerator<Uint8Array> {
    await this.#pass(call[1]?.signal);
    yield* this.#inner.get(...call);
  }

  async head(...call: Parameters<Store["head"]>): ReturnType<Store["head"]> {
    await this.#pass(call[1]?.signal);
    return this.#inner.head(...call);
  }

  async *list(...call: Parameters<Store["list"]>): ReturnType<Store["list"]> {
    await this.#pass(call[1]?.signal);
    yield* this.#inner.list(...call);
  }

  async delete(...call: Parameters<Store["delete"]>): ReturnType<Store["delete"]> {
    await this.#pass(call[1]?.signal);
    return this.#inner.delete(...call);
  }

  async sweepUploads(...call: Parameters<Store["sweepUploads"]>): ReturnType<Store["sweepUploads"]> {
    await this.#pass(call[1]?.signal);
    return this.#inner.sweepUploads(...call);
  }

  async #pass(signal: AbortSignal | undefined): Promise<void> {
    while (this.#state !== "open") {
      signal?.throwIfAborted();
      if (this.#state === "failing")
        throw new TidemarkError("storage_unavailable", "Cannot reach the store: the test shut it");
      await new Promise<void>((resolve) => {
        this.#waiting.push(resolve);
        signal?.addEventListener("abort", () => resolve(), { once: true });
      });
    }
    signal?.throwIfAborted();
  }
}
