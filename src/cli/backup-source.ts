import type { ApiClient } from "./client.ts";
import type { CommandCall } from "./command.ts";
import { openDatabaseTarget } from "./database-target.ts";

/** Whose backups a command reads, and the way to them. */
export interface BackupSource {
  readonly api: ApiClient;
  /** Names the database in the API's paths. */
  readonly addon: string;
  /** The command that makes a backup; undefined where none can be made. */
  readonly createCommand: string | undefined;
}

/** The flag that `openBackupSource` obeys. */
export const RESOURCE_OPTION = {
  flags: "--resource <id>",
  summary: "Resource id of a database, such as my_app_4553, instead of --app and --addon; also of a removed one",
} as const;

/** The database that `--resource` names, which may have been removed, else that of `--app` and `--addon`. */
export async function openBackupSource(call: CommandCall): Promise<BackupSource> {
  const resource = call.option("resource");
  if (resource !== undefined) return { api: await call.connect(), addon: resource, createCommand: undefined };
  const { api, addonId, app, reference } = await openDatabaseTarget(call);
  return { api, addon: addonId, createCommand: `tidemark --app ${app} --addon ${reference} backups-create` };
}
