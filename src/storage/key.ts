import { assert } from "../core/assert.ts";

/** S3's limit is 1,024 bytes; half of it leaves room for a prefix of the operator's. */
export const KEY_BYTES_MAX = 512;

const KEY = /^[A-Za-z0-9_][A-Za-z0-9_.-]*(\/[A-Za-z0-9_][A-Za-z0-9_.-]*)*$/;

/** Ends the caller with `bug` when `key` is not one that `Store` allows: keys are made by our own layout, so a bad one is our mistake. */
export function assertKey(key: string): void {
  assert(key.length <= KEY_BYTES_MAX && KEY.test(key), `"${key}" is a valid key of the store`);
}
