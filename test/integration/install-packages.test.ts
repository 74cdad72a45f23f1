import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { chmod, mkdir, readFile, writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { type TestContext, describe, test } from "node:test";
import { type InstallFacts, PACKAGES, planInstall } from "../../scripts/install-plan.ts";
import { INSTALL_LINES } from "../../src/postgres/programs.ts";
import { makeTempFolder } from "../harness/temp-folder.ts";

const SCRIPT = resolve(import.meta.dirname, "../../scripts/install-packages.ts");
const missing: InstallFacts = { missing: [PACKAGES.postgresql, PACKAGES.bubblewrap], hasApt: true, right: "root" };

describe("planInstall()", () => {
  test("does nothing where the programs are", () => {
    assert.deepEqual(planInstall({ ...missing, missing: [] }), { action: "nothing" });
  });

  for (const [right, prefix] of [
    ["root", ""],
    ["sudo", "sudo -n "],
  ] as const) {
    test(`updates the lists, then installs, without creating a cluster, by the right of ${right}`, () => {
      const plan = planInstall({ ...missing, right });
      assert.ok(plan.action === "install");
      const lines = plan.steps.map(({ command }) => command.join(" "));
      const file = "/etc/postgresql-common/createcluster.d/tidemark-install.conf";
      const apt = "env DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=300";
      assert.deepEqual(lines, [
        `${prefix}mkdir -p /etc/postgresql-common/createcluster.d`,
        `${prefix}tee ${file}`,
        `${prefix}${apt} update`,
        `${prefix}${apt} install -y --no-install-recommends postgresql`,
        `${prefix}${apt} install -y --no-install-recommends bubblewrap`,
      ]);
      assert.equal(plan.steps[1]?.input, "create_main_cluster = false\n");
      assert.deepEqual(
        plan.afterwards.map(({ command }) => command.join(" ")),
        [`${prefix}rm -f ${file}`],
      );
    });
  }

  for (const facts of [
    { ...missing, right: "none" },
    { ...missing, hasApt: false },
  ] as const) {
    test(`refuses with the line for each system when apt is ${facts.hasApt} and the right is ${facts.right}`, () => {
      const plan = planInstall(facts);
      assert.ok(plan.action === "refuse");
      for (const line of Object.values(INSTALL_LINES)) assert.ok(plan.message.includes(line), line);
    });
  }

  test("leaves PostgreSQL's settings alone when only others are missing", () => {
    const plan = planInstall({ ...missing, missing: [PACKAGES.chromium] });
    assert.ok(plan.action === "install");
    const lines = plan.steps.map(({ command }) => command.slice(-2).join(" "));
    assert.deepEqual(lines, ["DPkg::Lock::Timeout=300 update", "--no-install-recommends chromium"]);
    assert.deepEqual(plan.afterwards, []);
  });

  test("warns, and no more, when what is only wanted can't be installed", () => {
    for (const facts of [{ right: "none" }, { hasApt: false }] as const) {
      const plan = planInstall({ ...missing, ...facts, missing: [PACKAGES.bubblewrap, PACKAGES.openssh] });
      assert.ok(plan.action === "warn");
      assert.equal(plan.warnings.length, 2);
      assert.match(plan.warnings[0] ?? "", /^One-off containers .*sudo apt-get install -y .*bubblewrap$/);
    }
  });
});

/** Hiding the programs takes a mount namespace of one's own, which only root may make everywhere. */
const needed = ["/usr/bin/unshare", "/etc/debian_version", "/usr/lib/postgresql"];
const canHide = process.getuid?.() === 0 && needed.every((path) => existsSync(path));
const hidden = { skip: canHide ? false : "hiding the installed programs needs root on Debian" };

/**
 * The script's last calls of apt-get, and of sudo, by stand-ins that note their arguments; a successful `install`
 * brings programs.
 */
interface Machine {
  readonly folder: string;
  readonly calls: () => Promise<string[]>;
}

async function makeMachine(t: TestContext, { aptFails = false, bubblewrapFails = false } = {}): Promise<Machine> {
  const folder = await makeTempFolder(t);
  const bin = join(folder, "bin");
  const calls = join(folder, "calls");
  await mkdir(bin);
  await writeFile(calls, "");
  await chmod(calls, 0o666);
  const program = (name: string): string => `printf '#!/bin/sh\\necho "${name} (PostgreSQL) 15.9"\\n' > "$to/${name}"`;
  const programs = ["postgres", "initdb", "pg_dump", "pg_restore", "psql"].map(program).join("\n");
  await script(
    join(bin, "apt-get"),
    `echo "$DEBIAN_FRONTEND apt-get $*" >> ${calls}
cat /etc/postgresql-common/createcluster.d/*.conf >> ${calls}
echo noise of apt
${aptFails ? "echo E: no network >&2; exit 100" : ""}
${bubblewrapFails ? 'case "$*" in *bubblewrap*) echo E: no such package >&2; exit 100;; esac' : ""}
case "$*" in *postgresql*) to=/usr/lib/postgresql/15/bin; mkdir -p $to
${programs}
chmod +x $to/*;; esac`,
  );
  return {
    folder,
    calls: async () => (await readFile(calls, "utf8")).split("\n").filter((line) => line !== ""),
  };
}

async function script(path: string, body: string): Promise<void> {
  await writeFile(path, `#!/bin/sh\n${body}\n`);
  await chmod(path, 0o755);
}

/** Runs the script where no PostgreSQL is to be seen; `as` comes between, to drop rights. */
async function runHidden(
  { folder }: Machine,
  as = "",
): Promise<{ readonly exitCode: number | null; readonly output: string; readonly leftSettings: string }> {
  const hide = `set -e
mount -t tmpfs none /usr/lib/postgresql
mkdir -p /etc/postgresql-common
mount -t tmpfs none /etc/postgresql-common
chmod 755 /usr/lib/postgresql /etc/postgresql-common
mkdir "$FOLDER/system"
for program in sh true env mkdir tee rm cat chmod; do ln -s "/bin/$program" "$FOLDER/system/$program"; done
set +e
PATH="$FOLDER/bin:$FOLDER/system" ${as} "$NODE" "$SCRIPT"
code=$?
ls -A /etc/postgresql-common/createcluster.d 2>/dev/null >"$FOLDER/left"
exit $code`;
  const child = spawn("unshare", ["--mount", "sh", "-c", hide], {
    env: { PATH: "/usr/sbin:/usr/bin:/sbin:/bin", FOLDER: folder, NODE: process.execPath, SCRIPT },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let output = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => (output += text));
  child.stderr.setEncoding("utf8").on("data", (text: string) => (output += text));
  const exitCode = await new Promise<number | null>((done, failed) => {
    child.once("error", failed);
    child.once("close", done);
  });
  return { exitCode, output, leftSettings: (await readFile(join(folder, "left"), "utf8")).trim() };
}

const AS_NOBODY = "/usr/bin/setpriv --reuid 65534 --regid 65534 --clear-groups";
const APT_CALLS = [
  "noninteractive apt-get -o DPkg::Lock::Timeout=300 update",
  "create_main_cluster = false",
  "noninteractive apt-get -o DPkg::Lock::Timeout=300 install -y --no-install-recommends postgresql",
  "create_main_cluster = false",
  "noninteractive apt-get -o DPkg::Lock::Timeout=300 install -y --no-install-recommends bubblewrap",
  "create_main_cluster = false",
];

describe("install-packages.ts", () => {
  test("installs as root, quietly, and leaves no setting behind", hidden, async (t) => {
    const machine = await makeMachine(t);
    const { exitCode, output, leftSettings } = await runHidden(machine);
    assert.equal(exitCode, 0, output);
    assert.deepEqual(await machine.calls(), APT_CALLS);
    assert.equal(output.trim().split("\n").length, 1, output);
    assert.equal(leftSettings, "");
  });

  test("goes on without a wanted package, and says what won't work", hidden, async (t) => {
    const machine = await makeMachine(t, { bubblewrapFails: true });
    const { exitCode, output, leftSettings } = await runHidden(machine);
    assert.equal(exitCode, 0, output);
    assert.match(output, /^One-off containers won't work: bubblewrap is not installed\./m);
    assert.equal(leftSettings, "");
  });

  test("installs by sudo that asks for no password", hidden, async (t) => {
    const machine = await makeMachine(t);
    // Stands for sudo: what it runs may write where this user may not, since the test opens those places.
    await script(join(machine.folder, "bin/sudo"), `[ "$1" = -n ] || exit 1\nshift\nexec "$@"`);
    const open = `sh -c 'chmod 777 /usr/lib/postgresql /etc/postgresql-common; exec "$@"' sh ${AS_NOBODY}`;
    const { exitCode, output } = await runHidden(machine, open);
    assert.equal(exitCode, 0, output);
    assert.deepEqual(await machine.calls(), APT_CALLS);
  });

  test("exits 1 with the line to type when it may not install", hidden, async (t) => {
    const machine = await makeMachine(t);
    await script(join(machine.folder, "bin/sudo"), "echo a password is required >&2; exit 1");
    const { exitCode, output } = await runHidden(machine, AS_NOBODY);
    assert.equal(exitCode, 1);
    for (const line of Object.values(INSTALL_LINES)) assert.ok(output.includes(line), output);
    assert.deepEqual(await machine.calls(), []);
  });

  test("shows what apt-get said when it fails, and exits 1", hidden, async (t) => {
    const machine = await makeMachine(t, { aptFails: true });
    const { exitCode, output, leftSettings } = await runHidden(machine);
    assert.equal(exitCode, 1);
    assert.match(output, /E: no network/);
    assert.match(output, /apt-get .*update: exit code 100/);
    assert.equal((await machine.calls()).length, 2);
    assert.equal(leftSettings, "");
  });
});
