import { type Kysely, sql } from "kysely";
import type { AddonId } from "../core/ids.ts";
import type { Backup, BackupStatus } from "./model.ts";
import type { ControlSchema } from "./schema.ts";

type Db = Kysely<ControlSchema>;

/** Backups as users see them, newest first: the row is the index of the repository, the state is the operation's. */
export async function readBackups(
  db: Db,
  { addonId, status, limit }: { addonId: AddonId; status?: BackupStatus; limit: number },
): Promise<Backup[]> {
  let query = backupQuery(db).where("backups.addon_id", "=", addonId);
  if (status !== undefined) query = query.where("operations.state", "=", status);
  const rows = await query.orderBy("backups.id", "desc").limit(limit).execute();
  return rows.map(backupOf);
}

/** One backup by id; undefined when there is none. */
export async function readBackup(db: Db, backupId: string): Promise<Backup | undefined> {
  const row = await backupQuery(db)
    .where(sql`backups.id`, "=", backupId)
    .executeTakeFirst();
  return row === undefined ? undefined : backupOf(row);
}

function backupQuery(db: Db) {
  return (
    db
      .selectFrom("backups")
      .innerJoin("operations", "operations.id", "backups.operation_id")
      // One whose removal has begun is half there at best.
      .where("backups.removal_began_at", "is", null)
      .select([
        "backups.id",
        "backups.addon_id",
        "backups.method",
        "backups.name",
        "backups.size_bytes",
        "backups.created_at",
        "operations.state",
        "operations.progress_bytes",
        "operations.started_at",
        "operations.ended_at",
        "operations.error_code",
        "operations.error_message",
        "operations.error_hint",
      ])
  );
}

type Row = Awaited<ReturnType<ReturnType<typeof backupQuery>["executeTakeFirstOrThrow"]>>;

function backupOf(row: Row): Backup {
  return {
    id: row.id,
    addonId: row.addon_id,
    method: row.method,
    status: row.state,
    name: row.name,
    sizeBytes: row.size_bytes,
    progressBytes: row.progress_bytes,
    createdAt: row.created_at,
    startedAt: row.started_at,
    endedAt: row.ended_at,
    retention: null,
    error:
      row.error_code === null ? null : { code: row.error_code, message: row.error_message ?? "", hint: row.error_hint },
  };
}
