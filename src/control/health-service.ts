import type { HealthProblem } from "../policy/health.ts";
import type { Page, PageRequest } from "./event-service.ts";
import type { Backup, DatabaseStatus, Principal } from "./model.ts";
import type { OperationKind, OperationState } from "./schema.ts";

/** How one database is backed up: a line of `tidemark status`. */
export interface DatabaseHealth {
  readonly appName: string;
  readonly ownerName: string;
  readonly addonId: string;
  readonly resourceId: string;
  readonly planName: string;
  readonly status: DatabaseStatus;
  readonly statusReason: string | null;
  readonly lastBackup: Backup | null;
  readonly lastGoodBackup: Backup | null;
  /** When the next daily backup begins; in the past when one is due and waits; null while the schedule is off. */
  readonly nextBackupAt: Date | null;
  /** Any moment between can be restored, holes aside; null while nothing can. `lagMs` is how far the end lies behind now, null while the server is stopped. */
  readonly window: { readonly from: Date; readonly to: Date; readonly lagMs: number | null } | null;
  readonly continuous: {
    readonly state: "healthy" | "delayed" | "stale";
    /** When it became so; null when it was never otherwise. */
    readonly since: Date | null;
    /** Log that the server has and the repository hasn't; null when it isn't known. */
    readonly lagBytes: number | null;
    /** Log that the server keeps because the repository lacks it; null when it isn't known. */
    readonly retainedWalBytes: number | null;
  };
  /** Backed up as its plan promises: no problem but warnings. A database that is being made is not judged yet. */
  readonly isRestorable: boolean;
  /** The most urgent first. */
  readonly problems: readonly { readonly code: HealthProblem; readonly text: string }[];
}

/** The check that looks at every database once a minute. */
export interface HealthCheck {
  /** When it last looked at all; null before the first time, and while the control database can't be asked. */
  readonly checkedAt: Date | null;
  /** It hasn't for so long that what it would have found is unknown. */
  readonly isStalled: boolean;
}

/** Long work, as the owner of the platform sees it. */
export interface QueuedOperation {
  readonly id: string;
  readonly kind: OperationKind;
  readonly appName: string;
  readonly resourceId: string;
  readonly state: OperationState;
  readonly attempt: number;
  readonly progressBytes: number;
  readonly createdAt: Date;
  readonly startedAt: Date | null;
  readonly endedAt: Date | null;
  readonly error: { readonly code: string; readonly message: string } | null;
}

/** How databases are backed up, and how the platform itself does. */
export interface HealthService {
  /** All databases that the user may see, by app and order of creation. */
  ofUser(principal: Principal): Promise<DatabaseHealth[]>;
  /** All databases of the platform, the worst first; for its owner only (`forbidden`). */
  ofPlatform(principal: Principal, page: PageRequest): Promise<Page<DatabaseHealth>>;
  /** Operations of the whole platform in this state, newest first; for its owner only (`forbidden`). `open` is scheduled or running. */
  operations(principal: Principal, state: "open" | "done" | "error", page: PageRequest): Promise<Page<QueuedOperation>>;
  /** Whether the check itself runs. Never fails. */
  check(): Promise<HealthCheck>;
}
