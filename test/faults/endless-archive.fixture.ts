/** Stores an archive that never ends into the folder given as argument, until somebody ends this process. */
import { openTestRepository, randomDump, storeArchive } from "../../src/repository/logical-backup.fixture.ts";
import { openFolderStore } from "../../src/storage/folder-store.ts";

const place = await openTestRepository(await openFolderStore(process.argv[2] ?? ""));
await storeArchive(place, randomDump(Number.MAX_SAFE_INTEGER));
