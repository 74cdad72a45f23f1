import { chmod, chown, mkdir, open, rename, rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import { type ServerDefinition, SUPERUSER, confFolder, logFile } from "./server-definition.ts";
import type { ServiceUser } from "./service-user.ts";

/**
 * Root's files are readable by the servers' user and changed by the platform only: what root writes lies where nobody
 * else can plant a link. A platform that is the servers' user itself shares with nobody, and PostgreSQL refuses a key
 * of its own that its group may read.
 */
const SHARED_MODES = { folder: 0o750, file: 0o640 } as const;
const PRIVATE_MODES = { folder: 0o700, file: 0o600 } as const;
/** The way down to a server's folders: entered, not listed. */
const PASSAGE_MODE = 0o711;

export interface ConfigurationFiles {
  readonly settings: string;
  readonly access: string;
  readonly identities: string;
}

export function configurationFiles(server: ServerDefinition): ConfigurationFiles {
  const folder = confFolder(server);
  return {
    settings: join(folder, "postgresql.conf"),
    access: join(folder, "pg_hba.conf"),
    identities: join(folder, "pg_ident.conf"),
  };
}

/**
 * Makes the server's folders and writes its configuration, each file whole or not at all. May be called while the
 * server runs.
 */
export async function writeServerFiles(server: ServerDefinition): Promise<void> {
  await makePassage(server.folder);
  await makeSharedFolder(confFolder(server), server.user);
  await makeSharedFolder(dirname(logFile(server)), server.user);
  const files = configurationFiles(server);
  await writeSharedFile(files.settings, formatSettings(allSettings(server)), server.user);
  await writeSharedFile(files.access, formatAccessRules(server.accessRules), server.user);
  await writeSharedFile(files.identities, formatIdentities(server.user), server.user);
}

/** Makes a folder, and those above it, that the servers' user can pass through. */
export async function makePassage(folder: string): Promise<void> {
  await mkdir(folder, { recursive: true, mode: PASSAGE_MODE });
}

export async function makeSharedFolder(folder: string, user: ServiceUser): Promise<void> {
  await mkdir(folder, { recursive: true });
  await chmod(folder, modesFor(user).folder);
  if (user.isSwitchedFromRoot) await chown(folder, 0, user.gid);
}

/** Modes of what the platform makes for its servers to read. */
export function modesFor(user: ServiceUser): { readonly folder: number; readonly file: number } {
  return user.isSwitchedFromRoot ? SHARED_MODES : PRIVATE_MODES;
}

/** Writes a file that the servers' user may read and only the platform may change. */
export async function writeSharedFile(path: string, content: string, user: ServiceUser): Promise<void> {
  await writeWholeFile(path, content, {
    mode: modesFor(user).file,
    ...(user.isSwitchedFromRoot ? { owner: { uid: 0, gid: user.gid } } : {}),
  });
}

/** The content appears whole, by rename, never readable by more than `mode` says, and is on disk when this resolves. */
export async function writeWholeFile(
  path: string,
  content: string,
  { mode, owner }: { readonly mode: number; readonly owner?: { readonly uid: number; readonly gid: number } },
): Promise<void> {
  const part = `${path}.part`;
  await rm(part, { force: true });
  const file = await open(part, "wx", mode);
  try {
    await file.chmod(mode);
    if (owner !== undefined) await file.chown(owner.uid, owner.gid);
    await file.writeFile(content);
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(part, path);
  await syncFolder(dirname(path));
}

/** Makes renames and new names in a folder durable. */
export async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, "r");
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** postgresql.conf: values quoted, in the order given. A later name would win, so each stands once. */
export function formatSettings(settings: Readonly<Record<string, string>>): string {
  const lines = Object.entries(settings).map(([name, value]) => `${name} = ${quoteSetting(value)}`);
  return `# Written by Tidemark at each start: changes made here are lost.\n${lines.join("\n")}\n`;
}

/** The platform's own entry comes first, and the superuser has no other: not over the network, not with a password. */
export function formatAccessRules(rules: readonly string[]): string {
  const own = [`local all ${SUPERUSER} peer map=platform`, `host all ${SUPERUSER} all reject`];
  return `# Written by Tidemark at each start: changes made here are lost.\n${[...own, ...rules].join("\n")}\n`;
}

/** System users that may be the superuser: the servers' own and, where the platform runs as root, root. */
export function formatIdentities(user: ServiceUser): string {
  const names = user.isSwitchedFromRoot ? [user.name, "root"] : [user.name];
  return names.map((name) => `platform "${name}" ${SUPERUSER}\n`).join("");
}

function allSettings(server: ServerDefinition): Record<string, string> {
  return {
    cluster_name: server.name,
    listen_addresses: server.listenAddresses,
    port: String(server.port),
    unix_socket_directories: server.socketFolder,
    unix_socket_permissions: "0700",
    password_encryption: "scram-sha-256",
    // The platform opens the log and bounds its size; PostgreSQL writes to standard error.
    logging_collector: "off",
    log_destination: "stderr",
    log_line_prefix: "%m [%p] %q%u@%d ",
    log_checkpoints: "off",
    log_timezone: "UTC",
    timezone: "UTC",
    // Messages are read by people far from this machine, and codes by us: one language everywhere.
    lc_messages: "C",
    ...server.settings,
  };
}

/** Inside quotes a quote is doubled and a backslash begins an escape (guc-file.l). */
function quoteSetting(value: string): string {
  return `'${value.replaceAll("\\", "\\\\").replaceAll("'", "''")}'`;
}
