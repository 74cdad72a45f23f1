import { randomBytes } from "node:crypto";
import { constants, type Dirent } from "node:fs";
import { link, mkdir, open, readdir, rename, rm, stat, unlink, type FileHandle } from "node:fs/promises";
import { dirname, join } from "node:path";
import { assert } from "../core/assert.ts";
import { systemErrorCode, TidemarkError } from "../core/errors.ts";
import { assertKey } from "./key.ts";
import type { ByteStream, GetCall, PutCall, Store, StoredObject } from "./store.ts";
import { storageError } from "./system-error.ts";
import { untilAborted } from "./until-aborted.ts";

/** Unfinished puts lie here; keys can't begin with a dot, so no key reaches it. On the same file system, so that a link or rename is one step. */
const UPLOADS_FOLDER = ".uploads";

/** One read from disk: large enough that the call's own cost (about 30 us) disappears, small enough for many readers at once. */
const READ_CHUNK_BYTES = 512 * 1024;

const FOLDER_MODE = 0o700;
const FILE_MODE = 0o600;

/** Answers of file systems that have no hard links (exFAT, some network shares). */
const NO_LINKS = new Set(["EPERM", "ENOTSUP", "EOPNOTSUPP", "ENOSYS", "EMLINK"]);

/**
 * A store in a folder of this machine, made when absent (0700; files 0600).
 *
 * @param root absolute path. Safe for several processes at once: names are taken by a hard link, in one step. Only on a file system without hard
 *   links is "refuses to overwrite" a look before a rename.
 * @throws `storage_denied`, `disk_full` or `storage_unavailable` when the folder can't be made.
 */
export async function openFolderStore(root: string): Promise<Store> {
  await classified(`make the folder "${root}"`, () => makeFolder(join(root, UPLOADS_FOLDER)));
  return {
    put: (key, body, call = {}) =>
      putObject(root, key, call, (file) => writeAll(file, key, body, { offsetBytes: 0, signal: call.signal })),

    putDeferred: (key, content, call = {}) =>
      putObject(root, key, call, async (file) => {
        const place = { offsetBytes: content.headSizeBytes, signal: call.signal };
        const written = await writeAll(file, key, content.body, place);
        const head = await content.head();
        assert(head.length === content.headSizeBytes || written === 0, "the head fills its place");
        await writeFully(file, key, head, 0);
      }),

    get: (key, call = {}) => {
      assertKey(key);
      return readObject(root, key, call);
    },

    async head(key, call = {}) {
      assertKey(key);
      call.signal?.throwIfAborted();
      return classified(`look at "${key}"`, () => describe(root, key));
    },

    list: (prefix, call = {}) => listObjects(root, prefix, call.signal),

    async delete(key, call = {}) {
      assertKey(key);
      call.signal?.throwIfAborted();
      await classified(`delete "${key}"`, async () => {
        if (await ifPresent(() => unlink(join(root, key)).then(() => true))) await syncFolder(dirname(join(root, key)));
      });
    },

    sweepUploads: (before, call = {}) => classified("sweep unfinished uploads", () => sweep(root, before, call.signal)),
  };
}

async function putObject(
  root: string,
  key: string,
  call: PutCall,
  write: (file: FileHandle) => Promise<unknown>,
): Promise<StoredObject> {
  assertKey(key);
  call.signal?.throwIfAborted();
  const doing = `store "${key}"`;
  const taken = call.overwrite !== true && (await classified(doing, () => describe(root, key))) !== undefined;
  if (taken) throw exists(key);
  const upload = join(root, UPLOADS_FOLDER, randomBytes(12).toString("hex"));
  try {
    await writeUpload(doing, upload, write);
    call.signal?.throwIfAborted();
    await classified(doing, () => publish(root, key, upload, call.overwrite === true));
  } catch (error) {
    await rm(upload, { force: true });
    throw error;
  }
  const stored = await classified(doing, () => describe(root, key));
  if (stored === undefined) throw new TidemarkError("storage_unavailable", `Stored "${key}", but it is gone already`);
  return stored;
}

/** Only the calls on the file are classified: an error of the body that is being stored passes as it is. */
async function writeUpload(
  doing: string,
  upload: string,
  write: (file: FileHandle) => Promise<unknown>,
): Promise<void> {
  const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL;
  const file = await classified(doing, () => open(upload, flags, FILE_MODE));
  try {
    await write(file);
    await classified(doing, () => file.sync());
  } finally {
    await classified(doing, () => file.close());
  }
}

async function publish(root: string, key: string, upload: string, overwrite: boolean): Promise<void> {
  const path = join(root, key);
  await makeFolder(dirname(path));
  if (overwrite) await rename(upload, path);
  else await takeName(key, upload, path);
  await syncFolder(dirname(path));
}

/** A hard link fails when the name is taken, which a rename doesn't. */
async function takeName(key: string, upload: string, path: string): Promise<void> {
  try {
    await link(upload, path);
  } catch (error) {
    const code = systemErrorCode(error);
    if (code === "EEXIST") throw exists(key);
    if (code === undefined || !NO_LINKS.has(code)) throw error;
    if (await ifPresent(() => stat(path))) throw exists(key);
    await rename(upload, path);
    return;
  }
  await unlink(upload);
}

function exists(key: string): TidemarkError {
  return new TidemarkError("object_exists", `Cannot store "${key}": an object of this name exists`);
}

async function writeAll(
  file: FileHandle,
  key: string,
  body: ByteStream | Uint8Array,
  place: { readonly offsetBytes: number; readonly signal: AbortSignal | undefined },
): Promise<number> {
  let at = place.offsetBytes;
  if (body instanceof Uint8Array) return writeFully(file, key, body, at);
  for await (const chunk of untilAborted(body, place.signal)) at += await writeFully(file, key, chunk, at);
  return at - place.offsetBytes;
}

/** A write may be cut short by the system (a full disk, a signal); the rest is written, or the error of the next write tells why. */
async function writeFully(file: FileHandle, key: string, bytes: Uint8Array, offsetBytes: number): Promise<number> {
  for (let done = 0; done < bytes.length;) {
    const from = done;
    const { bytesWritten } = await classified(`store "${key}"`, () =>
      file.write(bytes, from, bytes.length - from, offsetBytes + from),
    );
    done += bytesWritten;
  }
  return bytes.length;
}

async function* readObject(root: string, key: string, call: GetCall): AsyncGenerator<Uint8Array> {
  call.signal?.throwIfAborted();
  const doing = `read "${key}"`;
  const file = await classified(doing, () => ifPresent(() => open(join(root, key), "r")));
  if (file === undefined) throw notFound(key);
  try {
    const found = await classified(doing, () => file.stat());
    if (!found.isFile()) throw notFound(key);
    const { size } = found;
    const from = call.offsetBytes ?? 0;
    const to = call.lengthBytes === undefined ? size : from + call.lengthBytes;
    if (from > size || to > size)
      throw new TidemarkError(
        "range_not_satisfiable",
        `Cannot read bytes ${from} to ${to} of "${key}": it has ${size}`,
      );
    for (let at = from; at < to;) {
      call.signal?.throwIfAborted();
      const chunk = Buffer.allocUnsafe(Math.min(READ_CHUNK_BYTES, to - at));
      const { bytesRead } = await classified(doing, () => file.read(chunk, 0, chunk.length, at));
      if (bytesRead === 0)
        throw new TidemarkError("object_corrupt", `Cannot read "${key}": it ends at byte ${at}, expected ${to}`);
      at += bytesRead;
      yield chunk.subarray(0, bytesRead);
    }
  } finally {
    await file.close();
  }
}

function notFound(key: string): TidemarkError {
  return new TidemarkError("object_not_found", `Cannot read "${key}": there is no such object in the repository`);
}

async function* listObjects(
  root: string,
  prefix: string,
  signal: AbortSignal | undefined,
): AsyncGenerator<StoredObject> {
  const folder = prefix.slice(0, prefix.lastIndexOf("/") + 1);
  if (folder !== "") assertKey(folder.slice(0, -1));
  yield* walk(root, folder, prefix, signal);
}

/** `folder` ends with a slash or is empty. Folders sort as `name/`, since that is how the keys in them go on. */
async function* walk(
  root: string,
  folder: string,
  prefix: string,
  signal: AbortSignal | undefined,
): AsyncGenerator<StoredObject> {
  signal?.throwIfAborted();
  const entries = await classified(`list "${folder}"`, () =>
    ifPresent(() => readdir(join(root, folder), { withFileTypes: true })),
  );
  const names = (entries ?? []).filter((entry) => !entry.name.startsWith(".")).map(sortName);
  for (const name of names.sort()) {
    const key = folder + name;
    if (name.endsWith("/")) {
      if (key.startsWith(prefix) || prefix.startsWith(key)) yield* walk(root, key, prefix, signal);
    } else if (key.startsWith(prefix)) {
      signal?.throwIfAborted();
      const object = await classified(`look at "${key}"`, () => describe(root, key));
      if (object !== undefined) yield object;
    }
  }
}

function sortName(entry: Dirent): string {
  return entry.isDirectory() ? `${entry.name}/` : entry.name;
}

async function describe(root: string, key: string): Promise<StoredObject | undefined> {
  const found = await ifPresent(() => stat(join(root, key)));
  if (found === undefined || !found.isFile()) return undefined;
  return { key, sizeBytes: found.size, modifiedAt: found.mtime };
}

async function sweep(root: string, before: Date, signal: AbortSignal | undefined): Promise<number> {
  let removed = 0;
  for (const name of await readdir(join(root, UPLOADS_FOLDER))) {
    signal?.throwIfAborted();
    const path = join(root, UPLOADS_FOLDER, name);
    const found = await ifPresent(() => stat(path));
    if (found === undefined || found.mtime >= before) continue;
    await rm(path, { force: true });
    removed++;
  }
  return removed;
}

/** Makes a folder with its parents and makes their names durable: a synced file in a folder whose own name is lost is lost too. */
async function makeFolder(path: string): Promise<void> {
  const firstMade = await mkdir(path, { recursive: true, mode: FOLDER_MODE });
  if (firstMade === undefined) return;
  for (let folder = path; folder.length >= firstMade.length; folder = dirname(folder))
    await syncFolder(dirname(folder));
}

async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, "r");
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}

/** The result, or undefined when the path does not exist. */
async function ifPresent<T>(act: () => Promise<T>): Promise<T | undefined> {
  try {
    return await act();
  } catch (error) {
    const code = systemErrorCode(error);
    if (code === "ENOENT" || code === "ENOTDIR") return undefined;
    throw error;
  }
}

async function classified<T>(doing: string, act: () => Promise<T>): Promise<T> {
  try {
    return await act();
  } catch (error) {
    throw storageError(doing, error);
  }
}
