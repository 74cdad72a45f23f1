import { availableParallelism } from "node:os";
import type { Insertable, Transaction } from "kysely";
import { captureBaseBackup, type WalRange } from "../capture/base-backup.ts";
import { TidemarkError } from "../core/errors.ts";
import { isObjectId, newObjectId, type AddonId } from "../core/ids.ts";
import { formatLsn, parseLsn, toWalSegmentSize } from "../core/lsn.ts";
import { REPLICATION_ROLE } from "../instances/managed-roles.ts";
import { clientConfig } from "../postgres/connection.ts";
import type { ReplicationTarget } from "../postgres/replication/replication-connection.ts";
import { type BaseBackupManifest, listBaseBackups, readBaseBackup } from "../repository/base-backup-set.ts";
import { readDatabaseKey, writeDatabaseKey } from "../repository/database-keys.ts";
import { openPhysicalArchive, type PhysicalArchive } from "../repository/physical-archive.ts";
import { readLineage as readLineageRecord } from "../repository/lineages.ts";
import type { LineageId } from "../repository/physical-layout.ts";
import { isWalStored } from "../repository/wal-inventory.ts";
import type { Repository } from "../repository/repository.ts";
import { type ControlContext, unwrapText } from "./context.ts";
import { readEventAddon, recordDatabaseEvent } from "./events.ts";
import type { BaseBackupTable, ControlSchema } from "./schema.ts";
import type { OperationHandler, OperationWork, StoreResult } from "./operation-runner.ts";

/** How often the stream's progress is looked at while a finished copy waits for its last write-ahead log. */
const WAL_POLL_MS = 250;
/** A receiver that doesn't bring the log of a finished copy by then has a trouble of its own; the copy is taken again later. */
const WAL_TIMEOUT_MS = 10 * 60_000;

/** While one frame is sealed and written, the others keep all cores busy. */
const SPARE_FRAMES = 1;
/** Of an id's 24 digits, those that tell its time. */
const ID_TIME_DIGITS = 12;

/** Where the servers and the repository of this machine's databases are. */
export interface ContinuousPlace {
  readonly repository: Repository;
  /** Folder of the sockets of this machine's databases. */
  readonly socketFolder: string;
}

/** A database as the replication protocol reaches it, and its part of the repository. Holds secrets. */
export interface ContinuousSource {
  readonly addonId: AddonId;
  readonly archive: PhysicalArchive;
  readonly target: ReplicationTarget;
}

/** Opens the database's part of the repository and tells how to reach its server as the replication role. */
export async function openContinuousSource(
  { database, secrets }: ControlContext,
  { repository, socketFolder }: ContinuousPlace,
  { addonId, applicationName }: { addonId: AddonId; applicationName: string },
): Promise<ContinuousSource> {
  const row = await database.db
    .selectFrom("databases")
    .select(["port", "recipient", "wrapped_identity", "wrapped_replication_password"])
    .where("addon_id", "=", addonId)
    .executeTakeFirstOrThrow();
  if (row.port === null) throw new TidemarkError("server_not_running", `The database ${addonId} has no server`);
  await keepDatabaseKey(repository, addonId, row.wrapped_identity);
  const identity = await secrets.unwrapDatabaseKey(addonId, row.wrapped_identity);
  const password = await unwrapText(secrets, row.wrapped_replication_password, `replication password of ${addonId}`);
  const archive = openPhysicalArchive({
    repository,
    databaseId: addonId,
    recipients: [row.recipient],
    identity,
    framesInFlight: availableParallelism() + SPARE_FRAMES,
  });
  const connection = { host: socketFolder, port: row.port, user: REPLICATION_ROLE, password, database: "postgres" };
  return { addonId, archive, target: { client: clientConfig(connection), applicationName } };
}

/** Before the first byte that it opens, so that the repository and the master key suffice. A store that is full can still be read: what is there isn't written anew. */
async function keepDatabaseKey(repository: Repository, addonId: AddonId, wrappedIdentity: Buffer): Promise<void> {
  const kept = await readDatabaseKey(repository, addonId);
  if (kept?.equals(wrappedIdentity) !== true) await writeDatabaseKey(repository, addonId, wrappedIdentity);
}

/**
 * Handler of `base_backup`: copies the whole cluster into the repository while it runs, and commits the copy when all log that it needs is
 * stored. Each attempt begins anew under an id of its own; what an interrupted one left belongs to nothing, and a sweep takes it.
 */
export function baseBackupHandler(
  context: ControlContext,
  // Bytes a second; null for no limit.
  place: ContinuousPlace & { readonly baseBackupRateBytes: number | null },
): OperationHandler {
  return async (work) => {
    const { addon_id: addonId } = work.operation;
    const lineage = await readLineage(context, addonId);
    const source = await openContinuousSource(context, place, { addonId, applicationName: "tidemark base backup" });
    const label = `tidemark ${work.operation.id}`;
    const committed = await findCommitted(source.archive, {
      label,
      since: work.operation.created_at,
      signal: work.signal,
    });
    const manifest =
      committed ?? (await capture(context, { source, lineage, label, work, rateBytes: place.baseBackupRateBytes }));
    reportSuspectPages(work, manifest);
    return storeBaseBackup(addonId, manifest, context.clock.now());
  };
}

/** What an earlier attempt of this operation committed before it could tell the control database. */
async function findCommitted(
  archive: PhysicalArchive,
  { label, since, signal }: { label: string; since: Date; signal: AbortSignal },
): Promise<BaseBackupManifest | undefined> {
  const first = newObjectId(since).slice(0, ID_TIME_DIGITS);
  for await (const id of listBaseBackups(archive, signal)) {
    // Ids begin with their time: older backups need not be read.
    if (id.slice(0, ID_TIME_DIGITS) < first) continue;
    const manifest = await readBaseBackup(archive, id, signal);
    if (manifest.label === label) return manifest;
  }
  return undefined;
}

async function capture(
  context: ControlContext,
  {
    source,
    lineage,
    label,
    work,
    rateBytes,
  }: {
    source: ContinuousSource;
    lineage: LineageFacts;
    label: string;
    work: OperationWork;
    rateBytes: number | null;
  },
): Promise<BaseBackupManifest> {
  const { addonId, archive } = source;
  const isFirst = await isFirstBaseBackup(context, addonId);
  return await captureBaseBackup(
    archive,
    {
      backupId: newObjectId(context.clock.now()),
      lineage: lineage.id,
      systemId: lineage.systemId,
      target: source.target,
      clock: context.clock,
      label,
      // Until the first one is done nothing can be restored; later ones spare the disks.
      checkpoint: isFirst ? "fast" : "spread",
      ...(rateBytes === null ? {} : { rateLimitBytes: rateBytes }),
      waitForWal: (range, signal) => waitForWal(context, { addonId, archive, lineage: lineage.id, range, signal }),
      onProgress: ({ doneBytes }) => work.progress(doneBytes),
    },
    work.signal,
  );
}

type LineageFacts = Awaited<ReturnType<typeof readLineage>>;

async function readLineage({ database }: ControlContext, addonId: AddonId) {
  const row = await database.db
    .selectFrom("lineages")
    .select(["id", "system_id as systemId"])
    .where("addon_id", "=", addonId)
    .where("ended_at", "is", null)
    .executeTakeFirst();
  if (row === undefined || !isObjectId(row.id)) {
    throw new TidemarkError("server_not_running", "The database's write-ahead log is not streamed yet", {
      hint: "The base backup is tried again by itself.",
    });
  }
  return { id: row.id, systemId: row.systemId };
}

async function isFirstBaseBackup({ database }: ControlContext, addonId: AddonId): Promise<boolean> {
  const row = await database.db
    .selectFrom("base_backups")
    .select("id")
    .where("addon_id", "=", addonId)
    .executeTakeFirst();
  return row === undefined;
}

interface WantedWal {
  readonly addonId: AddonId;
  readonly archive: PhysicalArchive;
  readonly lineage: LineageId;
  readonly range: WalRange;
  readonly signal: AbortSignal;
}

/** The receiver may run in another worker: the control database says how far it has come. */
async function waitForWal({ database, clock }: ControlContext, wanted: WantedWal): Promise<void> {
  const deadlineMs = clock.now().getTime() + WAL_TIMEOUT_MS;
  for (;;) {
    const stream = await database.db
      .selectFrom("wal_streams")
      .select(["lineage", "timeline", "stored_lsn"])
      .where("addon_id", "=", wanted.addonId)
      .executeTakeFirst();
    if (stream?.lineage !== undefined && stream.lineage !== wanted.lineage) {
      throw new TidemarkError("lineage_diverged", "The server began another history while it was copied");
    }
    if (stream !== undefined && hasReached(stream, wanted.range)) return await requireStored(wanted);
    if (clock.now().getTime() > deadlineMs) {
      throw new TidemarkError(
        "base_backup_failed",
        `The write-ahead log up to ${formatLsn(wanted.range.stop)} was not stored in time`,
        {
          hint: "tidemark database-pitr-recovery-window says what the stream of the log does.",
        },
      );
    }
    await clock.sleep(WAL_POLL_MS, wanted.signal);
  }
}

/** The stream's last word may be about the branch that the server was on before a restore. */
function hasReached(
  stream: { readonly timeline: number | null; readonly stored_lsn: string | null },
  { timeline, stop }: WalRange,
): boolean {
  if (stream.timeline === null || stream.stored_lsn === null) return false;
  return stream.timeline > timeline || (stream.timeline === timeline && parseLsn(stream.stored_lsn) >= stop);
}

/** The repository has the last word: a stream may have come this far over a hole. */
async function requireStored({ archive, lineage, range, signal }: WantedWal): Promise<void> {
  const { segmentSizeBytes } = await readLineageRecord(archive, lineage, signal);
  const place = { lineage, segmentSize: toWalSegmentSize(segmentSizeBytes) };
  if (await isWalStored(archive, place, range, signal)) return;
  throw new TidemarkError(
    "base_backup_failed",
    `The write-ahead log from ${formatLsn(range.start)} on is not stored without a hole`,
    {
      hint: "The base backup is taken again by itself.",
    },
  );
}

function reportSuspectPages({ logger }: OperationWork, { suspectPages }: BaseBackupManifest): void {
  if (suspectPages.count === 0) return;
  logger.error({ count: suspectPages.count, pages: suspectPages.named }, "pages with a wrong checksum were copied");
}

function storeBaseBackup(addonId: AddonId, manifest: BaseBackupManifest, at: Date): StoreResult {
  return async (transaction) => {
    await transaction.insertInto("base_backups").values(baseBackupRow(addonId, manifest)).execute();
    await transaction
      .updateTable("wal_streams")
      .set({ rebase_reason: null })
      .where("addon_id", "=", addonId)
      .where("lineage", "=", manifest.lineage)
      .execute();
    await recordBaseBackup(transaction, { addonId, manifest, at });
  };
}

async function recordBaseBackup(
  transaction: Transaction<ControlSchema>,
  { addonId, manifest, at }: { addonId: AddonId; manifest: BaseBackupManifest; at: Date },
): Promise<void> {
  const addon = await readEventAddon(transaction, addonId);
  const event = { actor: "platform", at } as const;
  const data = { base_backup_id: manifest.backupId, ended_at: manifest.finishedAt };
  await recordDatabaseEvent(transaction, addon, { ...event, type: "database_base_backup_succeeded", data });
  const { count, named } = manifest.suspectPages;
  if (count === 0) return;
  const [first] = named;
  const where = first === undefined ? "" : `, the first is page ${first.page} of "${first.path}"`;
  const damage = `pages with a wrong checksum were copied: ${count}${where}`;
  await recordDatabaseEvent(transaction, addon, { ...event, type: "database_damage_found", data: { damage } });
}

/** A committed base backup's row in the index. */
export function baseBackupRow(addonId: AddonId, manifest: BaseBackupManifest): Insertable<BaseBackupTable> {
  return {
    id: manifest.backupId,
    addon_id: addonId,
    lineage: manifest.lineage,
    timeline: manifest.timeline,
    start_lsn: manifest.startLsn,
    stop_lsn: manifest.stopLsn,
    started_at: new Date(manifest.startedAt),
    finished_at: new Date(manifest.finishedAt),
    data_bytes: manifest.dataBytes,
    stored_bytes: manifest.volumes.reduce((sum, volume) => sum + volume.storedBytes, 0),
    suspect_pages: manifest.suspectPages.count,
  };
}
