import { chmod, mkdir, open, readFile, rename, rm, stat } from "node:fs/promises";
import { dirname } from "node:path";
import { systemErrorCode, TidemarkError } from "../core/errors.ts";

/** Any right of the group or of others. */
const RIGHTS_OF_OTHERS = 0o077;

/**
 * Parsed JSON of a file that holds secrets, undefined when there is no such file or this user may not see it.
 * `config_invalid` when others may read it, or when it is not JSON.
 */
export async function readPrivateJson(path: string): Promise<unknown> {
  try {
    if (((await stat(path)).mode & RIGHTS_OF_OTHERS) !== 0) {
      throw new TidemarkError("config_invalid", `The login file "${path}" can be read by other users of this machine`, {
        hint: `Close it with: chmod 600 ${path}`,
      });
    }
    const content: unknown = JSON.parse(await readFile(path, "utf8"));
    return content;
  } catch (error) {
    if (error instanceof TidemarkError) throw error;
    if (["ENOENT", "ENOTDIR", "EACCES"].includes(systemErrorCode(error) ?? "")) return undefined;
    throw new TidemarkError("config_invalid", `Cannot read the login file "${path}": it is damaged`, {
      hint: `Remove it and log in again: rm ${path}`,
      cause: error,
    });
  }
}

/** Replaces the file in one step, readable by this user only, in a folder that is too. */
export async function writePrivateJson(path: string, content: unknown): Promise<void> {
  const part = `${path}.part`;
  try {
    await mkdir(dirname(path), { recursive: true, mode: 0o700 });
    await chmod(dirname(path), 0o700);
    await rm(part, { force: true });
    const file = await open(part, "wx", 0o600);
    try {
      await file.writeFile(`${JSON.stringify(content, null, 2)}\n`);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(part, path);
  } catch (error) {
    throw new TidemarkError("config_invalid", `Cannot write the login file "${path}"`, {
      hint: "Check that its folder can be written, or pass TIDEMARK_URL and TIDEMARK_TOKEN instead.",
      cause: error,
    });
  }
}
