import assert from "node:assert/strict";
import { mkdir, readdir, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { makeTempFolder } from "../../test/harness/temp-folder.ts";
import { systemClock } from "../core/clock.ts";
import { openPlatformRepository } from "./safekeeping.ts";

test("openPlatformRepository() makes the repository once, and takes no other for it: a disk may not be mounted", async (t) => {
  const folder = await makeTempFolder(t);
  const [home, repositoryFolder] = [join(folder, "home"), join(folder, "repository")];
  await mkdir(home);
  const open = () => openPlatformRepository({ home, repositoryFolder }, systemClock);
  const { id } = await open();
  assert.equal((await open()).id, id);
  await rename(repositoryFolder, join(folder, "disk"));
  await mkdir(repositoryFolder);
  await assert.rejects(open(), { code: "storage_unavailable", message: /there is none, and this platform has one/ });
  // Nothing there is taken for a repository later on.
  assert.deepEqual(
    (await readdir(repositoryFolder)).filter((name) => !name.startsWith(".")),
    [],
  );
  const other = join(folder, "other");
  await openPlatformRepository({ home: folder, repositoryFolder: other }, systemClock);
  await rm(repositoryFolder, { recursive: true });
  await rename(other, repositoryFolder);
  await assert.rejects(open(), { code: "storage_unavailable", message: /another one than this platform's/ });
  await rm(repositoryFolder, { recursive: true });
  await rename(join(folder, "disk"), repositoryFolder);
  assert.equal((await open()).id, id);
  await rm(join(home, "repository-id"));
  assert.equal((await open()).id, id);
});
