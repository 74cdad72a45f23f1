import { z } from "zod";
import { TidemarkError } from "../core/errors.ts";
import { isObjectId } from "../core/ids.ts";
import { type PhysicalArchive, type WriteCall, readSmallObject, writeSmallObject } from "./physical-archive.ts";
import { type LineageId, lineageKey, lineagePrefix } from "./physical-layout.ts";

/** Version of the record's format; a reader refuses later ones. */
const LINEAGE_FORMAT = 1;

const lineageId = z.custom<LineageId>((value) => typeof value === "string" && isObjectId(value));

const lineageSchema = z.object({
  format: z.literal(LINEAGE_FORMAT),
  lineage: lineageId,
  /** 64 bits, as text. Copies of a cluster share it. */
  systemId: z.string(),
  segmentSizeBytes: z.number().int(),
  createdAt: z.iso.datetime(),
  /** Why it was begun: the first one, or how the server contradicted the one before. */
  reason: z.enum(["first", "other system", "went back", "other history", "other bytes"]),
});

export type Lineage = z.infer<typeof lineageSchema>;
export type LineageReason = Lineage["reason"];

/** Writes a lineage's record, before the first byte of its WAL. */
export async function writeLineage(archive: PhysicalArchive, lineage: Lineage, call: WriteCall = {}): Promise<void> {
  const bytes = Buffer.from(JSON.stringify(lineageSchema.parse(lineage)));
  await writeSmallObject(archive, lineageKey(archive.prefix, lineage.lineage), bytes, call);
}

/** @throws `object_not_found`, `object_corrupt`, `key_missing` */
export async function readLineage(
  archive: PhysicalArchive,
  lineage: LineageId,
  signal?: AbortSignal,
): Promise<Lineage> {
  const key = lineageKey(archive.prefix, lineage);
  const bytes = await readSmallObject(archive, key, signal);
  try {
    return lineageSchema.parse(JSON.parse(bytes.toString("utf8")));
  } catch (error) {
    throw new TidemarkError("object_corrupt", `Cannot read "${key}": it is no lineage's record`, { cause: error });
  }
}

/** All lineages of the database, oldest first; the last one is what is streamed into. */
export async function listLineages(archive: PhysicalArchive, signal?: AbortSignal): Promise<readonly LineageId[]> {
  const prefix = lineagePrefix(archive.prefix);
  const lineages: LineageId[] = [];
  for await (const object of archive.store.list(prefix, signal === undefined ? {} : { signal })) {
    const id = object.key.slice(prefix.length).split(".")[0] ?? "";
    if (isObjectId(id)) lineages.push(id);
  }
  return lineages;
}
