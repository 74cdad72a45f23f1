import { chown, mkdir, writeFile } from "node:fs/promises";

const FILE_MODE = 0o600;
const FOLDER_MODE = 0o700;

export interface FileOwner {
  readonly uid: number;
  readonly gid: number;
}

/** Writes a small file that only its owner may read. */
export async function writeOwnedFile(path: string, text: string, owner: FileOwner | undefined): Promise<void> {
  await writeFile(path, text, { mode: FILE_MODE });
  if (owner !== undefined) await chown(path, owner.uid, owner.gid);
}

/** Makes a folder that only its owner may enter; its parent exists, itself not. */
export async function makeOwnedFolder(path: string, owner: FileOwner | undefined): Promise<void> {
  await mkdir(path, { mode: FOLDER_MODE });
  if (owner !== undefined) await chown(path, owner.uid, owner.gid);
}
