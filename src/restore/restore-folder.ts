import { chmod, chown, mkdir, readdir, rename, rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { TidemarkError, systemErrorCode } from "../core/errors.ts";
import { CONTROL_FILE_PATH } from "../postgres/control-file.ts";
import type { FileOwner } from "./owned-files.ts";

/** PostgreSQL refuses a data folder that others may enter. */
const FOLDER_MODE = 0o700;
/** Ours in the data folder while a restore works: the spool of WAL and the script that takes from it. PostgreSQL ignores it. */
const WORK_FOLDER = "tidemark-restore";
const WORK_NOTE = "README";
const WORK_TEXT = `A restore of Tidemark is, or was, working here. This folder goes when it is complete.
Until then the data folder is not whole and PostgreSQL refuses to start in it.
After an interrupted restore: remove the data folder and its tablespaces' folders, and run the restore again.
`;

/** What lies in the data folder while it is being restored. */
export function workFolder(dataFolder: string): string {
  return join(dataFolder, WORK_FOLDER);
}

/**
 * Makes the folders of a restore, private to their owner.
 *
 * @param folders absent or empty; the data folder first
 * @throws `restore_refused` when one holds anything, or can't be made; nothing is left then
 */
export async function makeRestoreFolders(folders: readonly string[], owner: FileOwner | undefined): Promise<void> {
  for (const folder of folders) await assertEmpty(folder);
  for (const folder of folders) await makePrivateFolder(folder, owner);
  const [dataFolder] = folders;
  if (dataFolder === undefined) return;
  await makePrivateFolder(workFolder(dataFolder), owner);
  await writeFile(join(workFolder(dataFolder), WORK_NOTE), WORK_TEXT);
}

/** Makes a folder that only its owner may enter, with its parents, or takes the empty one that is there. */
export async function makePrivateFolder(folder: string, owner: FileOwner | undefined): Promise<void> {
  try {
    await mkdir(dirname(folder), { recursive: true });
    await mkdir(folder, { mode: FOLDER_MODE, recursive: true });
    await chmod(folder, FOLDER_MODE);
    if (owner !== undefined) await chown(folder, owner.uid, owner.gid);
  } catch (error) {
    throw new TidemarkError("restore_refused", `Cannot restore into "${folder}": the folder can't be made`, {
      hint: "Give a folder that you may write to",
      cause: error,
    });
  }
}

/** The restore is complete: from here on the folder is PostgreSQL's alone. */
export async function removeWorkFolder(dataFolder: string): Promise<void> {
  // The recovering server's command line, which `pg_ctl restart` would use again.
  await rm(join(dataFolder, "postmaster.opts"), { force: true });
  await rm(workFolder(dataFolder), { recursive: true, force: true });
}

/** Takes pg_control out of a folder whose recovery failed, so that no server starts in it, whatever settings came with the backup. */
export async function disarm(dataFolder: string): Promise<void> {
  const control = join(dataFolder, CONTROL_FILE_PATH);
  await rename(control, join(workFolder(dataFolder), "pg_control")).catch((error: unknown) => {
    if (systemErrorCode(error) !== "ENOENT") throw error;
  });
}

async function assertEmpty(folder: string): Promise<void> {
  let names: string[];
  try {
    names = await readdir(folder);
  } catch (error) {
    if (systemErrorCode(error) === "ENOENT") return;
    throw new TidemarkError("restore_refused", `Cannot restore into "${folder}": it can't be read as a folder`, {
      hint: "Give a folder that is empty or doesn't exist yet",
      cause: error,
    });
  }
  if (names.length === 0) return;
  const isInterrupted = names.includes(WORK_FOLDER);
  throw new TidemarkError(
    "restore_refused",
    `Cannot restore into "${folder}": ${isInterrupted ? "an interrupted restore left files in it" : "it is not empty"}`,
    {
      hint: isInterrupted
        ? `Make sure that no restore works there, remove it (rm -r "${folder}") with its tablespaces' folders, and run this again`
        : "Give a folder that is empty or doesn't exist yet",
    },
  );
}
