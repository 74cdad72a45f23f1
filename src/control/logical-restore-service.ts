import type { AddonId, ObjectId } from "../core/ids.ts";
import type { DatabaseCaller } from "./model.ts";

/** What became of one object of a dump: `kept` was there already and is as it was; `unknown`: the restore ended before its end. */
export interface LogicalRestoreObject {
  /** `TABLE public orders` */
  readonly object: string;
  readonly outcome: "restored" | "failed" | "kept" | "unknown";
  /** Why, unless it was restored. */
  readonly reason: string | null;
}

/** A dump on its way into a database. */
export interface LogicalRestore {
  readonly id: ObjectId;
  /** The database that it goes into. */
  readonly addonId: AddonId;
  readonly resourceId: string;
  readonly sourceAddonId: AddonId;
  readonly backupId: string;
  readonly operationId: ObjectId;
  /** `done` only when every object was restored, or was there already where it couldn't be made anew. */
  readonly status: "scheduled" | "running" | "done" | "error";
  /** Bytes of the dump read so far. */
  readonly progressBytes: number;
  /** Bytes of the dump; null until it is opened. */
  readonly totalBytes: number | null;
  /** How many objects ended how; null until it has ended. */
  readonly counts: Readonly<Record<LogicalRestoreObject["outcome"], number>> | null;
  /** The objects, those that failed first, as many as are kept; null until it has ended, and in lists. */
  readonly objects: readonly LogicalRestoreObject[] | null;
  readonly createdAt: Date;
  readonly startedAt: Date | null;
  readonly endedAt: Date | null;
  readonly error: { readonly code: string; readonly message: string; readonly hint: string | null } | null;
}

/** Restores dumps into databases of the caller. What it replaces is gone: the face asks before. */
export interface LogicalRestoreService {
  /**
   * Begins to restore a backup of `addon` into the database `to`, or into the one that it is of. `conflict` unless the backup is done, the database runs,
   * and nothing else is done to it.
   */
  create(
    caller: DatabaseCaller,
    addon: string,
    input: { backupId: string; to: string | null },
  ): Promise<LogicalRestore>;
  /** Of the database that they went into, newest first, without their objects. */
  list(caller: DatabaseCaller, addon: string): Promise<LogicalRestore[]>;
  show(caller: DatabaseCaller, restoreId: string): Promise<LogicalRestore>;
  /** Ends it as `error` with the code `cancelled`: what it has restored by then stays. `conflict` when it has ended already. */
  cancel(caller: DatabaseCaller, restoreId: string): Promise<LogicalRestore>;
}
