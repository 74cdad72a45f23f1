import { assert } from "../core/assert.ts";
import type { Clock } from "../core/clock.ts";
import { TidemarkError } from "../core/errors.ts";
import { assertKey } from "./key.ts";
import type { ByteStream, GetCall, PutCall, Store, StoredObject } from "./store.ts";
import { untilAborted } from "./until-aborted.ts";

/** Chunk in which `get` hands out bytes; small, so that readers meet several chunks in tests. */
const CHUNK_BYTES = 64 * 1024;

interface Entry {
  readonly bytes: Uint8Array;
  readonly modifiedAt: Date;
}

/** A store in memory for tests and rehearsals: the whole contract but surviving the process. */
export function openMemoryStore(clock: Clock): Store {
  const entries = new Map<string, Entry>();

  function commit(key: string, bytes: Uint8Array, call: PutCall): StoredObject {
    call.signal?.throwIfAborted();
    if (entries.has(key) && call.overwrite !== true)
      throw new TidemarkError("object_exists", `Cannot store "${key}": an object of this name exists`);
    const entry = { bytes, modifiedAt: clock.now() };
    entries.set(key, entry);
    return described(key, entry);
  }

  return {
    async put(key, body, call = {}) {
      assertKey(key);
      return commit(key, await collect(body, call.signal), call);
    },

    async putDeferred(key, content, call = {}) {
      assertKey(key);
      const body = await collect(content.body, call.signal);
      const head = await content.head();
      assert(head.length === content.headSizeBytes || body.length === 0, "the head fills its place");
      return commit(key, Buffer.concat([head, body]), call);
    },

    get: (key, call = {}) => {
      assertKey(key);
      return read(key, () => entries.get(key), call);
    },

    async head(key, call = {}) {
      assertKey(key);
      call.signal?.throwIfAborted();
      const entry = entries.get(key);
      return entry === undefined ? undefined : described(key, entry);
    },

    async *list(prefix, call = {}) {
      for (const key of [...entries.keys()].filter((name) => name.startsWith(prefix)).sort()) {
        call.signal?.throwIfAborted();
        const entry = entries.get(key);
        if (entry !== undefined) yield described(key, entry);
      }
    },

    async delete(key, call = {}) {
      assertKey(key);
      call.signal?.throwIfAborted();
      entries.delete(key);
    },

    async sweepUploads() {
      return 0; // an unfinished put holds nothing here once it has ended
    },
  };
}

function described(key: string, entry: Entry): StoredObject {
  return { key, sizeBytes: entry.bytes.length, modifiedAt: entry.modifiedAt };
}

async function collect(body: ByteStream | Uint8Array, signal: AbortSignal | undefined): Promise<Uint8Array> {
  if (body instanceof Uint8Array) return Buffer.from(body);
  const chunks: Uint8Array[] = [];
  for await (const chunk of untilAborted(body, signal)) chunks.push(chunk);
  return Buffer.concat(chunks);
}

async function* read(key: string, find: () => Entry | undefined, call: GetCall): AsyncGenerator<Uint8Array> {
  call.signal?.throwIfAborted();
  const entry = find();
  if (entry === undefined)
    throw new TidemarkError("object_not_found", `Cannot read "${key}": there is no such object in the repository`);
  const from = call.offsetBytes ?? 0;
  const to = call.lengthBytes === undefined ? entry.bytes.length : from + call.lengthBytes;
  if (from > entry.bytes.length || to > entry.bytes.length)
    throw new TidemarkError(
      "range_not_satisfiable",
      `Cannot read bytes ${from} to ${to} of "${key}": it has ${entry.bytes.length}`,
    );
  for (let at = from; at < to; at += CHUNK_BYTES) {
    call.signal?.throwIfAborted();
    yield Buffer.from(entry.bytes.subarray(at, Math.min(to, at + CHUNK_BYTES)));
  }
}
