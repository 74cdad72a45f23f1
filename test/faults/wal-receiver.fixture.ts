import { startWalReceiver } from "../../src/capture/wal/wal-receiver.ts";
import { systemClock } from "../../src/core/clock.ts";
import { openPhysicalArchive } from "../../src/repository/physical-archive.ts";
import { openRepository } from "../../src/repository/repository.ts";
import { openFolderStore } from "../../src/storage/folder-store.ts";

/**
 * A WAL receiver as a process of its own, to be killed. Its one argument is JSON: where the server, the repository and the spool are, and the key.
 */
export interface ReceiverProcess {
  readonly socketFolder: string;
  readonly repositoryFolder: string;
  readonly spoolFolder: string;
  readonly recipient: string;
  readonly identity: string;
}

const [, , argument = "{}"] = process.argv;
const place: ReceiverProcess = JSON.parse(argument) as ReceiverProcess; // written by the test that starts this
const repository = await openRepository(await openFolderStore(place.repositoryFolder), {
  create: { id: "test", now: new Date() },
});
startWalReceiver({
  archive: openPhysicalArchive({
    repository,
    databaseId: "ad-test",
    recipients: [place.recipient],
    identity: place.identity,
    framesInFlight: 2,
  }),
  target: {
    client: { host: place.socketFolder, port: 5432, user: "postgres", database: "postgres" },
    applicationName: "tidemark_test",
  },
  slotName: "tidemark",
  spoolFolder: place.spoolFolder,
  clock: systemClock,
  pieceIntervalMs: 100,
  onIncident: (incident) => void process.stderr.write(`${incident.kind}\n`),
});
