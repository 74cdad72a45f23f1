import { z } from "zod";
import { isErrorCode, TidemarkError } from "../core/errors.ts";
import type { Store } from "../storage/store.ts";
import { readAll } from "../stream/byte-stream.ts";
import { REPOSITORY_MARKER_KEY } from "./layout.ts";

/** The version that this program writes and the newest that it reads; docs/format.md says what changed in each. */
export const REPOSITORY_FORMAT_VERSION = 1;

/** The marker has about 150 bytes. */
const MARKER_BYTES_MAX = 64 * 1024;

/** A store that holds a repository of ours. */
export interface Repository {
  readonly store: Store;
  /** Given at creation; tells two repositories apart. */
  readonly id: string;
  readonly formatVersion: number;
}

export interface RepositoryCreation {
  readonly id: string;
  readonly now: Date;
}

const markerSchema = z.object({
  format: z.literal("tidemark"),
  version: z.int().min(1),
  id: z.string().min(1),
  createdAt: z.iso.datetime(),
});

/**
 * Opens the repository of a store. May be called by several processes at once, also on an empty store: one of them creates it.
 *
 * @param options.create makes the repository when the store has none.
 * @throws `object_not_found` when there is none and `create` is absent, `format_too_new` for a repository of a later version, `object_corrupt` when its
 *   marker can't be read.
 */
export async function openRepository(
  store: Store,
  options: { readonly create?: RepositoryCreation; readonly signal?: AbortSignal } = {},
): Promise<Repository> {
  const call = options.signal === undefined ? {} : { signal: options.signal };
  if (options.create !== undefined && (await store.head(REPOSITORY_MARKER_KEY, call)) === undefined)
    await writeMarker(store, options.create, call);
  const bytes = await readAll(store.get(REPOSITORY_MARKER_KEY, call), MARKER_BYTES_MAX);
  const marker = parseMarker(bytes.toString("utf8"));
  return { store, id: marker.id, formatVersion: marker.version };
}

async function writeMarker(store: Store, creation: RepositoryCreation, call: { signal?: AbortSignal }): Promise<void> {
  const marker: z.infer<typeof markerSchema> = {
    format: "tidemark",
    version: REPOSITORY_FORMAT_VERSION,
    id: creation.id,
    createdAt: creation.now.toISOString(),
  };
  try {
    await store.put(REPOSITORY_MARKER_KEY, Buffer.from(`${JSON.stringify(marker, undefined, 2)}\n`), call);
  } catch (error) {
    if (!isErrorCode(error, "object_exists")) throw error; // another process was first: its marker counts
  }
}

function parseMarker(text: string): z.infer<typeof markerSchema> {
  const json = parseJson(text);
  const version = z.object({ format: z.literal("tidemark"), version: z.int() }).safeParse(json);
  if (version.success && version.data.version > REPOSITORY_FORMAT_VERSION)
    throw new TidemarkError(
      "format_too_new",
      `Cannot open the repository: its format is ${version.data.version}, this program reads up to ${REPOSITORY_FORMAT_VERSION}`,
      { hint: "Use the version of Tidemark that wrote it, or a later one" },
    );
  const marker = markerSchema.safeParse(json);
  if (!marker.success)
    throw new TidemarkError("object_corrupt", `Cannot open the repository: "${REPOSITORY_MARKER_KEY}" is damaged`, {
      hint: "Restore this small file from a copy of the repository; docs/format.md shows its fields",
      cause: marker.error,
    });
  return marker.data;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined; // refused by the schema, with the object's name
  }
}
