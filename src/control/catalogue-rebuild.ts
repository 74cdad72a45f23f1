import { type Kysely, sql } from "kysely";
import { TidemarkError } from "../core/errors.ts";
import { type AddonId, isAddonId, newObjectId, type ObjectId } from "../core/ids.ts";
import { formatLsn } from "../core/lsn.ts";
import { recipientOf } from "../keys/database-key.ts";
import type { LogicalManifest } from "../repository/logical-manifest.ts";
import { type CatalogueFact, readCatalogueFacts } from "../repository/rebuild.ts";
import type { Repository } from "../repository/repository.ts";
import { newPasswords } from "./addons.ts";
import { baseBackupRow } from "./base-backup.ts";
import type { ControlContext } from "./context.ts";
import { insertOperation } from "./operations.ts";
import type { ControlSchema } from "./schema.ts";

/** The repository doesn't say which plan a database had: the one that keeps the most loses nothing. */
const PLAN_OF_RECOVERED = "postgresql-business-2048";
const RESOURCE_ID = /^(.+)_(\d+)$/;

export interface RebuildReport {
  readonly databases: number;
  /** Databases that the index didn't know. */
  readonly recovered: readonly string[];
  readonly logicalBackups: number;
  readonly baseBackups: number;
  /** What could not be read, with the reason; everything else was. */
  readonly unreadable: readonly string[];
}

export interface RebuildPlace {
  readonly repository: Repository;
  /** The data that this machine still has of a database, with its major version; undefined when it has none. */
  readonly findData: (databaseId: string) => Promise<{ readonly major: number; readonly folder: string } | undefined>;
}

/**
 * Makes the index of backups from the repository and the master key alone; may be called again, also while the platform runs. A database that
 * the index doesn't know comes back as its app's: running, with new passwords, where this machine still has its data, otherwise as one that
 * was removed and whose backups are left.
 */
export async function rebuildCatalogue(
  context: ControlContext,
  place: RebuildPlace,
  signal: AbortSignal,
): Promise<RebuildReport> {
  const report = {
    databases: 0,
    recovered: [] as string[],
    logicalBackups: 0,
    baseBackups: 0,
    unreadable: [] as string[],
  };
  const unwrap = (databaseId: string, wrapped: Uint8Array) => context.secrets.unwrapDatabaseKey(databaseId, wrapped);
  const facts: CatalogueFact[] = [];
  for await (const fact of readCatalogueFacts(place.repository, { unwrap, signal })) {
    if (fact.kind === "database" && facts.length > 0)
      await storeDatabase(context, place, { facts: facts.splice(0), report });
    facts.push(fact);
  }
  if (facts.length > 0) await storeDatabase(context, place, { facts, report });
  return report;
}

interface MutableReport {
  databases: number;
  recovered: string[];
  logicalBackups: number;
  baseBackups: number;
  unreadable: string[];
}

/** One database's facts, in one transaction. */
async function storeDatabase(
  context: ControlContext,
  place: RebuildPlace,
  { facts, report }: { facts: readonly CatalogueFact[]; report: MutableReport },
): Promise<void> {
  const [head] = facts;
  if (head?.kind !== "database" || !isAddonId(head.databaseId)) return;
  const addonId = head.databaseId;
  const manifests = facts.flatMap((fact) => (fact.kind === "logical backup" ? [fact.manifest] : []));
  report.databases += 1;
  if (!(await isKnown(context, addonId))) {
    const resourceId = manifests.at(-1)?.resourceId ?? `recovered_${addonId.slice(3, 11)}_0`;
    await recoverDatabase(context, place, { addonId, resourceId, wrappedIdentity: head.wrappedIdentity });
    report.recovered.push(resourceId);
  }
  await context.database.db.transaction().execute(async (transaction) => {
    for (const manifest of manifests) await storeLogicalBackup(transaction, addonId, manifest);
    await storeLineages(transaction, addonId, facts);
    for (const fact of facts) {
      if (fact.kind !== "base backup") continue;
      const row = baseBackupRow(addonId, fact.manifest);
      await transaction
        .insertInto("base_backups")
        .values(row)
        .onConflict((conflict) => conflict.doNothing())
        .execute();
    }
  });
  report.logicalBackups += manifests.length;
  report.baseBackups += facts.filter(({ kind }) => kind === "base backup").length;
  for (const fact of facts) {
    if (fact.kind === "unreadable") report.unreadable.push(`${fact.databaseId}, ${fact.what}: ${fact.error.message}`);
  }
}

async function isKnown({ database }: ControlContext, addonId: AddonId): Promise<boolean> {
  const row = await database.db
    .selectFrom("databases")
    .select("addon_id")
    .where("addon_id", "=", addonId)
    .executeTakeFirst();
  return row !== undefined;
}

async function recoverDatabase(
  context: ControlContext,
  { findData }: RebuildPlace,
  { addonId, resourceId, wrappedIdentity }: { addonId: AddonId; resourceId: string; wrappedIdentity: Buffer },
): Promise<void> {
  const { secrets, hostId, clock, queue } = context;
  const data = await findData(addonId);
  const passwords = await newPasswords(secrets);
  const recipient = await recipientOf(await secrets.unwrapDatabaseKey(addonId, wrappedIdentity));
  const state = data === undefined ? "removed" : "provisioning";
  await context.database.db.transaction().execute(async (transaction) => {
    const [, appName = resourceId, number = "0"] = RESOURCE_ID.exec(resourceId) ?? [];
    const appId = await ensureApp(transaction, { name: appName.replaceAll("_", "-"), id: newObjectId(clock.now()) });
    await transaction
      .insertInto("addons")
      .values({
        id: addonId,
        app_id: appId,
        name: `recovered-${number}`,
        resource_id: resourceId,
        plan_name: PLAN_OF_RECOVERED,
        state,
        created_at: clock.now(),
        provisioned_at: null,
        removed_at: state === "removed" ? clock.now() : null,
      })
      .execute();
    await transaction
      .insertInto("databases")
      .values({
        addon_id: addonId,
        host_id: hostId,
        major: data?.major ?? context.newDatabaseMajor,
        ...(data === undefined ? {} : { data_folder: data.folder }),
        port: null,
        version: null,
        status: state === "removed" ? "stopped" : "creating",
        status_reason: state === "removed" ? "Only its backups are left" : null,
        ...passwords,
        recipient,
        wrapped_identity: wrappedIdentity,
      })
      .execute();
    // No number is given out twice.
    await sql`select setval('resource_number', greatest((select last_value from resource_number), ${Number(number)}::bigint))`.execute(
      transaction,
    );
    if (state === "removed") return;
    const operation = await insertOperation(transaction, {
      id: newObjectId(clock.now()),
      kind: "provision",
      addonId,
      requestedBy: null,
    });
    await queue.send(operation, hostId, transaction);
  });
}

/** The app of this name, which must be the platform owner's: what is recovered is given to nobody else. */
async function ensureApp(db: Kysely<ControlSchema>, { name, id }: { name: string; id: ObjectId }): Promise<ObjectId> {
  const owner = await db.selectFrom("users").select("id").where("is_platform_owner", "=", true).executeTakeFirst();
  if (owner === undefined) {
    throw new TidemarkError("conflict", "The platform has no owner yet", { hint: "Start it once: npm start." });
  }
  for (let suffix = 0; ; suffix++) {
    const candidate = suffix === 0 ? name : `${name}-recovered-${suffix}`;
    const existing = await db
      .selectFrom("apps")
      .select(["id", "owner_id"])
      .where("name", "=", candidate)
      .where("removed_at", "is", null)
      .executeTakeFirst();
    if (existing?.owner_id === owner.id) return existing.id;
    if (existing !== undefined) continue;
    await db.insertInto("apps").values({ id, name: candidate, owner_id: owner.id, removed_at: null }).execute();
    return id;
  }
}

/** A committed backup is done, whatever its operation came to. */
async function storeLogicalBackup(
  db: Kysely<ControlSchema>,
  addonId: AddonId,
  manifest: LogicalManifest,
): Promise<void> {
  const backupId = manifest.backupId as ObjectId; // 24 hex digits, checked when the manifest was read
  const ended = {
    state: "done" as const,
    ended_at: new Date(manifest.finishedAt),
    error_code: null,
    error_message: null,
    error_hint: null,
  };
  const values = {
    name: manifest.archive.fileName.replace(/\.tar\.gz$/, ""),
    size_bytes: manifest.archive.sizeBytes,
    sha256: manifest.archive.sha256,
  };
  const known = await db.selectFrom("backups").select("operation_id").where("id", "=", backupId).executeTakeFirst();
  if (known !== undefined) {
    await db.updateTable("backups").set(values).where("id", "=", backupId).execute();
    await db
      .updateTable("operations")
      .set(ended)
      .where("id", "=", known.operation_id)
      .where("state", "=", "error")
      .execute();
    return;
  }
  const startedAt = new Date(manifest.startedAt);
  await db
    .insertInto("operations")
    .values({
      id: backupId,
      kind: "logical_backup",
      addon_id: addonId,
      created_at: startedAt,
      started_at: startedAt,
      progress_bytes: manifest.dump.sizeBytes,
      ...ended,
    })
    .execute();
  await db
    .insertInto("backups")
    .values({
      id: backupId,
      addon_id: addonId,
      operation_id: backupId,
      method: manifest.method,
      created_at: startedAt,
      ...values,
    })
    .execute();
}

/** Each lineage ends where the next one begins; the newest goes on. */
async function storeLineages(
  db: Kysely<ControlSchema>,
  addonId: AddonId,
  facts: readonly CatalogueFact[],
): Promise<void> {
  const lineages = facts.flatMap((fact) => (fact.kind === "lineage" ? [fact] : []));
  for (const [index, { record, inventory }] of lineages.entries()) {
    const next = lineages[index + 1];
    await db
      .insertInto("lineages")
      .values({
        id: record.lineage,
        addon_id: addonId,
        system_id: record.systemId,
        reason: record.reason,
        begun_at: new Date(record.createdAt),
        ended_at: next === undefined ? null : new Date(next.record.createdAt),
        last_recoverable_at: null,
      })
      .onConflict((conflict) => conflict.column("id").doNothing())
      .execute();
    for (const gap of inventory.gaps) {
      await db
        .insertInto("wal_gaps")
        .values({
          addon_id: addonId,
          lineage: record.lineage,
          timeline: gap.timeline,
          from_lsn: formatLsn(gap.from),
          to_lsn: formatLsn(gap.to),
          last_recoverable_at: null,
          found_at: new Date(record.createdAt),
        })
        .onConflict((conflict) => conflict.doNothing())
        .execute();
    }
  }
}
