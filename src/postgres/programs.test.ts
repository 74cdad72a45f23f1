import assert from "node:assert/strict";
import { chmod, mkdir, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { makeTempFolder } from "../../test/harness/temp-folder.ts";
import { isErrorCode } from "../core/errors.ts";
import { INSTALL_LINES, type Programs, choosePrograms, findPrograms, programPath } from "./programs.ts";

const ALL = ["postgres", "initdb", "pg_dump", "pg_restore", "psql"];

/** A folder of scripts that answer `--version` as PostgreSQL's programs do. */
async function installation(t: TestContext, version: string, names: readonly string[] = ALL): Promise<string> {
  const folder = join(await makeTempFolder(t), "bin");
  await mkdir(folder);
  for (const name of names) {
    await writeFile(join(folder, name), `#!/bin/sh\necho "${name} (PostgreSQL) ${version}"\n`);
    await chmod(join(folder, name), 0o755);
  }
  return folder;
}

function programs(major: number, change: Partial<Programs> = {}): Programs {
  return { major, version: `${major}.1`, binFolder: `/somewhere/${major}`, isServerOnly: false, ...change };
}

test("findPrograms() finds what is on the PATH, newest first, each once though links lead to it", async (t) => {
  const newest = await installation(t, "98.2 (Debian 98.2-1)");
  const second = await installation(t, "97beta1");
  const links = await makeTempFolder(t);
  for (const name of ALL) await symlink(join(newest, name), join(links, name));
  const found = await findPrograms({ path: [second, links, newest, "/nonexistent"].join(":") });
  assert.deepEqual(
    found.filter(({ major }) => major > 90),
    [
      { major: 98, version: "98.2", binFolder: newest, isServerOnly: false },
      { major: 97, version: "97beta1", binFolder: second, isServerOnly: false },
    ],
  );
});

test("findPrograms() follows the answer of pg_config", async (t) => {
  const folder = await installation(t, "98.2");
  const other = await makeTempFolder(t);
  await writeFile(join(other, "pg_config"), `#!/bin/sh\necho ${folder}\n`, { mode: 0o755 });
  const found = await findPrograms({ path: other });
  assert.equal(found[0]?.binFolder, folder);
});

test("findPrograms() passes over versions before 15 and over what doesn't run", async (t) => {
  const old = await installation(t, "14.9");
  const broken = await installation(t, "98.2");
  await writeFile(join(broken, "postgres"), "#!/bin/sh\nexit 1\n");
  const found = await findPrograms({ path: `${old}:${broken}` });
  assert.deepEqual(
    found.filter(({ binFolder }) => binFolder === old || binFolder === broken),
    [],
  );
});

test("findPrograms() puts the operator's folder first, whatever its version", async (t) => {
  const newer = await installation(t, "98.2");
  const namedFolder = await installation(t, "16.3");
  const found = await findPrograms({ path: newer, namedFolder });
  assert.deepEqual(
    found.slice(0, 2).map(({ binFolder }) => binFolder),
    [namedFolder, newer],
  );
});

test("findPrograms() refuses a named folder without a server or with one that is too old", async (t) => {
  const empty = await makeTempFolder(t);
  const old = await installation(t, "14.9");
  for (const namedFolder of [empty, old, join(empty, "absent")]) {
    await assert.rejects(
      findPrograms({ path: "", namedFolder }),
      (error) => isErrorCode(error, "config_invalid") && error.message.includes(namedFolder),
    );
  }
});

test("findPrograms() says that an installation without pg_dump is a server only", async (t) => {
  const binFolder = await installation(t, "98.2", ["postgres", "initdb"]);
  const [found] = await findPrograms({ path: binFolder });
  assert.equal(found?.isServerOnly, true);
  assert.ok(found !== undefined);
  assert.equal(programPath(found, "postgres"), join(binFolder, "postgres"));
  assert.throws(
    () => programPath(found, "pg_dump"),
    (error) => isErrorCode(error, "programs_missing"),
  );
});

test("choosePrograms() takes the first, of the wanted major, and a server-only one last", () => {
  const serverOnly = programs(17, { binFolder: "/server-only", isServerOnly: true });
  const found = [serverOnly, programs(17), programs(15)];
  assert.equal(choosePrograms(found), found[1]);
  assert.equal(choosePrograms(found, 15), found[2]);
  assert.equal(choosePrograms([serverOnly]), serverOnly);
});

test("choosePrograms() says how to install what is missing on each system", () => {
  assert.throws(
    () => choosePrograms([]),
    (error) =>
      isErrorCode(error, "programs_missing") &&
      Object.values(INSTALL_LINES).every((line) => error.hint?.includes(line) === true),
  );
  assert.throws(
    () => choosePrograms([programs(15)], 16),
    (error) => isErrorCode(error, "programs_missing") && error.hint?.includes("postgresql-16") === true,
  );
});
