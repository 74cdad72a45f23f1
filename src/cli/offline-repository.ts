import { readFile, stat } from "node:fs/promises";
import { join, resolve } from "node:path";
import { identityToRecipient } from "age-encryption";
import { TidemarkError, systemErrorCode } from "../core/errors.ts";
import { unwrapDatabaseKey } from "../keys/database-key.ts";
import type { MasterKey } from "../keys/master-key.ts";
import { listDatabaseIds, readDatabaseKey } from "../repository/database-keys.ts";
import { REPOSITORY_MARKER_KEY } from "../repository/layout.ts";
import { type PhysicalArchive, openPhysicalArchive } from "../repository/physical-archive.ts";
import { type Repository, openRepository } from "../repository/repository.ts";
import { openFolderStore } from "../storage/folder-store.ts";
import type { CommandCall } from "./command.ts";

/** Options of every command that reads a repository without a platform. */
export const OFFLINE_OPTIONS = [
  { flags: "--repository <folder>", summary: "The repository (the one of this machine's platform)" },
  { flags: "--key <file>", summary: "The master key, an age identity (the one of this machine's platform)" },
] as const;

/** A repository, opened by its key alone. */
export interface OfflineRepository {
  readonly repository: Repository;
  readonly folder: string;
  /** A database's identity. @throws `key_missing` when it was wrapped to another key */
  readonly unwrap: (databaseId: string, wrappedIdentity: Uint8Array) => Promise<string>;
}

/**
 * Opens the repository that `--repository` and `--key` name. Nothing is made.
 *
 * @throws `object_not_found` when the folder holds no repository, `key_missing` when the file holds no key, `format_too_new`
 */
export async function openOfflineRepository(call: CommandCall): Promise<OfflineRepository> {
  const folder = resolve(call.option("repository") ?? call.settings.repositoryFolder);
  const keyFile = resolve(call.option("key") ?? join(call.settings.platformHome, "keys", "master.age-identity"));
  await requireRepository(folder);
  const master = await readKey(keyFile);
  const repository = await openRepository(await openFolderStore(folder), { signal: call.signal });
  return { repository, folder, unwrap: (databaseId, wrapped) => unwrapDatabaseKey(master, databaseId, wrapped) };
}

/**
 * The physical backups of one database, to be read.
 *
 * @throws `not_found` with the ids that there are, `key_missing`
 */
export async function openOfflineArchive(
  { repository, folder, unwrap }: OfflineRepository,
  databaseId: string,
  signal: AbortSignal,
): Promise<PhysicalArchive> {
  const ids = await Array.fromAsync(listDatabaseIds(repository, { signal }));
  const wrapped = ids.includes(databaseId) ? await readDatabaseKey(repository, databaseId, { signal }) : undefined;
  if (wrapped === undefined)
    throw new TidemarkError("not_found", `Cannot find database "${databaseId}" in the repository "${folder}"`, {
      hint: ids.length === 0 ? "It holds no database" : `It holds: ${ids.join(", ")}`,
    });
  const identity = await unwrap(databaseId, wrapped);
  return openPhysicalArchive({ repository, databaseId, identity, recipients: [], framesInFlight: 1 });
}

/** Opening a folder as a store makes what is missing in it, which a mistyped path must not. */
async function requireRepository(folder: string): Promise<void> {
  try {
    await stat(join(folder, REPOSITORY_MARKER_KEY));
  } catch (error) {
    throw new TidemarkError("object_not_found", `Cannot find a repository in "${folder}"`, {
      hint: `Name the folder that holds ${REPOSITORY_MARKER_KEY}: --repository FOLDER`,
      cause: error,
    });
  }
}

async function readKey(file: string): Promise<MasterKey> {
  const text = await readFile(file, "utf8").catch((error: unknown) => {
    throw new TidemarkError(
      "key_missing",
      `Cannot read the key file "${file}": ${systemErrorCode(error) ?? "unreadable"}`,
      {
        hint: "Name the file of the platform's master key: --key FILE",
        cause: error,
      },
    );
  });
  const lines = text.split("\n").map((line) => line.trim());
  const identity = lines.find((line) => line.startsWith("AGE-SECRET-KEY-"));
  if (identity === undefined)
    throw new TidemarkError("key_missing", `Cannot use the key file "${file}": it holds no age identity`, {
      hint: "Name the file of the platform's master key: --key FILE",
    });
  return { identity, recipient: await identityToRecipient(identity), file };
}
