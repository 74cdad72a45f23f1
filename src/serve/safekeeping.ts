import { access, readFile } from "node:fs/promises";
import { join } from "node:path";
import type { ServeConfig } from "../config.ts";
import type { Secrets } from "../control/context.ts";
import type { Clock } from "../core/clock.ts";
import { TidemarkError, isErrorCode, systemErrorCode } from "../core/errors.ts";
import { newObjectId } from "../core/ids.ts";
import { createDatabaseKey, unwrapDatabaseKey } from "../keys/database-key.ts";
import { openMasterKey } from "../keys/master-key.ts";
import { unwrapSecret, wrapSecret } from "../keys/secrets.ts";
import { openRepository, type Repository } from "../repository/repository.ts";
import { openFolderStore } from "../storage/folder-store.ts";
import { homePaths, writeFileWhole } from "./home.ts";

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

/**
 * The repository that backups go to, made at the first start. From then on the home knows its id, and no other is taken for it: an empty folder is what is left
 * where a disk was mounted, and backups that are written there are missing from the repository.
 *
 * @throws `storage_unavailable` when it isn't there, or another one is in its place; as `openRepository`
 */
export async function openPlatformRepository(
  { home, repositoryFolder }: Pick<ServeConfig, "home" | "repositoryFolder">,
  clock: Clock,
): Promise<Repository> {
  const { repositoryId } = homePaths(home);
  const knownId = await readIfThere(repositoryId);
  const store = await openFolderStore(repositoryFolder);
  const now = clock.now();
  try {
    const create = { create: { id: newObjectId(now), now } };
    const repository = await openRepository(store, knownId === undefined ? create : {});
    if (knownId === undefined) await writeFileWhole(repositoryId, `${repository.id}\n`);
    else if (repository.id !== knownId)
      throw notHere({ repositoryFolder, repositoryId }, "it is another one than this platform's");
    return repository;
  } catch (error) {
    if (!isErrorCode(error, "object_not_found")) throw error;
    throw notHere({ repositoryFolder, repositoryId }, "there is none, and this platform has one", error);
  }
}

function notHere(
  { repositoryFolder, repositoryId }: { readonly repositoryFolder: string; readonly repositoryId: string },
  what: string,
  cause?: unknown,
): TidemarkError {
  return new TidemarkError("storage_unavailable", `Cannot use the repository in "${repositoryFolder}": ${what}`, {
    hint: `Mount its disk, or name its folder in TIDEMARK_REPOSITORY. If this is the one to use from now on, remove "${repositoryId}"; an empty folder then becomes a new repository.`,
    cause,
  });
}

async function readIfThere(path: string): Promise<string | undefined> {
  try {
    return (await readFile(path, "utf8")).trim();
  } catch (error) {
    if (systemErrorCode(error) === "ENOENT") return undefined;
    throw error;
  }
}

async function exists(path: string): Promise<boolean> {
  return await access(path).then(
    () => true,
    () => false,
  );
}
