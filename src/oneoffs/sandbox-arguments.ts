import { join } from "node:path";

/** A folder or file of the host as it appears inside, read-only. */
export interface Binding {
  readonly from: string;
  readonly to: string;
}

/** A place at the top of the host's tree, such as /bin: a link on systems that keep everything in /usr, a folder on older ones. */
export type TopFolder = { readonly path: string; readonly linkTo: string } | { readonly path: string };

export interface SandboxLayout {
  /** Shown as its host name. */
  readonly label: string;
  readonly topFolders: readonly TopFolder[];
  /** Of ours and of PostgreSQL; what must be there. */
  readonly bindings: readonly Binding[];
  /** Of the host's /etc, where they exist. */
  readonly optionalFiles: readonly string[];
  /** Bytes that its files may have, in /app and in /tmp alike. */
  readonly fileBytesMax: number;
  readonly processesMax: number;
  /** bubblewrap can forbid user namespaces inside; older ones can't. */
  readonly canForbidUserNamespaces: boolean;
  /** Ports inside, and the sockets that they lead to. */
  readonly forwards: readonly { readonly port: number; readonly socketPath: string }[];
}

/** User and group inside: any but root's. */
const INSIDE_ID = 1000;
/** Shared memory of programs, which is all that /dev/shm is for. */
const SHARED_MEMORY_BYTES_MAX = 64 * 1024 * 1024;

/** Where the program lies inside: its sources, its packages and the runtime. */
export const INSIDE_PROGRAM = "/opt/tidemark";
/** Where the platform's sockets lie inside. */
export const INSIDE_SOCKETS = "/run/tidemark";
/** Home and working folder inside. */
export const INSIDE_HOME = "/app";
export const INSIDE_UPLOADS = "/tmp/uploads";

/** Files of the host's /etc that programs need to run at all, to know time and to check certificates; none of them is secret. */
export const OPTIONAL_FILES = [
  "/etc/ld.so.cache",
  "/etc/alternatives",
  "/etc/ssl/certs",
  "/etc/ssl/openssl.cnf",
  "/etc/localtime",
  "/etc/terminfo",
  "/etc/inputrc",
  "/etc/services",
  "/etc/protocols",
] as const;

/** Arguments of `bwrap`, the agent's command line included. Pure. Holds nothing secret: others can read argument lists. */
export function sandboxArguments(layout: SandboxLayout): string[] {
  const runtime = join(INSIDE_PROGRAM, "runtime", "node");
  const agent = join(INSIDE_PROGRAM, "src", "oneoffs", "agent.ts");
  const groups: readonly (readonly string[])[] = [
    ["--unshare-user", "--unshare-pid", "--unshare-ipc", "--unshare-uts", "--unshare-cgroup", "--unshare-net"],
    layout.canForbidUserNamespaces ? ["--disable-userns"] : [],
    ["--die-with-parent", "--new-session", "--cap-drop", "ALL", "--clearenv"],
    ["--uid", String(INSIDE_ID), "--gid", String(INSIDE_ID), "--hostname", layout.label],
    layout.topFolders.flatMap((each) =>
      "linkTo" in each ? ["--symlink", each.linkTo, each.path] : ["--ro-bind", each.path, each.path],
    ),
    ["--proc", "/proc", "--dev", "/dev"],
    ["--perms", "1777", "--size", String(SHARED_MEMORY_BYTES_MAX), "--tmpfs", "/dev/shm", "--remount-ro", "/dev"],
    ["--perms", "1777", "--size", String(layout.fileBytesMax), "--tmpfs", "/tmp", "--symlink", "/tmp", "/var/tmp"],
    ["--perms", "0700", "--size", String(layout.fileBytesMax), "--tmpfs", INSIDE_HOME],
    layout.optionalFiles.flatMap((path) => ["--ro-bind-try", path, path]),
    layout.bindings.flatMap(({ from, to }) => ["--ro-bind", from, to]),
    ["--remount-ro", "/", "--chdir", INSIDE_HOME, "--"],
    // In here, since the count goes by user and namespace: outside, the user's servers would count too.
    ["/usr/bin/prlimit", `--nproc=${layout.processesMax}`, "--", runtime, agent],
    layout.forwards.map(({ port, socketPath }) => `${port}=${socketPath}`),
  ];
  return groups.flat();
}
