import { randomBytes } from "node:crypto";
import { access, constants, mkdir, readdir, readFile, rename, stat, statfs, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { z } from "zod";
import { systemErrorCode, TidemarkError } from "../core/errors.ts";

/** Layout of the home folder. A later version that changes it counts up and brings older ones along. */
const HOME_VERSION = 1;
/** Under this nothing is begun: servers, WAL and a first backup need room, and a full disk stops databases. */
const FREE_BYTES_MIN = 2 * 1024 ** 3;

const MARKER_FILE = "tidemark-home.json";
/** Of a file that is being written. */
const PART_SUFFIX = ".new";

const homeFile = z.object({ version: z.number().int().positive(), hostId: z.string().regex(/^[0-9a-f]{8}$/) });

/** The folder that everything of this machine's platform lies in. */
export interface Home {
  readonly folder: string;
  /** Says which machine runs a database; kept in the home for good. */
  readonly hostId: string;
}

export const homePaths = (home: string) => ({
  marker: join(home, MARKER_FILE),
  keys: join(home, "keys"),
  authority: join(home, "authority"),
  log: join(home, "log"),
  spool: join(home, "spool"),
  localLogin: join(home, "local.json"),
  firstLogin: join(home, "first-login"),
  repositoryId: join(home, "repository-id"),
});

/**
 * Checks a home without touching it: its version, that it is a home at all, that it can be written, and the free space. `home_unusable`,
 * `format_too_new` or `disk_full`.
 */
export async function checkHome(folder: string): Promise<void> {
  const entries = await entriesOf(folder);
  if (entries !== undefined && !isUnmade(entries)) await readMarker(folder);
  const existing = await deepestExisting(folder);
  try {
    await access(existing, constants.W_OK | constants.X_OK);
  } catch (error) {
    throw new TidemarkError("home_unusable", `Cannot write to the folder "${existing}"`, {
      cause: error,
      hint: `Give yourself the right to (sudo chown "$USER" "${existing}"), or set TIDEMARK_HOME to a folder of your own.`,
    });
  }
  await checkFreeSpace(existing);
}

/**
 * Makes the home or opens the one that is there. `forOthers`: the service user has to pass through it, to the data folders that are its own.
 */
export async function openHome(folder: string, { forOthers }: { forOthers: boolean }): Promise<Home> {
  await mkdir(folder, { recursive: true, mode: forOthers ? 0o711 : 0o700 });
  const paths = homePaths(folder);
  const found = (await entriesOf(folder))?.includes(MARKER_FILE) === true;
  const marker = found ? await readMarker(folder) : { version: HOME_VERSION, hostId: randomBytes(4).toString("hex") };
  if (!found) await writeFileWhole(paths.marker, `${JSON.stringify(marker)}\n`);
  await mkdir(paths.log, { recursive: true, mode: 0o700 });
  return { folder, hostId: marker.hostId };
}

/** Replaces a file in one step, readable by its owner only. */
export async function writeFileWhole(path: string, text: string): Promise<void> {
  const temporary = `${path}${PART_SUFFIX}`;
  await writeFile(temporary, text, { mode: 0o600, flush: true });
  await rename(temporary, path);
}

/** Nothing in it but what a start leaves that was killed in its first moment. */
function isUnmade(entries: readonly string[]): boolean {
  return entries.every((name) => name === `${MARKER_FILE}${PART_SUFFIX}`);
}

async function readMarker(folder: string): Promise<z.infer<typeof homeFile>> {
  const path = homePaths(folder).marker;
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch (error) {
    if (systemErrorCode(error) !== "ENOENT") throw unreadable(folder, error);
    throw new TidemarkError("home_unusable", `The folder "${folder}" holds other files, and no home of Tidemark`, {
      hint: "Set TIDEMARK_HOME to an empty folder or to one that doesn't exist yet.",
    });
  }
  const marker = parseMarker(text);
  if (marker === undefined) throw unreadable(folder, new Error(`${path} has unexpected contents`));
  if (marker.version > HOME_VERSION) {
    throw new TidemarkError(
      "format_too_new",
      `The home "${folder}" has layout version ${marker.version}; this Tidemark knows ${HOME_VERSION}`,
      { hint: "Start it with the Tidemark version that last used it, or a later one." },
    );
  }
  return marker;
}

function parseMarker(text: string): z.infer<typeof homeFile> | undefined {
  try {
    return homeFile.safeParse(JSON.parse(text)).data;
  } catch {
    return undefined;
  }
}

async function checkFreeSpace(folder: string): Promise<void> {
  const { bavail, bsize } = await statfs(folder);
  const freeBytes = bavail * bsize;
  if (freeBytes >= FREE_BYTES_MIN) return;
  const freeMib = Math.floor(freeBytes / 1024 ** 2);
  throw new TidemarkError(
    "disk_full",
    `Only ${freeMib} MiB are free where "${folder}" lies; Tidemark starts with 2 GiB at least`,
    {
      hint: "Free some space, or set TIDEMARK_HOME to a larger disk.",
    },
  );
}

async function entriesOf(folder: string): Promise<string[] | undefined> {
  try {
    return await readdir(folder);
  } catch (error) {
    const code = systemErrorCode(error);
    if (code === "ENOENT") return undefined;
    if (code === "ENOTDIR")
      throw new TidemarkError("home_unusable", `"${folder}" is a file, not a folder`, { cause: error });
    throw unreadable(folder, error);
  }
}

async function deepestExisting(folder: string): Promise<string> {
  try {
    await stat(folder);
    return folder;
  } catch (error) {
    if (systemErrorCode(error) !== "ENOENT" || dirname(folder) === folder) throw unreadable(folder, error);
    return await deepestExisting(dirname(folder));
  }
}

function unreadable(folder: string, cause: unknown): TidemarkError {
  return new TidemarkError("home_unusable", `Cannot read the folder "${folder}"`, {
    cause,
    hint: "Run Tidemark as the user that made it, or set TIDEMARK_HOME to another folder.",
  });
}
