import { execFile } from "node:child_process";
import { realpath } from "node:fs/promises";
import { userInfo } from "node:os";
import { dirname } from "node:path";
import { promisify } from "node:util";
import { TidemarkError, systemErrorCode } from "../core/errors.ts";
import type { FileOwner } from "../restore/owned-files.ts";

/** PostgreSQL doesn't run as root, so a restore by root is for one of these: the platform's user, or that of the distribution's packages. */
const OWNERS_OF_ROOT = ["tidemark", "postgres"] as const;
/** id and test answer at once; this bounds a broken name service. */
const PROGRAM_TIMEOUT_MS = 20_000;
const SYSTEM_PATH = "/usr/sbin:/usr/bin:/sbin:/bin";

const execute = promisify(execFile);

/**
 * Who shall own what is restored and run PostgreSQL: for root the named user, or the first that exists of `tidemark` and `postgres`; otherwise the
 * caller, which is undefined.
 *
 * @throws `usage` when there is no such user, or somebody else than root names one
 */
export async function findRestoreOwner(name: string | undefined): Promise<FileOwner | undefined> {
  if (userInfo().uid !== 0) {
    if (name === undefined) return undefined;
    throw new TidemarkError("usage", "--owner is for root: anybody else restores for himself");
  }
  for (const candidate of name === undefined ? OWNERS_OF_ROOT : [name]) {
    const owner = await lookUp(candidate);
    if (owner !== undefined) return owner;
  }
  throw new TidemarkError("usage", `Cannot find the system user "${name ?? OWNERS_OF_ROOT.join('" or "')}"`, {
    hint: "PostgreSQL doesn't run as root: name the user that shall own the folder with --owner NAME, or restore as that user",
  });
}

/** Checks that the owner can enter the folders on the way to `folder`, which need not exist. @throws `restore_refused` with the command that helps */
export async function requireReachable(folder: string, owner: FileOwner | undefined): Promise<void> {
  if (owner === undefined) return;
  const onTheWay = ancestors(await deepestExisting(folder));
  const script = 'for folder do test -x "$folder" || { printf %s "$folder"; exit; }; done';
  const { stdout: closed } = await execute("/bin/sh", ["-c", script, "sh", ...onTheWay], {
    uid: owner.uid,
    gid: owner.gid,
    cwd: "/",
    env: { PATH: SYSTEM_PATH },
    timeout: PROGRAM_TIMEOUT_MS,
  });
  if (closed === "") return;
  throw new TidemarkError(
    "restore_refused",
    `Cannot restore into "${folder}": its owner to be can't enter "${closed}"`,
    {
      hint: `Run: chmod o+x "${closed}"\nor choose another folder`,
    },
  );
}

async function lookUp(name: string): Promise<FileOwner | undefined> {
  try {
    const [uid, gid] = await Promise.all(
      ["-u", "-g"].map(async (option) => {
        const { stdout } = await execute("id", [option, "--", name], {
          env: { PATH: SYSTEM_PATH },
          timeout: PROGRAM_TIMEOUT_MS,
        });
        return Number(stdout.trim());
      }),
    );
    return uid === undefined || gid === undefined || uid === 0 ? undefined : { uid, gid };
  } catch {
    return undefined; // id exits 1 for a name that it doesn't know
  }
}

/** Links resolved, since each folder behind a link must be open too. */
async function deepestExisting(folder: string): Promise<string> {
  try {
    return await realpath(folder);
  } catch (error) {
    if (systemErrorCode(error) !== "ENOENT" || dirname(folder) === folder) throw error;
    return deepestExisting(dirname(folder));
  }
}

/** From the root down to the folder itself. */
function ancestors(folder: string): string[] {
  return dirname(folder) === folder ? [folder] : [...ancestors(dirname(folder)), folder];
}
