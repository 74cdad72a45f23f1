import type { ObjectId } from "../core/ids.ts";
import type { Page, PageRequest } from "./event-service.ts";
import type { Addon, Backup, DatabaseCaller, Plan, Principal } from "./model.ts";

/** Changes of an addon's plan. */
export interface PlanChangeService {
  /** What the change would do; changes nothing. Null is the addon's own plan. `invalid_fields` for an unknown one. */
  preview(principal: Principal, app: string, addon: string, planId: string | null): Promise<PlanChange>;
  /**
   * Begins the change and answers at once. `invalid_fields` for an unknown plan, `conflict` for the addon's own one, while another change is under way, while
   * the database doesn't run, or while a backup runs that a restart would cut.
   */
  begin(
    principal: Principal,
    app: string,
    addon: string,
    planId: string,
  ): Promise<{ addon: Addon; change: PlanChange }>;
}

export interface PlanChange {
  readonly from: Plan & { readonly recoveryWindowDays: number };
  readonly to: Plan & { readonly recoveryWindowDays: number };
  /** The server is stopped and started: its memory changes. */
  readonly restarts: boolean;
  /** Logical backups that the new plan treats in another way, newest first. */
  readonly backups: readonly {
    readonly backup: Backup;
    readonly outcome: "goes" | "kept_longer" | "kept_shorter";
    /** Of the new plan. */
    readonly reason: string;
    readonly keptUntil: Date | null;
  }[];
}

export const FEATURE_NAMES = ["force-ssl", "publicly-available"] as const;
export type FeatureName = (typeof FEATURE_NAMES)[number];

export interface Feature {
  readonly name: FeatureName;
  /** `PENDING` until the server has taken it up. */
  readonly status: "PENDING" | "ACTIVATED";
}

/** What a user switches on and off for a database. */
export interface FeatureService {
  /** `invalid_fields` for an unknown name, `conflict` where the platform's own settings don't allow it. Asking twice changes nothing. */
  enable(caller: DatabaseCaller, addon: string, name: string): Promise<Feature & { readonly message: string }>;
  /** One that is off stays off. */
  disable(
    caller: DatabaseCaller,
    addon: string,
    name: string,
  ): Promise<{ readonly name: FeatureName; readonly message: string }>;
}

/** A weekly stretch of time, UTC. */
export interface MaintenanceWindow {
  /** 0 is Sunday. */
  readonly weekdayUtc: number;
  readonly startingHourUtc: number;
  readonly durationHours: number;
}

export interface Maintenance {
  readonly id: ObjectId;
  readonly addonId: string;
  readonly type: "minor_upgrade" | "restart";
  readonly status: "scheduled" | "running" | "done" | "failed" | "cancelled";
  /** What needs it, for people. */
  readonly reason: string;
  readonly createdAt: Date;
  readonly startedAt: Date | null;
  readonly endedAt: Date | null;
}

/** What waits for a database's maintenance window, and what was done in it. */
export interface MaintenanceService {
  /** Newest first. */
  list(caller: DatabaseCaller, addon: string, page: PageRequest): Promise<Page<Maintenance>>;
  show(caller: DatabaseCaller, addon: string, maintenanceId: string): Promise<Maintenance>;
  /** What the change leaves out stays. */
  setWindow(caller: DatabaseCaller, addon: string, change: Partial<MaintenanceWindow>): Promise<void>;
}

/** A role that may log in to one database. */
export interface DatabaseUser {
  readonly name: string;
  readonly isReadOnly: boolean;
  /** The platform's: can't be changed or deleted here. */
  readonly isProtected: boolean;
  /** `SCRAM-SHA-256`; null for one without a password. */
  readonly passwordEncryption: string | null;
}

/** Users of a database. The server itself is asked and changed, so what is listed is what is. All are `conflict` while it doesn't run. */
export interface DatabaseUserService {
  /** By name, the owner first. */
  list(caller: DatabaseCaller, addon: string): Promise<DatabaseUser[]>;
  /** `password` is generated, and told once, when none is given. `invalid_fields` for a name or password that isn't allowed, or a name that is taken. */
  create(
    caller: DatabaseCaller,
    addon: string,
    input: { name: string; isReadOnly: boolean; password: string | null },
  ): Promise<{ user: DatabaseUser; generatedPassword: string | null }>;
  /** As `create`; ends no session. `forbidden` for a protected user. */
  setPassword(
    caller: DatabaseCaller,
    addon: string,
    input: { name: string; password: string | null },
  ): Promise<{ user: DatabaseUser; generatedPassword: string | null }>;
  /** Ends its sessions; what it owns goes to the database's owner. `forbidden` for a protected user. */
  remove(caller: DatabaseCaller, addon: string, name: string): Promise<void>;
}

/** The server's own log of one database. */
export interface DatabaseLogService {
  /** A signed address that needs no token, for an hour. */
  link(caller: DatabaseCaller, addon: string): Promise<string>;
  /** What was set aside because the log was full, newest first, each with a signed address as `link` gives. */
  archives(caller: DatabaseCaller, addon: string): Promise<DatabaseLogArchive[]>;
  /** `link_expired` when the address was altered or its time is over. */
  open(input: { addonId: string; timestamp: string; token: string }): Promise<OpenLog>;
}

export interface OpenLog {
  /** The last `count` lines, each with its newline; empty when there are none. */
  tail(count: number): Promise<string[]>;
  /** Lines as they are written from now on, until the signal. */
  follow(signal: AbortSignal): AsyncIterable<string>;
  /** All lines of what was set aside last; undefined when nothing was. */
  archive(): Promise<AsyncIterable<string> | undefined>;
}

/** A log of a database's server that is written to no more. */
export interface DatabaseLogArchive {
  readonly url: string;
  readonly from: Date;
  readonly to: Date;
  /** As it is stored; clients get each line with the name of the instance. */
  readonly sizeBytes: number;
}
