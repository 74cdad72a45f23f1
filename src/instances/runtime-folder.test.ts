import assert from "node:assert/strict";
import { chmod, mkdir, stat, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { makeTempFolder } from "../../test/harness/temp-folder.ts";
import { isErrorCode } from "../core/errors.ts";
import { prepareRuntimeFolder, runtimeFolder } from "./runtime-folder.ts";
import { findServiceUser } from "./service-user.ts";

test("runtimeFolder() is short, the same for the same home, and another for another home", () => {
  const deep = `/home/${"deep/".repeat(50)}`;
  const folder = runtimeFolder({ home: deep, uid: 0 });
  assert.match(folder, /^\/run\/tidemark-[0-9a-f]{8}$/);
  assert.equal(runtimeFolder({ home: deep, uid: 0 }), folder);
  assert.notEqual(runtimeFolder({ home: "/other", uid: 0 }), folder);
});

test("runtimeFolder() of an ordinary user lies in XDG_RUNTIME_DIR unless that is absent or too long", () => {
  const of = (xdgRuntimeFolder?: string): string =>
    runtimeFolder({ home: "/h", uid: 1000, ...(xdgRuntimeFolder === undefined ? {} : { xdgRuntimeFolder }) });
  assert.match(of("/run/user/1000"), /^\/run\/user\/1000\/tidemark-[0-9a-f]{8}$/);
  assert.match(of(), /^\/tmp\/tidemark-1000-[0-9a-f]{8}$/);
  assert.match(of(`/${"x".repeat(90)}`), /^\/tmp\/tidemark-1000-/);
});

test("prepareRuntimeFolder() makes it private to the service user, twice if asked", async (t) => {
  const user = await findServiceUser();
  const folder = join(await makeTempFolder(t), "run");
  await prepareRuntimeFolder(folder, user);
  await prepareRuntimeFolder(folder, user);
  const found = await stat(folder);
  assert.equal(found.mode & 0o777, 0o700);
  assert.equal(found.uid, user.uid);
});

test("prepareRuntimeFolder() refuses what somebody else could have put there", async (t) => {
  const user = await findServiceUser();
  const parent = await makeTempFolder(t);
  const open = join(parent, "open");
  await mkdir(open);
  await chmod(open, 0o777);
  const file = join(parent, "file");
  await writeFile(file, "");
  const link = join(parent, "link");
  await symlink(parent, link);
  for (const path of [open, file, link, join(parent, "absent/below")]) {
    await assert.rejects(prepareRuntimeFolder(path, user), (error) => isErrorCode(error, "home_unusable"), path);
  }
});

test("prepareRuntimeFolder() refuses a folder of another user", async (t) => {
  const user = await findServiceUser();
  const folder = join(await makeTempFolder(t), "run");
  await mkdir(folder, { mode: 0o700 });
  const somebodyElse = { ...user, uid: user.uid + 1, isSwitchedFromRoot: false };
  await assert.rejects(
    prepareRuntimeFolder(folder, somebodyElse),
    (error) => isErrorCode(error, "home_unusable") && error.message.includes("another user"),
  );
});
