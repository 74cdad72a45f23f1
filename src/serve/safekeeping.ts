import { access } from "node:fs/promises";
import { join } from "node:path";
import type { ServeConfig } from "../config.ts";
import type { Secrets } from "../control/context.ts";
import type { Clock } from "../core/clock.ts";
import { newObjectId } from "../core/ids.ts";
import { createDatabaseKey, unwrapDatabaseKey } from "../keys/database-key.ts";
import { openMasterKey } from "../keys/master-key.ts";
import { unwrapSecret, wrapSecret } from "../keys/secrets.ts";
import { openRepository, type Repository } from "../repository/repository.ts";
import { openFolderStore } from "../storage/folder-store.ts";
import { homePaths } from "./home.ts";

/**
 * The master key at work. It is made at the very first start only: once there is a repository or a control database, a missing key is lost, and a new
 * one would open nothing.
 */
export async function openSecrets(config: ServeConfig, clock: Clock): Promise<Secrets> {
  const inUse = (await exists(join(config.home, "control"))) || (await exists(config.repositoryFolder));
  const master = await openMasterKey({ folder: homePaths(config.home).keys, mayCreate: !inUse, now: clock.now() });
  return {
    wrap: (plain) => wrapSecret(master, plain),
    unwrap: (wrapped, what) => unwrapSecret(master, wrapped, what),
    createDatabaseKey: () => createDatabaseKey([master.recipient]),
    unwrapDatabaseKey: (databaseId, wrapped) => unwrapDatabaseKey(master, databaseId, wrapped),
  };
}

/** The repository that backups go to, made at the first start. */
export async function openPlatformRepository(config: ServeConfig, clock: Clock): Promise<Repository> {
  const store = await openFolderStore(config.repositoryFolder);
  return await openRepository(store, { create: { id: newObjectId(clock.now()), now: clock.now() } });
}

async function exists(path: string): Promise<boolean> {
  return await access(path).then(
    () => true,
    () => false,
  );
}
