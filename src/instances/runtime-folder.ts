import { createHash } from "node:crypto";
import { lchown, lstat, mkdir, readdir, rmdir } from "node:fs/promises";
import { join } from "node:path";
import { assert } from "../core/assert.ts";
import { TidemarkError, systemErrorCode } from "../core/errors.ts";
import type { ServiceUser } from "./service-user.ts";

/** `sun_path` of unix(7) less its ending zero: a longer socket path is refused by the system. */
const SOCKET_PATH_BYTES_MAX = 107;
/** Below the folder: a subfolder of ours and PostgreSQL's `.s.PGSQL.<port>`. */
const LONGEST_SOCKET_NAME = "/control/.s.PGSQL.65535";
/** 32 bits tell the homes of one machine apart. */
const HASH_DIGITS = 8;

const PRIVATE_FOLDER_MODE = 0o700;

/**
 * Where the Unix sockets of a home lie: short, since a home can be deep; always the same for the same home and user, so
 * that servers left over are found again. `uid` is the platform's own; `xdgRuntimeFolder` the value of XDG_RUNTIME_DIR.
 */
export function runtimeFolder({
  home,
  uid,
  xdgRuntimeFolder,
}: {
  readonly home: string;
  readonly uid: number;
  readonly xdgRuntimeFolder?: string;
}): string {
  const hash = createHash("sha256").update(home).digest("hex").slice(0, HASH_DIGITS);
  if (uid === 0) return `/run/tidemark-${hash}`;
  const personal = xdgRuntimeFolder === undefined ? undefined : join(xdgRuntimeFolder, `tidemark-${hash}`);
  const chosen = personal !== undefined && fits(personal) ? personal : `/tmp/tidemark-${uid}-${hash}`;
  assert(fits(chosen), "the socket path fits sun_path");
  return chosen;
}

/**
 * Makes the folder, or takes the one that is there, private to the service user. `home_unusable` when it belongs to
 * somebody else, is open to others or is no folder: in /tmp anybody could have put it there. May be called twice.
 */
export async function prepareRuntimeFolder(folder: string, user: ServiceUser): Promise<void> {
  try {
    await mkdir(folder, { mode: PRIVATE_FOLDER_MODE });
    // Not following a link: below a folder of the service user, that user could have put one in its place.
    if (user.isSwitchedFromRoot) await lchown(folder, user.uid, user.gid);
  } catch (error) {
    if (systemErrorCode(error) !== "EEXIST") throw unusable(folder, "it can't be made", error);
  }
  const found = await lstat(folder);
  if (!found.isDirectory()) throw unusable(folder, "it is not a folder");
  // A platform killed between mkdir and chown leaves a folder of root's: taken, since only root can have made that one.
  if (user.isSwitchedFromRoot && found.uid === 0) await lchown(folder, user.uid, user.gid);
  else if (found.uid !== user.uid) throw unusable(folder, `it belongs to another user (uid ${found.uid})`);
  if ((found.mode & 0o077) !== 0) throw unusable(folder, "others may enter it");
}

/** Removes the folder and its empty subfolders after everything in it has ended; what is still in use stays. May be called again. */
export async function removeRuntimeFolder(folder: string): Promise<void> {
  const children = await readdir(folder).catch(() => []);
  for (const path of [...children.map((name) => join(folder, name)), folder]) {
    // Best effort: a folder that isn't empty or is gone already is left as it is, and costs nothing.
    await rmdir(path).catch(() => undefined);
  }
}

function fits(folder: string): boolean {
  return Buffer.byteLength(folder + LONGEST_SOCKET_NAME) <= SOCKET_PATH_BYTES_MAX;
}

function unusable(folder: string, reason: string, cause?: unknown): TidemarkError {
  return new TidemarkError("home_unusable", `Cannot keep sockets in "${folder}": ${reason}`, {
    cause,
    hint: `Remove "${folder}" (it holds sockets only) and start again.`,
  });
}
