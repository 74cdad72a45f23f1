import { spawnSync } from "node:child_process";

/** Any user without rights: what matters is that it isn't root. */
const NOBODY = "65534";

/** Why one-off containers can't run on this machine; false when they can. */
export function sandboxObstacle(): string | false {
  const asNobody = ["setpriv", "--reuid", NOBODY, "--regid", NOBODY, "--clear-groups"];
  const sandbox = ["bwrap", "--unshare-all", "--ro-bind", "/", "/", "--proc", "/proc", "true"];
  const [program = "", ...programArguments] = process.getuid?.() === 0 ? [...asNobody, ...sandbox] : sandbox;
  const { status, stderr, error } = spawnSync(program, programArguments, { encoding: "utf8", cwd: "/" });
  if (status === 0) return false;
  return `no sandbox can be made on this machine: ${error?.message ?? stderr.trim()}`;
}
