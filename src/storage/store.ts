/** Bytes in order, pulled by the consumer, who owns each chunk: a producer never touches a chunk again after it yielded it. */
export type ByteStream = AsyncIterable<Uint8Array>;

export interface StoredObject {
  readonly key: string;
  readonly sizeBytes: number;
  /** When the object became visible, by the store's clock. */
  readonly modifiedAt: Date;
}

export interface StoreCall {
  /** Ends the call: it rejects with the signal's reason, and a put leaves nothing visible. */
  readonly signal?: AbortSignal;
}

export interface PutCall extends StoreCall {
  /** Replaces an object of this key in one step. Without it an existing key is refused with `object_exists`. */
  readonly overwrite?: boolean;
}

export interface GetCall extends StoreCall {
  /** Where reading begins, 0 when absent. */
  readonly offsetBytes?: number;
  /** How many bytes; to the object's end when absent. */
  readonly lengthBytes?: number;
}

/** An object whose beginning is known last, such as an archive whose first header tells the size of what follows. */
export interface DeferredHead {
  /** Offset at which the body begins, 1 or more. */
  readonly headSizeBytes: number;
  readonly body: ByteStream;
  /**
   * Called once, after the body has ended without an error. The result has exactly `headSizeBytes`; only when the body was empty may it be shorter,
   * and then it is the whole object.
   */
  readonly head: () => Promise<Uint8Array>;
}

/**
 * Dumb named bytes. Each sentence here is tested for every driver by `test/contract/store.ts`.
 *
 * Keys are words of `A-Z a-z 0-9 _ . -` joined by `/`, no word begins with a dot or a dash, `KEY_BYTES_MAX` bytes in all; any other key is refused
 * with `bug` before the store is touched. A key that is also the folder of another key (`a` and `a/b`) must not be used.
 *
 * Failures come classified: `disk_full`, `storage_denied` (an operator must act), `storage_unavailable` (may pass); a driver never retries.
 */
export interface Store {
  /**
   * Stores a whole object. It becomes visible at once and complete, or not at all: not while the body is being read, not when the body throws (its
   * error is thrown on), not when the process dies. When it resolves, the bytes survive a loss of power.
   *
   * @returns the object as stored.
   * @throws `object_exists` when the key is taken and `overwrite` is not set, also when the other put won while this one was running.
   */
  put(key: string, body: ByteStream | Uint8Array, call?: PutCall): Promise<StoredObject>;

  /** As `put`, for an object whose first bytes are known only after the rest has been written. Memory: the head and, in a driver that can't write at an offset, one part. */
  putDeferred(key: string, content: DeferredHead, call?: PutCall): Promise<StoredObject>;

  /**
   * Reads an object or a range of it. Nothing is opened before the first pull; ending the iteration early frees everything. Yields exactly the asked
   * bytes, in chunks of any size above 0, or throws: a range that reaches past the end is `range_not_satisfiable`, a missing object `object_not_found`.
   */
  get(key: string, call?: GetCall): ByteStream;

  /** The object's size and time, undefined when there is none. */
  head(key: string, call?: StoreCall): Promise<StoredObject | undefined>;

  /**
   * Every visible object whose key begins with `prefix` (any text, also in mid-word; empty for all), in ascending order of the key's bytes. What is put
   * or deleted meanwhile may or may not be in it; everything else is in it exactly once.
   */
  list(prefix: string, call?: StoreCall): AsyncIterable<StoredObject>;

  /** Removes an object. A missing one is no error, so it may be called again. */
  delete(key: string, call?: StoreCall): Promise<void>;

  /**
   * Frees the space of puts that never ended (their process died), if nothing was written to them since `before`.
   *
   * @returns how many were removed.
   */
  sweepUploads(before: Date, call?: StoreCall): Promise<number>;
}
