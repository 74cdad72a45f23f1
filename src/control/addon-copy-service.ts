import type { AddonId, ObjectId } from "../core/ids.ts";
import type { Addon, Principal } from "./model.ts";

/** A database that is made from another one's continuous backups. */
export interface AddonCopy {
  /** Its operation's id. */
  readonly id: ObjectId;
  /** The new database. */
  readonly addonId: AddonId;
  readonly resourceId: string;
  readonly sourceAddonId: AddonId;
  /** The moment, as it was asked for. */
  readonly target: string;
  /** Of building the data; the server is started afterwards, as any new addon's. */
  readonly status: "scheduled" | "running" | "done" | "error";
  /** Bytes of the base backup fetched so far. */
  readonly progressBytes: number;
  /** All of them; null until the copy is planned. */
  readonly totalBytes: number | null;
  /** Start of the last record of log that is in; null until the copy is planned. */
  readonly targetLsn: string | null;
  readonly createdAt: Date;
  readonly endedAt: Date | null;
  readonly error: { readonly code: string; readonly message: string; readonly hint: string | null } | null;
}

export interface AddonCopyWish {
  /** Of the new addon in its app: `staging`. */
  readonly name: string;
  /** A moment of the source's recovery window, as `parseTarget` reads it. */
  readonly target: string;
  readonly isExclusive: boolean;
  /** A timeline; null for the newest. */
  readonly branch: number | null;
}

/** Makes a new database of the same app from another one's continuous backups. The source goes on untouched. */
export interface AddonCopyService {
  /**
   * Answers at once with an addon in status `provisioning`. `invalid_fields` for a name that is taken or malformed, or a moment that can't be read;
   * `conflict` while the source has no continuous backup. A moment that can't be reached ends the copy as `error` and removes the new addon.
   */
  create(
    principal: Principal,
    app: string,
    addon: string,
    wish: AddonCopyWish,
  ): Promise<{ readonly copy: AddonCopy; readonly addon: Addon; readonly variables: readonly string[] }>;
  show(principal: Principal, app: string, copyId: string): Promise<AddonCopy>;
}
