import { resolveAddonId } from "./addon-reference.ts";
import type { ApiClient, PlatformClient } from "./client.ts";
import type { CommandCall } from "./command.ts";

/** The database that `--app` and `--addon` name, and the way to it. */
export interface DatabaseTarget {
  readonly app: string;
  /** As typed: stands in the commands that messages advise. */
  readonly reference: string;
  readonly addonId: string;
  readonly client: PlatformClient;
  readonly api: ApiClient;
}

/** Both names are checked before anything is sent: `usage` when one is missing. */
export async function openDatabaseTarget(call: CommandCall, reference = call.addon()): Promise<DatabaseTarget> {
  const app = call.app();
  const client = await call.connect();
  const addonId = await resolveAddonId(client, { app, reference });
  return { app, reference, addonId, client, api: client.database({ app, addonId }) };
}
