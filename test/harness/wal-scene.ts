import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import {
  type ReceiverIncident,
  type WalReceiver,
  type WalReceiverOptions,
  type WalReceiverStatus,
  startWalReceiver,
} from "../../src/capture/wal/wal-receiver.ts";
import { systemClock } from "../../src/core/clock.ts";
import { type Lsn, type SegmentName, parseLsn } from "../../src/core/lsn.ts";
import type { PhysicalArchive } from "../../src/repository/physical-archive.ts";
import type { LineageId } from "../../src/repository/physical-layout.ts";
import { readLineage } from "../../src/repository/lineages.ts";
import { type WalInventory, readWalInventory } from "../../src/repository/wal-inventory.ts";
import { readSegment } from "../../src/repository/wal-segment.ts";
import { toWalSegmentSize } from "../../src/core/lsn.ts";
import type { PostgresServer } from "./postgres-server.ts";
import { type CleanUp, makeTempFolder } from "./temp-folder.ts";

export const SLOT = "tidemark";
export const APPLICATION = "tidemark_test";
/** Generous: the machine is shared. */
const DEADLINE_MS = 60_000;

export interface WalScene {
  readonly receiver: WalReceiver;
  readonly incidents: ReceiverIncident[];
}

/** A receiver on a server, closed at the test's end. */
export async function receiveWal(
  cleanUp: CleanUp,
  server: Pick<PostgresServer, "client">,
  archive: PhysicalArchive,
  overrides: Partial<WalReceiverOptions> = {},
): Promise<WalScene> {
  const incidents: ReceiverIncident[] = [];
  const receiver = startWalReceiver({
    archive,
    target: { client: server.client(), applicationName: APPLICATION },
    slotName: SLOT,
    spoolFolder: join(await makeTempFolder(cleanUp), "spool"),
    clock: systemClock,
    pieceIntervalMs: 200,
    onIncident: (incident) => void incidents.push(incident),
    ...overrides,
  });
  cleanUp.after(() => receiver.close());
  return { receiver, incidents };
}

/** Waits for a condition on the receiver's status. */
export async function until(receiver: WalReceiver, condition: (status: WalReceiverStatus) => boolean): Promise<void> {
  try {
    await receiver.when(condition, AbortSignal.timeout(DEADLINE_MS));
  } catch (error) {
    throw new Error(`The receiver didn't get there: ${describe(receiver.status)}`, { cause: error });
  }
}

/** Waits until everything that the server has flushed now is stored. @returns that position */
export async function untilStored(receiver: WalReceiver, server: PostgresServer): Promise<Lsn> {
  const flushed = parseLsn(await server.value("select pg_current_wal_flush_lsn()"));
  await until(receiver, ({ durable }) => durable !== undefined && durable.lsn >= flushed);
  return flushed;
}

/** Waits until a condition holds that nothing announces. */
export async function eventually(what: string, condition: () => Promise<boolean> | boolean): Promise<void> {
  const deadline = Date.now() + DEADLINE_MS;
  while (!(await condition())) {
    if (Date.now() > deadline) throw new Error(`Still not so: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

export async function inventoryOf(archive: PhysicalArchive, lineage: LineageId | undefined): Promise<WalInventory> {
  if (lineage === undefined) throw new Error("no lineage");
  const { segmentSizeBytes } = await readLineage(archive, lineage);
  return readWalInventory(archive, { lineage, segmentSize: toWalSegmentSize(segmentSizeBytes) });
}

/** SHA-256 of the first bytes of each stored segment, beside that of the server's own file. */
export async function compareWithServer(
  archive: PhysicalArchive,
  inventory: WalInventory,
  server: PostgresServer,
): Promise<Map<SegmentName, { readonly stored: string; readonly server: string }>> {
  const digests = new Map<SegmentName, { stored: string; server: string }>();
  for (const [name, { pieces, contiguousBytes }] of inventory.segments) {
    const hash = createHash("sha256");
    for await (const chunk of readSegment(archive, pieces)) hash.update(chunk);
    const file = await readFile(join(server.dataFolder, "pg_wal", name));
    const expected = createHash("sha256").update(file.subarray(0, contiguousBytes)).digest("hex");
    digests.set(name, { stored: hash.digest("hex"), server: expected });
  }
  return digests;
}

function describe(status: WalReceiverStatus): string {
  return JSON.stringify(status, (_, value: unknown) => {
    if (typeof value === "bigint") return value.toString(16);
    return value instanceof Error ? value.message : value;
  });
}
