import type { AddonId, ObjectId } from "../core/ids.ts";

/** Who is asking. Made from a password, an API token or a JWT; every service call takes one and checks it. */
export interface Principal {
  readonly userId: ObjectId;
  readonly username: string;
  readonly email: string;
  /** The owner of the platform: may make users. Sees no other user's apps all the same. */
  readonly isPlatformOwner: boolean;
  /** The API token that the login came from: JWTs made from it end when it is removed. Null after a password login. */
  readonly apiTokenId: string | null;
  /** Of the user when the login was made. It goes up when the password changes, which ends JWTs and sessions of before. */
  readonly loginEpoch: number;
  /** Network address that the request came from; absent where there is no request. */
  readonly address?: string;
}

/** The caller of the database API: `addonId` null means every addon of the user. */
export interface DatabaseCaller {
  readonly principal: Principal;
  readonly addonId: string | null;
}

export interface User {
  readonly id: ObjectId;
  readonly username: string;
  readonly email: string;
  readonly fullname: string;
  readonly isPlatformOwner: boolean;
  readonly createdAt: Date;
}

/** An API token as its owner sees it in the list: the secret itself is kept as a hash only. */
export interface ApiToken {
  readonly id: string;
  readonly name: string;
  readonly createdAt: Date;
  readonly lastUsedAt: Date | null;
}

/** `owner` has every right, `collaborator` all but those of the owner, `limited` may look. */
export type AppRole = "owner" | "collaborator" | "limited";

export interface App {
  readonly id: ObjectId;
  readonly name: string;
  /** Of whoever asked. */
  readonly role: AppRole;
  readonly owner: Pick<User, "id" | "username" | "email">;
  readonly status: "new" | "running";
  readonly createdAt: Date;
}

/** A plan is data: `policy/plans.ts` holds those that we ship. */
export interface Plan {
  readonly id: string;
  /** `postgresql-starter-512` */
  readonly name: string;
  /** `Starter 512M` */
  readonly displayName: string;
  readonly description: string;
  readonly serviceClass: "starter" | "business";
  readonly memoryMb: number;
  readonly position: number;
}

export type AddonStatus = "provisioning" | "running" | "suspended";

export interface Addon {
  readonly id: AddonId;
  readonly appId: ObjectId;
  readonly appName: string;
  /** `my_app_4553` */
  readonly resourceId: string;
  readonly status: AddonStatus;
  readonly plan: Plan;
  /** Name of the plan that a change under way leads to; null while none is. */
  readonly nextPlanName: string | null;
  readonly createdAt: Date;
  readonly provisionedAt: Date | null;
}

export type DatabaseStatus = "creating" | "running" | "stopped";

export interface Database {
  readonly addonId: AddonId;
  readonly resourceId: string;
  readonly appName: string;
  readonly status: DatabaseStatus;
  /** Why the server is not running, for people; null while it is. */
  readonly statusReason: string | null;
  readonly plan: Plan;
  /** `15.18`; null before the first start. */
  readonly version: string | null;
  /** Bytes of its data, as its server last said; null until it was asked. */
  readonly sizeBytes: number | null;
  readonly hostname: string;
  readonly port: number | null;
  readonly createdAt: Date;
  readonly periodicBackups: Pick<PeriodicBackups, "isEnabled" | "hourUtc">;
  /** What is switched on for it. */
  readonly features: readonly { readonly name: string; readonly status: "PENDING" | "ACTIVATED" }[];
  /** Weekly, UTC; weekday 0 is Sunday. */
  readonly maintenanceWindow: {
    readonly weekdayUtc: number;
    readonly startingHourUtc: number;
    readonly durationHours: number;
  };
  readonly currentOperationId: ObjectId | null;
}

/** How a database did for some minutes. Null for what wasn't known. */
export interface DatabaseSample {
  /** Where they begin. */
  readonly at: Date;
  /** The largest in them. */
  readonly lagMs: number | null;
  /** The last in them. */
  readonly sizeBytes: number | null;
}

/** The daily logical backup of a database. */
export interface PeriodicBackups {
  readonly isEnabled: boolean;
  /** 0 to 23. Kept while it is off. */
  readonly hourUtc: number;
  /** The next ones, earliest first; the first lies in the past when it is due and waits. Empty while it is off. */
  readonly nextRuns: readonly Date[];
  /** Why a due one has not begun, for people; null when none is due. */
  readonly waitsBecause: string | null;
}

export interface Variable {
  readonly id: string;
  readonly name: string;
  readonly value: string;
  /** Made for a database: it changes and goes with that alone. */
  readonly isManaged: boolean;
}

export type BackupStatus = "scheduled" | "running" | "done" | "error";

export interface Backup {
  readonly id: ObjectId;
  readonly addonId: AddonId;
  readonly method: "periodic" | "manual";
  readonly status: BackupStatus;
  /** `20231207000608_my_app_4553`; null until it has started. */
  readonly name: string | null;
  /** Bytes of the archive, compressed; null until it is done. */
  readonly sizeBytes: number | null;
  /** Bytes of the dump read so far, uncompressed. */
  readonly progressBytes: number;
  readonly createdAt: Date;
  readonly startedAt: Date | null;
  readonly endedAt: Date | null;
  /** What the plan makes of it; null where it wasn't asked for. */
  readonly retention: BackupRetention | null;
  /** Why it failed and what to do; null unless `error`. */
  readonly error: { readonly code: string; readonly message: string; readonly hint: string | null } | null;
}

export interface BackupRetention {
  readonly isKept: boolean;
  /** Not removed before; null where no date is set. */
  readonly keptUntil: Date | null;
  /** For people: why it is kept, or why it goes. */
  readonly reason: string;
}

/** An instant with microseconds, RFC 3339 in UTC: `2026-03-14T02:10:00.123456Z`. PostgreSQL's clock has more digits than a Date. */
export type PreciseInstant = string;

/** One history of a database: what restores have left, or another server took over from, stays restorable for as long as the window reaches. */
export interface RecoveryBranch {
  readonly id: string;
  /** By which a restore names it; null while nothing is known of it. */
  readonly timeline: number | null;
  readonly isLive: boolean;
  readonly earliestRecoverableAt: PreciseInstant | null;
  readonly latestRecoverableAt: PreciseInstant | null;
}

/** A stored base backup: what a restore begins with. */
export interface StoredBaseBackup {
  readonly id: string;
  /** The branch that it was taken of, and its timeline there. */
  readonly branchId: string;
  readonly timeline: number;
  readonly startedAt: PreciseInstant;
  /** From here on it makes moments restorable. */
  readonly finishedAt: PreciseInstant;
  /** Of the data folder, and of what is stored of it. */
  readonly dataBytes: number;
  readonly storedBytes: number;
}

/** What can be restored: every moment from the earliest to the latest, holes excepted. */
export interface RecoveryWindow {
  /** Null until the first base backup is done. */
  readonly earliestRecoverableAt: PreciseInstant | null;
  readonly latestRecoverableAt: PreciseInstant | null;
  /** Where log was lost: no moment after `from` and before `to` can be restored; `to` null while no base backup has closed it. */
  readonly holes: readonly { readonly from: PreciseInstant | null; readonly to: PreciseInstant | null }[];
  /** Histories of the cluster, newest first; the first is the one that goes on. */
  readonly branches: readonly RecoveryBranch[];
  /** What the receiver of the log does now; null before it first ran. */
  readonly stream: { readonly state: string; readonly reason: string | null; readonly storedLsn: string | null } | null;
  readonly baseBackups: number;
  /** The newest of them, newest first. */
  readonly newestBaseBackups: readonly StoredBaseBackup[];
  /** What gives way when continuous backups stall for long: the log that isn't stored yet, or the database. */
  readonly protects: "database" | "chain";
}
