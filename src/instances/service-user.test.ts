import assert from "node:assert/strict";
import { chmod, mkdir, symlink } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { makeTempFolder } from "../../test/harness/temp-folder.ts";
import { isErrorCode } from "../core/errors.ts";
import { SERVICE_USER_NAME, checkReachable, findServiceUser, spawnIdentity } from "./service-user.ts";

test("findServiceUser() gives an ordinary user, the same each time", async () => {
  const user = await findServiceUser();
  assert.notEqual(user.uid, 0);
  assert.deepEqual(await findServiceUser(), user);
  if (process.getuid?.() === 0) {
    assert.equal(user.name, SERVICE_USER_NAME);
    assert.deepEqual(spawnIdentity(user), { uid: user.uid, gid: user.gid });
  } else {
    assert.equal(user.uid, process.getuid?.());
    assert.deepEqual(spawnIdentity(user), {});
  }
});

test("checkReachable() accepts a folder that doesn't exist yet below open ones", async (t) => {
  const parent = await makeTempFolder(t);
  await checkReachable(join(parent, "not/yet/there"), await findServiceUser());
});

test("checkReachable() names the closed folder and the command that opens it, also behind a link", async (t) => {
  const made: { closed?: string } = {};
  // Opened again before the folder is removed, which an ordinary user couldn't do otherwise.
  t.after(async () => {
    if (made.closed !== undefined) await chmod(made.closed, 0o700);
  });
  const top = await makeTempFolder(t);
  const closed = join(top, "closed folder");
  await mkdir(join(closed, "home"), { recursive: true });
  await symlink(join(closed, "home"), join(top, "link"));
  await chmod(closed, 0o600);
  made.closed = closed;
  const user = await findServiceUser();
  const behind = user.isSwitchedFromRoot
    ? ["closed folder/home", "closed folder/home/below", "link"]
    : ["closed folder"];
  for (const folder of behind) {
    await assert.rejects(
      checkReachable(join(top, folder), user),
      (error) =>
        isErrorCode(error, "home_unusable") &&
        error.message.includes(`"${closed}"`) &&
        error.hint?.includes(`chmod o+x "${closed}"`) === true,
      folder,
    );
  }
});
