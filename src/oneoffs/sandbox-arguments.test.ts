import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { launchCommand } from "./launch-command.ts";
import { sandboxArguments } from "./sandbox-arguments.ts";

const layout = {
  label: "one-off-1",
  topFolders: [{ path: "/bin", linkTo: "usr/bin" }, { path: "/lib64" }],
  bindings: [{ from: "/usr", to: "/usr" }],
  optionalFiles: ["/etc/localtime"],
  fileBytesMax: 1000,
  processesMax: 20,
  canForbidUserNamespaces: true,
  forwards: [{ port: 15_432, socketPath: "/run/tidemark/15432" }],
};

describe("sandboxArguments()", () => {
  test("unshares every namespace, drops every capability and shows all of the host read-only", () => {
    const line = sandboxArguments(layout).join(" ");
    for (const namespace of ["user", "pid", "ipc", "uts", "cgroup", "net"])
      assert.match(line, new RegExp(`--unshare-${namespace} `));
    assert.match(line, /--disable-userns --die-with-parent --new-session --cap-drop ALL --clearenv/);
    assert.match(line, /--symlink usr\/bin \/bin --ro-bind \/lib64 \/lib64/);
    assert.doesNotMatch(line, / --(dev-)?bind /);
    assert.match(line, /--remount-ro \/ --chdir \/app -- /);
    assert.match(
      line,
      /--nproc=20 -- \/opt\/tidemark\/runtime\/node \/opt\/tidemark\/src\/oneoffs\/agent\.ts 15432=\/run\/tidemark\/15432$/,
    );
  });

  test("leaves out what an older bubblewrap doesn't know", () => {
    assert.ok(!sandboxArguments({ ...layout, canForbidUserNamespaces: false }).includes("--disable-userns"));
  });
});

describe("launchCommand()", () => {
  const input = {
    mounts: [{ from: "/root/tidemark/src", to: "/home/one-offs/program/src" }],
    bwrap: "bwrap",
    bwrapArguments: ["--x"],
    memoryBytesMax: 1,
    fileBytesMax: 2,
  };

  test("mounts as root, then gives up root's rights before bubblewrap begins", () => {
    const user = { uid: 999, gid: 998, name: "tidemark", isSwitchedFromRoot: true };
    const command = launchCommand({ ...input, user });
    const line = command.join(" ");
    assert.equal(command[0], "unshare");
    assert.match(
      line,
      / sh \/root\/tidemark\/src \/home\/one-offs\/program\/src -- nice -n 10 choom -n 1000 -- prlimit /,
    );
    assert.match(line, /setpriv --reuid=999 --regid=998 --clear-groups --no-new-privs -- bwrap --x$/);
  });

  test("needs nothing of the sort as an ordinary user", () => {
    const user = { uid: 1000, gid: 1000, name: "me", isSwitchedFromRoot: false };
    const command = launchCommand({ ...input, user });
    assert.equal(command[0], "nice");
    assert.deepEqual(
      command.filter((word) => ["unshare", "setpriv", "mount"].includes(word)),
      [],
    );
  });
});
