import { sql } from "kysely";
import type { Clock } from "../core/clock.ts";
import type { AddonId } from "../core/ids.ts";
import { listDataFolders, removeDataFolder } from "../instances/data-folders.ts";
import type { ControlContext } from "./context.ts";

/** Operations that may be about to use, or are making, a data folder. */
const USERS_OF_FOLDERS = ["pitr_restore", "pitr_undo", "pitr_swap"] as const;

/**
 * Removes the data folders of one database that it no longer needs: replaced ones whose time is over, and what an interrupted restore left. Its own, those that are kept
 * and those of open operations stay.
 *
 * @param databaseFolder holds them
 */
export async function sweepDataFolders(
  { database, logger, clock }: Pick<ControlContext, "database" | "logger"> & { readonly clock: Clock },
  { addonId, databaseFolder }: { addonId: AddonId; databaseFolder: string },
): Promise<void> {
  const { db } = database;
  // Before the rows: a folder is noted in a journal before it is made.
  const names = await listDataFolders(databaseFolder);
  if (names.length <= 1) return;
  const wanted = await db.transaction().execute(async (transaction) => {
    // An undoing that begins now locks the same row, and finds the folder still noted or not at all.
    const { data_folder: own } = await transaction
      .selectFrom("databases")
      .select("data_folder")
      .where("addon_id", "=", addonId)
      .forUpdate()
      .executeTakeFirstOrThrow();
    const journals = await transaction
      .selectFrom("point_in_time_operations as journal")
      .innerJoin("operations", "operations.id", "journal.operation_id")
      .select("journal.data_folder")
      .where("journal.addon_id", "=", addonId)
      .where("operations.kind", "in", USERS_OF_FOLDERS)
      .where("operations.state", "in", ["scheduled", "running"])
      .execute();
    if (journals.length === 0) {
      await transaction
        .deleteFrom("kept_data_folders")
        .where("addon_id", "=", addonId)
        .where("kept_until", "<=", sql<Date>`now()`)
        .execute();
    }
    const kept = await transaction
      .selectFrom("kept_data_folders")
      .select("name")
      .where("addon_id", "=", addonId)
      .execute();
    return new Set([own, ...journals.map((row) => row.data_folder), ...kept.map(({ name }) => name)]);
  });
  for (const name of names) {
    if (wanted.has(name)) continue;
    await removeDataFolder(databaseFolder, name, clock);
    logger.info({ addon: addonId, folder: name }, "a data folder that is no longer needed was removed");
  }
}
