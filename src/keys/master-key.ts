import { randomBytes } from "node:crypto";
import { link, mkdir, open, readFile, rm, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import { generateX25519Identity, identityToRecipient } from "age-encryption";
import { systemErrorCode, TidemarkError } from "../core/errors.ts";

const FILE_NAME = "master.age-identity";
const FOLDER_MODE = 0o700;
const FILE_MODE = 0o600;
/** Permissions of group and others. */
const OTHERS_MASK = 0o077;

/** Opens everything that the platform has written. Never logged, never stored anywhere but in its file. */
export interface MasterKey {
  /** `AGE-SECRET-KEY-1...` */
  readonly identity: string;
  /** `age1...`, no secret. */
  readonly recipient: string;
  readonly file: string;
}

/**
 * Loads the master key of a home, and makes it (folder 0700, file 0600, in the form that `age-keygen` writes) when there is none yet. Safe for several
 * processes at once: one makes it, all load the same.
 *
 * @param options.folder `$TIDEMARK_HOME/keys`.
 * @param options.mayCreate false when the home is in use already: then a missing file is lost, and a new key would open nothing.
 * @param options.now stands in the file as a comment.
 * @throws `key_missing` when the file is absent and may not be made, or holds no identity; `home_unusable` when it can't be read or written, or when
 *   others than its owner may read it.
 */
export async function openMasterKey(options: {
  readonly folder: string;
  readonly mayCreate: boolean;
  readonly now: Date;
}): Promise<MasterKey> {
  const file = join(options.folder, FILE_NAME);
  try {
    return (await load(file)) ?? (await make(file, options));
  } catch (error) {
    const code = error instanceof TidemarkError ? undefined : systemErrorCode(error);
    if (code === undefined) throw error;
    throw new TidemarkError("home_unusable", `Cannot use the master key "${file}": ${code}`, {
      hint: "Give the user that runs Tidemark read and write permission on this folder",
      cause: error,
    });
  }
}

async function load(file: string): Promise<MasterKey | undefined> {
  const found = await stat(file).catch((error: unknown) => {
    if (systemErrorCode(error) === "ENOENT") return undefined;
    throw error;
  });
  if (found === undefined) return undefined;
  if ((found.mode & OTHERS_MASK) !== 0)
    throw new TidemarkError("home_unusable", `Cannot use the master key "${file}": others than its owner may read it`, {
      hint: `Run: chmod 600 "${file}"`,
    });
  const lines = (await readFile(file, "utf8")).split("\n").map((line) => line.trim());
  const identity = lines.find((line) => line !== "" && !line.startsWith("#"));
  if (identity === undefined || !identity.startsWith("AGE-SECRET-KEY-"))
    throw missing(`Cannot use the master key "${file}": it holds no age identity`);
  return { identity, recipient: await identityToRecipient(identity), file };
}

async function make(
  file: string,
  options: { readonly folder: string; readonly mayCreate: boolean; readonly now: Date },
): Promise<MasterKey> {
  if (!options.mayCreate)
    throw missing(`Cannot open the master key "${file}": the file is gone, but this home is in use`);
  await mkdir(options.folder, { recursive: true, mode: FOLDER_MODE });
  const identity = await generateX25519Identity();
  const recipient = await identityToRecipient(identity);
  const text = `# created: ${options.now.toISOString()}\n# public key: ${recipient}\n${identity}\n`;
  const own = `${file}.${randomBytes(6).toString("hex")}`;
  try {
    await writeDurably(own, text);
    await link(own, file); // fails when another process was first
  } catch (error) {
    if (systemErrorCode(error) !== "EEXIST") throw error;
  } finally {
    await rm(own, { force: true });
  }
  await syncFolder(dirname(file));
  const key = await load(file);
  if (key === undefined) throw missing(`Cannot open the master key "${file}": it vanished while it was made`);
  return key;
}

async function writeDurably(path: string, text: string): Promise<void> {
  const file = await open(path, "wx", FILE_MODE);
  try {
    await file.writeFile(text);
    await file.sync();
  } finally {
    await file.close();
  }
}

async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, "r");
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}

function missing(message: string): TidemarkError {
  return new TidemarkError("key_missing", message, {
    hint: "Put the file back from your copy of it; without it the existing backups can't be opened",
  });
}
