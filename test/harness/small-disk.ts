import { execFile } from "node:child_process";
import { mkdir, open, rm } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { type CleanUp, makeTempFolder } from "./temp-folder.ts";

const run = promisify(execFile);
/** Its blocks: a write of less may still find a place when one of a megabyte doesn't. */
const BLOCK_BYTES = [1024 * 1024, 4096] as const;

/** Only root can mount one. */
export const canMountDisks = process.getuid?.() === 0;

/** A file system of its own, in memory, that a test can fill to the last block. */
export class SmallDisk {
  readonly folder: string;

  private constructor(folder: string) {
    this.folder = folder;
  }

  /** @param cleanUp unmounts it; whatever uses the disk must have ended by then */
  static async mount(cleanUp: CleanUp, { sizeMb }: { readonly sizeMb: number }): Promise<SmallDisk> {
    const made: { folder?: string } = {};
    const unmount = async (): Promise<void> => {
      if (made.folder !== undefined) await run("umount", ["--lazy", made.folder]);
      delete made.folder;
    };
    // Clean-ups run in either order, and the temp folder's would empty the disk.
    cleanUp.after(unmount);
    const folder = join(await makeTempFolder(cleanUp), "disk");
    cleanUp.after(unmount);
    await mkdir(folder);
    await run("mount", ["-t", "tmpfs", "-o", `size=${sizeMb}m`, "tmpfs", folder]);
    made.folder = folder;
    return new SmallDisk(folder);
  }

  /** Leaves no block free. */
  async fill(): Promise<void> {
    const file = await open(this.#ballast, "a");
    try {
      for (const size of BLOCK_BYTES) await untilFull(() => file.appendFile(Buffer.alloc(size)));
    } finally {
      await file.close();
    }
  }

  async makeRoom(): Promise<void> {
    await rm(this.#ballast, { force: true });
  }

  get #ballast(): string {
    return join(this.folder, "ballast");
  }
}

async function untilFull(write: () => Promise<void>): Promise<void> {
  try {
    for (;;) await write();
  } catch (error) {
    if (!(error instanceof Error && "code" in error && error.code === "ENOSPC")) throw error;
  }
}
