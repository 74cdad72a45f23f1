import { execFile } from "node:child_process";
import { chown, lstat, mkdir, readdir, readFile, readlink, realpath, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import type { Clock } from "../core/clock.ts";
import { systemErrorCode, TidemarkError } from "../core/errors.ts";
import type { Logger } from "../core/logger.ts";
import type { ServiceUser } from "../instances/service-user.ts";
import type { Programs } from "../postgres/programs.ts";
import type { Mount } from "./launch-command.ts";
import { type Binding, INSIDE_PROGRAM, type TopFolder } from "./sandbox-arguments.ts";

/** The machine that sandboxes run on. */
export interface SandboxHost {
  readonly user: ServiceUser;
  /** For the files of sandboxes; ours alone, emptied when it is opened. The service user can reach it. */
  readonly workFolder: string;
  /** For sockets: a short path, private to the service user. */
  readonly socketFolder: string;
  /** Where this program lies: the folder of package.json. */
  readonly programFolder: string;
  /** The Node.js that runs it. */
  readonly runtime: string;
  /** Newest first. */
  readonly installed: readonly Programs[];
  readonly clock: Clock;
  readonly logger: Logger;
}

/** What every sandbox of this machine shares, once `openSandboxHost` has looked at it. */
export interface OpenSandboxHost extends SandboxHost {
  readonly mounts: readonly Mount[];
  readonly bindings: readonly Binding[];
  readonly topFolders: readonly TopFolder[];
}

/** Parts of the program that are needed inside: the agent, and the command line for whoever installs it there. */
const PROGRAM_PARTS = ["src", "bin", "package.json", "node_modules"] as const;
const TOP_FOLDERS = ["/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32"] as const;
/** In the folder for sockets, which has those of servers too. */
export const SOCKET_FOLDER_PREFIX = "o-";
const VERSION_TIMEOUT_MS = 10_000;

const execute = promisify(execFile);

/**
 * Empties the work folder of what a killed platform left, and finds what sandboxes need of this machine. Makes nothing run: whether the kernel allows
 * sandboxes is seen when the first one starts.
 */
export async function openSandboxHost(host: SandboxHost): Promise<OpenSandboxHost> {
  await rm(host.workFolder, { recursive: true, force: true });
  await mkdir(host.workFolder, { recursive: true, mode: 0o711 });
  for (const name of await readdir(host.socketFolder))
    if (name.startsWith(SOCKET_FOLDER_PREFIX))
      await rm(join(host.socketFolder, name), { recursive: true, force: true });
  const parts = await Promise.all(
    PROGRAM_PARTS.map(async (name) => ({ name, from: await realpath(join(host.programFolder, name)) })),
  );
  const runtime = { name: "runtime/node", from: await realpath(host.runtime) };
  const folder = join(host.workFolder, "program");
  const mounts = host.user.isSwitchedFromRoot ? await makePlaces(folder, [...parts, runtime]) : [];
  const sources = [...parts, runtime].map(({ name, from }, index) => ({
    from: mounts[index]?.to ?? from,
    to: join(INSIDE_PROGRAM, name),
  }));
  return {
    ...host,
    mounts,
    bindings: [{ from: "/usr", to: "/usr" }, ...sources, ...postgresqlBindings(host.installed)],
    topFolders: await findTopFolders(),
  };
}

/** Of `bwrap --version`; `sandbox_unavailable` where there is none. */
export async function findBubblewrap(): Promise<{ readonly canForbidUserNamespaces: boolean }> {
  try {
    const { stdout } = await execute("bwrap", ["--version"], { timeout: VERSION_TIMEOUT_MS });
    const [, major = 0, minor = 0] = /(\d+)\.(\d+)/.exec(stdout)?.map(Number) ?? [];
    return { canForbidUserNamespaces: major > 0 || minor >= 8 };
  } catch (error) {
    const reason = systemErrorCode(error) === "ENOENT" ? "bubblewrap is not installed" : "bwrap doesn't run";
    throw unavailable(reason, {
      hint: "Install it on the platform's machine: sudo apt-get install -y --no-install-recommends bubblewrap",
      cause: error,
    });
  }
}

/** Why bwrap could not make its namespaces, as far as the kernel's settings tell; `said` is what it printed. */
export async function refusedByKernel(said: string): Promise<TidemarkError> {
  const settings = [
    { name: "kernel/unprivileged_userns_clone", refuses: "0", allow: "1" },
    { name: "kernel/apparmor_restrict_unprivileged_userns", refuses: "1", allow: "0" },
    { name: "user/max_user_namespaces", refuses: "0", allow: "10000" },
  ];
  for (const { name, refuses, allow } of settings) {
    const value = await readFile(join("/proc/sys", name), "utf8").catch(() => "");
    if (value.trim() !== refuses) continue;
    const dotted = name.replace("/", ".");
    return unavailable(`the kernel refuses namespaces to ordinary users (${dotted} is ${refuses})`, {
      hint: `On the platform's machine: sudo sysctl -w ${dotted}=${allow}, and a line "${dotted} = ${allow}" in /etc/sysctl.d/tidemark.conf to keep it`,
    });
  }
  return unavailable(`the sandbox doesn't start: ${said.trim() || "bwrap said nothing"}`, {
    hint: "Inside a container, its runtime has to allow user namespaces, mounts and network namespaces; see docs/operating/one-offs.md",
  });
}

function unavailable(reason: string, options: { hint: string; cause?: unknown }): TidemarkError {
  return new TidemarkError("sandbox_unavailable", `Cannot run a one-off container: ${reason}`, options);
}

/**
 * Root may have the program where the service user can't go (in /root, say). Each part gets a place that this user can reach, and each launch mounts
 * the part there, for itself alone.
 */
async function makePlaces(
  folder: string,
  parts: readonly { readonly name: string; readonly from: string }[],
): Promise<Mount[]> {
  await mkdir(join(folder, "runtime"), { recursive: true, mode: 0o755 });
  return await Promise.all(
    parts.map(async ({ name, from }) => {
      const to = join(folder, name);
      if ((await lstat(from)).isDirectory()) await mkdir(to, { mode: 0o755 });
      else await writeFile(to, "");
      return { from, to };
    }),
  );
}

/** PostgreSQL's programs lie in /usr mostly; where they don't, their own tree is shown as well. */
function postgresqlBindings(installed: readonly Programs[]): Binding[] {
  return installed
    .filter(({ binFolder, isServerOnly }) => !isServerOnly && !binFolder.startsWith("/usr/"))
    .map(({ binFolder }) => join(binFolder, ".."))
    .map((folder) => ({ from: folder, to: folder }));
}

async function findTopFolders(): Promise<TopFolder[]> {
  const found = await Promise.all(
    TOP_FOLDERS.map(async (path): Promise<TopFolder | undefined> => {
      const state = await lstat(path).catch(() => undefined);
      if (state === undefined) return undefined;
      return state.isSymbolicLink() ? { path, linkTo: await readlink(path) } : { path };
    }),
  );
  return found.filter((each) => each !== undefined);
}

/** Makes a folder that the service user owns, closed to others. Its parent is ours, so that nobody can have put anything there. */
export async function makeOwnedFolder(path: string, user: ServiceUser): Promise<void> {
  await mkdir(path, { mode: 0o700 });
  if (user.isSwitchedFromRoot) await chown(path, user.uid, user.gid);
}
