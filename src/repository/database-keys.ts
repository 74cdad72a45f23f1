import { isErrorCode } from "../core/errors.ts";
import { readAll } from "../stream/byte-stream.ts";
import { DATABASE_KEYS_PREFIX, databaseIdOfKey, databaseKeyKey } from "./layout.ts";
import type { Repository } from "./repository.ts";

/** A wrapped identity has some 300 bytes, and 1,600 more for each post-quantum recipient. */
const WRAPPED_KEY_BYTES_MAX = 64 * 1024;

interface Call {
  readonly signal?: AbortSignal;
}

/**
 * Keeps a database's wrapped identity beside its backups, so that the master key alone opens them. Called again with other bytes (wrapped to
 * another recipient, say) it replaces them.
 */
export async function writeDatabaseKey(
  { store }: Repository,
  databaseId: string,
  wrappedIdentity: Uint8Array,
  call: Call = {},
): Promise<void> {
  await store.put(databaseKeyKey(databaseId), wrappedIdentity, { ...call, overwrite: true });
}

/** The wrapped identity, undefined when the repository has none for this database. */
export async function readDatabaseKey(
  { store }: Repository,
  databaseId: string,
  call: Call = {},
): Promise<Buffer | undefined> {
  try {
    return await readAll(store.get(databaseKeyKey(databaseId), call), WRAPPED_KEY_BYTES_MAX);
  } catch (error) {
    if (isErrorCode(error, "object_not_found")) return undefined;
    throw error;
  }
}

/** Removes the key: nothing of this database can be opened any more. May be called again. */
export async function deleteDatabaseKey({ store }: Repository, databaseId: string, call: Call = {}): Promise<void> {
  await store.delete(databaseKeyKey(databaseId), call);
}

/** The ids of all databases that the repository has a key for, ascending. */
export async function* listDatabaseIds({ store }: Repository, call: Call = {}): AsyncGenerator<string> {
  for await (const { key } of store.list(DATABASE_KEYS_PREFIX, call)) {
    const databaseId = databaseIdOfKey(key);
    if (databaseId !== undefined) yield databaseId;
  }
}
