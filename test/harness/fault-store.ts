import type { TidemarkError } from "../../src/core/errors.ts";
import type { ByteStream, GetCall, Store } from "../../src/storage/store.ts";

/**
 * Faults of a store, chosen by the test while it runs.
 *
 * What we promise to survive: any call fails, at any byte, with any error of a driver; a put's body has gone in half when it does; the process dies between
 * two calls (the test simply doesn't make the next one). Then nothing half-made is visible, and a later attempt succeeds.
 *
 * What we can only detect: the store gives back other bytes than it took (a flipped bit, an early end), or has lost an object that it had
 * acknowledged. Then reading says `object_corrupt` or `object_not_found` and names the object; the bytes are gone all the same.
 */
export interface Faults {
  /** Puts of keys that match fail with `error` once `afterBytes` of the body have gone in. */
  put?: { readonly key: RegExp; readonly afterBytes: number; readonly error: TidemarkError } | undefined;
  /** Puts of keys that match succeed, and are answered with this error all the same: the answer was lost on its way. */
  lose?: { readonly key: RegExp; readonly error: TidemarkError } | undefined;
  /** Reads of keys that match give the byte at `offsetBytes` of the object with its lowest bit flipped. */
  flip?: { readonly key: RegExp; readonly offsetBytes: number } | undefined;
  /** Reads of keys that match end, as if all were well, before the byte at `offsetBytes` of the object. */
  cut?: { readonly key: RegExp; readonly offsetBytes: number } | undefined;
  delete?: { readonly key: RegExp; readonly error: TidemarkError } | undefined;
}

/** A store around a store that fails as `faults` says at the moment of each call. */
export function withFaults(inner: Store, faults: Faults): Store {
  return {
    ...inner,
    async put(key, body, call) {
      const stored = await inner.put(key, failing(key, body instanceof Uint8Array ? once(body) : body), call);
      if (faults.lose?.key.test(key) === true) throw faults.lose.error;
      return stored;
    },
    putDeferred: (key, content, call) => inner.putDeferred(key, { ...content, body: failing(key, content.body) }, call),
    get: (key, call) => damaged(key, inner.get(key, call), call ?? {}),
    async delete(key, call) {
      if (faults.delete?.key.test(key) === true) throw faults.delete.error;
      await inner.delete(key, call);
    },
  };

  async function* failing(key: string, body: ByteStream): AsyncGenerator<Uint8Array> {
    const fault = faults.put?.key.test(key) === true ? faults.put : undefined;
    let passed = 0;
    for await (const chunk of body) {
      if (fault !== undefined && passed + chunk.length >= fault.afterBytes) throw fault.error;
      passed += chunk.length;
      yield chunk;
    }
    if (fault !== undefined) throw fault.error;
  }

  async function* damaged(key: string, bytes: ByteStream, call: GetCall): AsyncGenerator<Uint8Array> {
    const { flip, cut } = faults;
    let at = call.offsetBytes ?? 0;
    for await (const chunk of bytes) {
      const flipAt = flip?.key.test(key) === true ? flip.offsetBytes - at : -1;
      if (flipAt >= 0 && flipAt < chunk.length) chunk.set([(chunk[flipAt] ?? 0) ^ 1], flipAt);
      const cutAt = cut?.key.test(key) === true ? cut.offsetBytes - at : chunk.length;
      if (cutAt > 0) yield chunk.subarray(0, cutAt);
      if (cutAt < chunk.length) return;
      at += chunk.length;
    }
  }
}

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}
