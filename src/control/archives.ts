import { TidemarkError } from "../core/errors.ts";
import { openLogicalArchive } from "../repository/logical-archive.ts";
import { readLogicalManifest } from "../repository/logical-manifest.ts";
import type { Repository } from "../repository/repository.ts";
import type { OpenArchive } from "./backups.ts";
import type { ControlContext } from "./context.ts";

/** Opens the archives of finished backups: the manifest in the repository says what there is, the database's own key opens it. */
export function archiveOpener({ database, secrets }: ControlContext, repository: Repository): OpenArchive {
  return async (backup) => {
    const { wrapped_identity: wrapped } = await database.db
      .selectFrom("databases")
      .select("wrapped_identity")
      .where("addon_id", "=", backup.addonId)
      .executeTakeFirstOrThrow();
    const identity = await secrets.unwrapDatabaseKey(backup.addonId, wrapped);
    const manifest = await readLogicalManifest(
      repository,
      { databaseId: backup.addonId, backupId: backup.id },
      identity,
    );
    if (manifest === undefined) {
      throw new TidemarkError("object_not_found", `The repository has no manifest of the backup ${backup.id}`, {
        hint: "Somebody removed it from the storage; take another backup.",
      });
    }
    const archive = await openLogicalArchive(repository, manifest, identity);
    return {
      backupId: backup.id,
      fileName: archive.fileName,
      sizeBytes: archive.sizeBytes,
      sha256: manifest.archive.sha256,
      read: ({ offset, lengthBytes, signal }) => archive.read({ offsetBytes: offset, lengthBytes }, signal),
    };
  };
}
