import { availableParallelism } from "node:os";
import { join } from "node:path";
import { generateX25519Identity, identityToRecipient } from "age-encryption";
import { type PhysicalArchive, openPhysicalArchive } from "../../src/repository/physical-archive.ts";
import { openRepository } from "../../src/repository/repository.ts";
import { openFolderStore } from "../../src/storage/folder-store.ts";
import type { Store } from "../../src/storage/store.ts";
import { type CleanUp, makeTempFolder } from "./temp-folder.ts";

/** The physical backups of one database in a folder of its own, with a key of its own. */
export async function makePhysicalArchive(
  cleanUp: CleanUp,
  wrap: (store: Store) => Store = (store) => store,
): Promise<PhysicalArchive> {
  const folder = await makeTempFolder(cleanUp);
  return openArchiveIn(join(folder, "repository"), wrap);
}

/** The same in a given folder. */
export async function openArchiveIn(
  folder: string,
  wrap: (store: Store) => Store = (store) => store,
): Promise<PhysicalArchive> {
  const store = wrap(await openFolderStore(folder));
  const identity = await generateX25519Identity();
  return openPhysicalArchive({
    repository: await openRepository(store, { create: { id: "test", now: new Date() } }),
    databaseId: "ad-test",
    recipients: [await identityToRecipient(identity)],
    identity,
    framesInFlight: availableParallelism(),
  });
}
