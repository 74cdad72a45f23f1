import { generateX25519Identity, identityToRecipient } from "age-encryption";
import { join } from "node:path";
import {
  captureLogicalBackup,
  type LogicalBackupCall,
  type LogicalBackupRequest,
} from "../../src/capture/logical-backup.ts";
import { systemClock } from "../../src/core/clock.ts";
import { newObjectId } from "../../src/core/ids.ts";
import type { LogicalManifest } from "../../src/repository/logical-manifest.ts";
import { openRepository, type Repository } from "../../src/repository/repository.ts";
import { openFolderStore } from "../../src/storage/folder-store.ts";
import type { Store } from "../../src/storage/store.ts";
import { program, serverUser, type PostgresServer } from "./postgres-server.ts";
import { makeTempFolder, type CleanUp } from "./temp-folder.ts";

export const DATABASE_ID = "ad-0123";

/** A repository in a temp folder, and captures into it from a test's server. */
export interface CapturePlace {
  readonly repository: Repository;
  readonly identity: string;
  readonly recipient: string;
  capture(changes?: Partial<LogicalBackupRequest>, call?: LogicalBackupCall): Promise<LogicalManifest>;
  /** All keys under `databases/`. */
  keys(): Promise<string[]>;
}

/**
 * @param wrap a wrapper around the folder store, such as one with faults.
 */
export async function makeCapturePlace(
  cleanUp: CleanUp,
  server: PostgresServer,
  wrap: (store: Store) => Store = (store) => store,
): Promise<CapturePlace> {
  const store = wrap(await openFolderStore(join(await makeTempFolder(cleanUp), "repository")));
  const repository = await openRepository(store, { create: { id: "test", now: new Date() } });
  const identity = await generateX25519Identity();
  const recipient = await identityToRecipient(identity);
  const user = await serverUser();
  return {
    repository,
    identity,
    recipient,
    capture: (changes, call) =>
      captureLogicalBackup(
        {
          repository,
          databaseId: DATABASE_ID,
          backupId: newObjectId(new Date()),
          resourceId: "my_app_4553",
          method: "manual",
          recipients: [recipient],
          connection: { host: server.folder, port: server.port, user: "postgres", database: "postgres" },
          programsFolder: join(program("pg_dump"), ".."),
          ...(user.uid === undefined ? {} : { runAs: user }),
          clock: systemClock,
          ...changes,
        },
        call,
      ),
    async keys() {
      return (await Array.fromAsync(store.list("databases/"))).map(({ key }) => key);
    },
  };
}
