import { execFile } from "node:child_process";
import { realpath } from "node:fs/promises";
import { userInfo } from "node:os";
import { dirname, resolve } from "node:path";
import { promisify } from "node:util";
import { TidemarkError, systemErrorCode } from "../core/errors.ts";

/** The operating-system user that servers and PostgreSQL's programs run as. */
export interface ServiceUser {
  readonly uid: number;
  readonly gid: number;
  readonly name: string;
  /** The platform runs as root and hands servers, and what they own, to this user. */
  readonly isSwitchedFromRoot: boolean;
}

/** Name of the system user that a platform run by root makes and uses. */
export const SERVICE_USER_NAME = "tidemark";

/** useradd's exit code for a name that exists: another platform on this machine was faster. */
const NAME_EXISTS_EXIT = 9;
/** id, useradd and test answer at once; this bounds a broken name service. */
const PROGRAM_TIMEOUT_MS = 20_000;
/** useradd lies in sbin, which the PATH of a service often lacks. */
const SYSTEM_PATH = "/usr/sbin:/usr/bin:/sbin:/bin";

const execute = promisify(execFile);

/**
 * The service user: for root the system user `tidemark`, made when absent (no shell, no home), otherwise the caller.
 * May be called twice. `home_unusable` when it can't be made, or when the caller's user id has no name.
 */
export async function findServiceUser(): Promise<ServiceUser> {
  const self = callingUser();
  if (self.uid !== 0) return { uid: self.uid, gid: self.gid, name: self.username, isSwitchedFromRoot: false };
  return (await lookUp(SERVICE_USER_NAME)) ?? (await makeServiceUser());
}

/** uid and gid for `spawn`: empty where the caller is the service user already. */
export function spawnIdentity(user: ServiceUser): { uid?: number; gid?: number } {
  return user.isSwitchedFromRoot ? { uid: user.uid, gid: user.gid } : {};
}

/**
 * Checks, before anything is made, that the service user can enter every folder on the way to `folder`, which need not
 * exist yet. `home_unusable` names the closed folder and the command that opens it.
 */
export async function checkReachable(folder: string, user: ServiceUser): Promise<void> {
  const existing = await deepestExisting(resolve(folder));
  const onTheWay = ancestors(existing);
  // `test -x` is asked as the user itself, so that access lists and groups count; it prints the first folder that is
  // closed.
  const script = 'for folder do test -x "$folder" || { printf %s "$folder"; exit; }; done';
  const { stdout: closed } = await execute("/bin/sh", ["-c", script, "sh", ...onTheWay], {
    ...spawnIdentity(user),
    cwd: "/",
    env: { PATH: SYSTEM_PATH },
    timeout: PROGRAM_TIMEOUT_MS,
  });
  if (closed === "") return;
  throw new TidemarkError(
    "home_unusable",
    `Cannot use the folder "${folder}": user "${user.name}" can't enter "${closed}"`,
    {
      hint: `Run: chmod o+x "${closed}"\nor set TIDEMARK_HOME to a folder that this user can reach.`,
    },
  );
}

function callingUser(): { readonly uid: number; readonly gid: number; readonly username: string } {
  try {
    return userInfo();
  } catch (error) {
    throw new TidemarkError("home_unusable", "Cannot run PostgreSQL: the system knows no name of the current user", {
      cause: error,
      hint: "PostgreSQL needs one: add the user id to /etc/passwd, or run Tidemark as another user.",
    });
  }
}

async function lookUp(name: string): Promise<ServiceUser | undefined> {
  const uid = await askId("-u", name);
  const gid = await askId("-g", name);
  return uid === undefined || gid === undefined ? undefined : { uid, gid, name, isSwitchedFromRoot: true };
}

async function askId(option: "-u" | "-g", name: string): Promise<number | undefined> {
  try {
    const { stdout } = await execute("id", [option, name], {
      env: { PATH: SYSTEM_PATH },
      timeout: PROGRAM_TIMEOUT_MS,
    });
    return Number(stdout.trim());
  } catch {
    // id exits 1 for a name it doesn't know; whatever else is wrong is met again, and said, when the user is made.
    return undefined;
  }
}

async function makeServiceUser(): Promise<ServiceUser> {
  const options = [
    "--system",
    "--user-group",
    "--no-create-home",
    "--home-dir",
    "/nonexistent",
    "--shell",
    "/usr/sbin/nologin",
  ];
  let cause: unknown;
  try {
    await execute("useradd", [...options, SERVICE_USER_NAME], {
      env: { PATH: SYSTEM_PATH },
      timeout: PROGRAM_TIMEOUT_MS,
    });
  } catch (error) {
    if (exitCode(error) !== NAME_EXISTS_EXIT) cause = error;
  }
  const user = await lookUp(SERVICE_USER_NAME);
  if (user !== undefined) return user;
  throw new TidemarkError(
    "home_unusable",
    `Cannot make the system user "${SERVICE_USER_NAME}" that PostgreSQL runs as`,
    {
      cause,
      hint: `Make it (useradd ${options.join(" ")} ${SERVICE_USER_NAME}), or run Tidemark as an ordinary user.`,
    },
  );
}

function exitCode(error: unknown): number | undefined {
  return error instanceof Error && "code" in error && typeof error.code === "number" ? error.code : undefined;
}

/** Symbolic links resolved, since each folder behind a link must be open too. */
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
