import { lstat, readdir, readlink, rename, rm, symlink } from "node:fs/promises";
import { join } from "node:path";
import type { Clock } from "../core/clock.ts";
import { systemErrorCode } from "../core/errors.ts";
import { stopServer } from "./server.ts";
import { syncFolder } from "./server-files.ts";

/*
 * A managed database's folder holds the data folder that its server runs on, and at times others: a copy that a restore makes, and those that were
 * replaced and are kept for a while. None is ever renamed while it is in use; a link says which one is the database's.
 */

/** The data folder of a database that was never restored in place. */
export const FIRST_DATA_FOLDER = "data";
/** Tells people and a rebuild which one is the database's. The platform itself goes by its control database. */
const POINTER = "current";
const DATA_FOLDER = /^data(-[0-9a-f]+)*$/;
const DOOMED = ".removed";
/** What is in it is to be deleted, so a clean shutdown is only a courtesy. */
const REMOVAL_STOP_TIMEOUT_MS = 5_000;

/** Name of the data folder that a restore makes. `id`: lower-case hex, one for each attempt. */
export function newDataFolderName(id: string): string {
  return `${FIRST_DATA_FOLDER}-${id}`;
}

/** Makes the link in a database's folder say which data folder is its own; it is replaced at once, by a rename. */
export async function pointAtDataFolder(databaseFolder: string, name: string): Promise<void> {
  if ((await pointedAt(databaseFolder)) === name) return;
  const part = join(databaseFolder, `${POINTER}.part`);
  await rm(part, { force: true });
  await symlink(name, part);
  await rename(part, join(databaseFolder, POINTER));
  await syncFolder(databaseFolder);
}

/** Name of the data folder that the link says is the database's; the first one's where there is no link. */
export async function readDataFolderPointer(databaseFolder: string): Promise<string> {
  return (await pointedAt(databaseFolder)) ?? FIRST_DATA_FOLDER;
}

/** Names of all data folders in a database's folder, half-made and half-removed ones too; empty when there is none. */
export async function listDataFolders(databaseFolder: string): Promise<readonly string[]> {
  const names = await readdir(databaseFolder).catch((error: unknown) => {
    if (systemErrorCode(error) === "ENOENT") return [];
    throw error;
  });
  return names.filter((name) => DATA_FOLDER.test(name.replace(DOOMED, "")));
}

/** Ends the server that may run in a data folder, then deletes the folder. May be called again, and for one that isn't there. */
export async function removeDataFolder(databaseFolder: string, name: string, clock: Clock): Promise<void> {
  const folder = join(databaseFolder, name);
  await stopServer({ dataFolder: folder }, { clock, fastTimeoutMs: REMOVAL_STOP_TIMEOUT_MS });
  // Half-deleted data must not look like a server: it loses its name first.
  const doomed = name.endsWith(DOOMED) ? folder : `${folder}${DOOMED}`;
  if (doomed !== folder && (await exists(folder))) {
    await rm(doomed, { recursive: true, force: true });
    await rename(folder, doomed);
  }
  await rm(doomed, { recursive: true, force: true });
}

async function pointedAt(databaseFolder: string): Promise<string | undefined> {
  try {
    return await readlink(join(databaseFolder, POINTER));
  } catch (error) {
    if (systemErrorCode(error) === "ENOENT") return undefined;
    throw error;
  }
}

async function exists(path: string): Promise<boolean> {
  return await lstat(path).then(
    () => true,
    () => false,
  );
}
