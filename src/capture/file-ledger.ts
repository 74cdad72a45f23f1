import { createHash } from "node:crypto";
import { TidemarkError } from "../core/errors.ts";
import { manifestCrc } from "../postgres/backup-manifest.ts";
import type { ManifestFile } from "../postgres/backup-manifest.ts";

/** Files of a mismatch that a message names. */
const NAMED_MAX = 5;

/**
 * Compares the files that were stored with those of the server's manifest. Keeps 52 bits for each file, so that a million files cost some 40 MB: two
 * different files agree by chance once in 10^15.
 */
export class FileLedger {
  readonly #stored = new Set<number>();
  readonly #unknown: string[] = [];
  #unknownCount = 0;

  /** @param path as the manifest has it, in the data folder */
  addStored(path: Buffer, sizeBytes: number, crc: number): void {
    this.#stored.add(fingerprint({ path, sizeBytes, crc32c: manifestCrc(crc) }));
  }

  /** Called for each file of the manifest, after all stored ones. */
  expect(file: ManifestFile): void {
    if (this.#stored.delete(fingerprint(file))) return;
    this.#unknownCount += 1;
    if (this.#unknown.length < NAMED_MAX) this.#unknown.push(file.path.toString("utf8"));
  }

  /** @throws `base_backup_failed` when a file of the manifest was not stored as it says, or one was stored that it doesn't list */
  assertEqual(): void {
    if (this.#unknownCount === 0 && this.#stored.size === 0) return;
    const named = this.#unknown.map((path) => `"${path}"`).join(", ");
    const how =
      this.#unknownCount === 0
        ? `${this.#stored.size} stored files are not in it`
        : `${this.#unknownCount} files differ, among them ${named}`;
    throw new TidemarkError("base_backup_failed", `Cannot use the base backup: by the server's manifest, ${how}`, {
      hint: "Take another base backup; if it fails again, check the network and the server's disk",
    });
  }
}

function fingerprint(file: ManifestFile): number {
  const hash = createHash("sha256").update(file.path).update(`\0${file.sizeBytes}\0${file.crc32c}`).digest();
  return hash.readUIntBE(0, 6) * 16 + ((hash[6] ?? 0) >>> 4);
}
