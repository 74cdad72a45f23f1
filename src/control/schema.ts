import type { ColumnType, Generated, GeneratedAlways, JSONColumnType, Selectable } from "kysely";
import type { AddonId, ObjectId } from "../core/ids.ts";
import type { LogicalRestoreObject } from "./logical-restore-service.ts";
import type { NotifierDeliveryTable, NotifierTable } from "./notifier-schema.ts";
import type { UtcDay } from "../policy/utc-day.ts";
import type { RestoreRates } from "../restore/plan-estimate.ts";
import type { PointInTimePhase, PointInTimePlan, PointInTimeRequest } from "./point-in-time-service.ts";

/** The control database's tables as kysely sees them; `migrations/` makes them. Every instant is `timestamptz`, every size bytes. */
export interface ControlSchema {
  platform: PlatformTable;
  users: UserTable;
  api_tokens: ApiTokenTable;
  login_attempts: LoginAttemptTable;
  apps: AppTable;
  addons: AddonTable;
  databases: DatabaseTable;
  operations: OperationTable;
  backups: BackupTable;
  database_features: DatabaseFeatureTable;
  maintenances: MaintenanceTable;
  logical_restores: LogicalRestoreTable;
  addon_copies: AddonCopyTable;
  lineages: LineageTable;
  base_backups: BaseBackupTable;
  wal_gaps: WalGapTable;
  wal_streams: WalStreamTable;
  collaborators: CollaboratorTable;
  browser_sessions: BrowserSessionTable;
  ssh_keys: SshKeyTable;
  second_factors: SecondFactorTable;
  recovery_codes: RecoveryCodeTable;
  app_variables: AppVariableTable;
  events: EventTable;
  database_health: DatabaseHealthTable;
  database_samples: DatabaseSampleTable;
  operation_totals: OperationTotalTable;
  kept_data_folders: KeptDataFolderTable;
  timelines: TimelineTable;
  point_in_time_operations: PointInTimeOperationTable;
  notifiers: NotifierTable;
  notifier_deliveries: NotifierDeliveryTable;
  one_offs: OneOffTable;
}

/** One row: facts of this installation. Keys are wrapped by the master key. */
export interface PlatformTable {
  id: Generated<number>;
  installation_id: string;
  wrapped_jwt_key: Buffer;
  wrapped_url_key: Buffer;
  /** Of the SSH gateway; null until it was made. */
  wrapped_ssh_host_key: Buffer | null;
  ssh_host_public_key: string | null;
  /** How far the sample has come, so that an interrupted first start goes on. */
  sample_state: Generated<"none" | "provisioning" | "loading" | "backing_up" | "done">;
  /** When the repository was last put in order. */
  swept_at: Generated<Date>;
  /** When every database's health was last looked at; null before the first time. */
  health_checked_at: Generated<Date | null>;
  created_at: Generated<Date>;
}

export interface UserTable {
  id: ObjectId;
  username: string;
  email: string;
  fullname: string;
  password_hash: string;
  is_platform_owner: boolean;
  /** Goes up when the password changes: logins that carry a lower one have ended. */
  login_epoch: Generated<number>;
  created_at: Generated<Date>;
}

export interface ApiTokenTable {
  id: string;
  user_id: ObjectId;
  name: string;
  /** SHA-256 of the secret, which has 285 random bits: a slow hash would add nothing. */
  secret_hash: Buffer;
  created_at: Generated<Date>;
  last_used_at: Date | null;
}

/** Failed password logins by name and by address, in fixed windows. */
export interface LoginAttemptTable {
  key: string;
  failures: number;
  window_started_at: Date;
}

export interface AppTable {
  id: ObjectId;
  name: string;
  owner_id: ObjectId;
  created_at: Generated<Date>;
  removed_at: Date | null;
}

export interface AddonTable {
  id: AddonId;
  app_id: ObjectId;
  /** `postgresql` for an app's first, then `postgresql-2` and so on. */
  name: string;
  resource_id: string;
  plan_name: string;
  /** The plan that a change under way leads to; null while none is. */
  next_plan_name: Generated<string | null>;
  /** `removed` rows stay: backups outlive their database. */
  state: "provisioning" | "running" | "removing" | "removed";
  created_at: Generated<Date>;
  provisioned_at: Date | null;
  removed_at: Date | null;
}

/** The server behind an addon. Passwords are wrapped by the master key. */
export interface DatabaseTable {
  addon_id: AddonId;
  /** The machine whose `host` role runs it. */
  host_id: string;
  /** PostgreSQL's major version, fixed when the addon is made. */
  major: number;
  port: number | null;
  version: string | null;
  /** What the supervisor last saw. */
  status: "creating" | "running" | "stopped";
  status_reason: string | null;
  wrapped_owner_password: Buffer;
  wrapped_backup_password: Buffer;
  wrapped_replication_password: Buffer;
  /** What gives way when its continuous backups stall for long. */
  wal_protection: Generated<"database" | "chain">;
  /** age recipient that this database's backups are encrypted to, and its identity. */
  recipient: string;
  wrapped_identity: Buffer;
  periodic_backups_enabled: Generated<boolean>;
  /** 0 to 23, UTC. */
  periodic_hour_utc: Generated<number>;
  /** The newest night that is settled: it had its periodic backup, or passed before the schedule was asked for. */
  periodic_last_night: Generated<UtcDay>;
  /** When its user last changed the schedule; null for never. */
  periodic_changed_at: Generated<Date | null>;
  /** Its weekly window for what needs a restart: 0 is Sunday, hours of UTC. */
  maintenance_weekday_utc: Generated<number>;
  maintenance_hour_utc: Generated<number>;
  maintenance_duration_hours: Generated<number>;
  /** Counts the changes that its server is to take up, so that one made while another is taken up isn't lost. */
  settings_wanted: Generated<number>;
  /** Name of the folder that its server runs on; a restore in place changes it. */
  data_folder: Generated<string>;
  created_at: Generated<Date>;
}

export type OperationKind =
  | "provision"
  | "reconfigure"
  | "change_plan"
  | "maintain"
  | "remove"
  | "logical_backup"
  | "logical_restore"
  | "addon_copy"
  | "base_backup"
  | "expire_backups"
  | "pitr_plan"
  | "pitr_restore"
  | "pitr_undo"
  | "pitr_swap";
export type OperationState = "scheduled" | "running" | "done" | "error";

/** Long work. The queue's job carries only the id; state, progress and lease are here. */
export interface OperationTable {
  id: ObjectId;
  kind: OperationKind;
  addon_id: AddonId;
  state: Generated<OperationState>;
  /** How often it was begun; a takeover counts. */
  attempt: Generated<number>;
  /** Not before this instant. */
  run_after: Generated<Date>;
  lease_owner: string | null;
  lease_until: Date | null;
  cancel_requested: Generated<boolean>;
  progress_bytes: Generated<number>;
  /** Null: the platform's own. */
  requested_by: ObjectId | null;
  error_code: string | null;
  error_message: string | null;
  error_hint: string | null;
  created_at: Generated<Date>;
  started_at: Date | null;
  ended_at: Date | null;
}

/** An index of the repository, which is the truth. Its state is its operation's. */
export interface BackupTable {
  id: ObjectId;
  addon_id: AddonId;
  operation_id: ObjectId;
  method: "periodic" | "manual";
  /** The night that a periodic one is of; null for manual ones. One backup for each. */
  night: UtcDay | null;
  name: string | null;
  size_bytes: number | null;
  sha256: string | null;
  /** When its removal began: from then on it is offered to nobody, and the row goes after the bytes. */
  removal_began_at: Generated<Date | null>;
  created_at: Generated<Date>;
}

/** What a user has switched on for a database. What is off has no row. */
export interface DatabaseFeatureTable {
  addon_id: AddonId;
  name: "force-ssl" | "publicly-available";
  /** `PENDING` until the server has taken it up. */
  status: "PENDING" | "ACTIVATED";
  created_at: Generated<Date>;
}

/** Work that waits for a database's maintenance window, or was done in one. At most one is open for a database. */
export interface MaintenanceTable {
  id: ObjectId;
  addon_id: AddonId;
  type: "minor_upgrade" | "restart";
  status: "scheduled" | "running" | "done" | "failed" | "cancelled";
  /** For people. */
  reason: string;
  created_at: Generated<Date>;
  started_at: Date | null;
  ended_at: Date | null;
}

/** A restore of a dump into a database. Its state is its operation's. */
export interface LogicalRestoreTable {
  id: ObjectId;
  operation_id: ObjectId;
  /** The database that it goes into. */
  addon_id: AddonId;
  source_addon_id: AddonId;
  backup_id: string;
  /** Of the dump; null until it was opened. */
  total_bytes: number | null;
  /** How many objects ended how; null until the end of an attempt that came to its end. */
  restored: number | null;
  failed: number | null;
  kept: number | null;
  unknown: number | null;
  /** The objects, failures first. Written as JSON text. */
  objects: ColumnType<readonly LogicalRestoreObject[] | null, string | null | undefined, string | null>;
  created_at: Date;
}

/** A database that is made from another one's continuous backups. Its state is its operation's. */
export interface AddonCopyTable {
  operation_id: ObjectId;
  /** The new one. */
  addon_id: AddonId;
  source_addon_id: AddonId;
  /** As `parseTarget` reads it. */
  target: string;
  is_exclusive: boolean;
  /** A timeline; null for the newest. */
  branch: number | null;
  /** Of the base backup; null until the copy is planned. */
  total_bytes: number | null;
  /** Where the copy ends; null until it is planned. */
  target_lsn: string | null;
}

/** One history of a database's cluster; see the repository's lineages. */
export interface LineageTable {
  id: string;
  addon_id: AddonId;
  system_id: string;
  /** Why it was begun. */
  reason: string;
  begun_at: Date;
  /** When another took its place; null for the one that is streamed into. */
  ended_at: Date | null;
  /** Of one that has ended: the last moment that can be restored. */
  last_recoverable_at: Date | null;
}

/** An index of the repository's committed base backups. Positions are text, as PostgreSQL writes them. */
export interface BaseBackupTable {
  id: ObjectId;
  addon_id: AddonId;
  lineage: string;
  timeline: number;
  start_lsn: string;
  stop_lsn: string;
  started_at: Date;
  finished_at: Date;
  data_bytes: number;
  stored_bytes: number;
  /** Pages whose checksum was wrong as they were read. */
  suspect_pages: number;
}

/** Write-ahead log that is nowhere: a hole in the recovery window. */
export interface WalGapTable {
  addon_id: AddonId;
  lineage: string;
  timeline: number;
  from_lsn: string;
  to_lsn: string;
  /** The last moment before the hole that can be restored. */
  last_recoverable_at: Date | null;
  found_at: Date;
}

/** The stream of a database's write-ahead log: who receives it, under a lease, and how far it has come. */
export interface WalStreamTable {
  addon_id: AddonId;
  lease_owner: string | null;
  lease_until: Date | null;
  /** A state of the receiver. */
  state: string;
  state_reason: string | null;
  lineage: string | null;
  timeline: number | null;
  /** All log before it is in the repository. */
  stored_lsn: string | null;
  /** With microseconds in the column; never read as a Date. */
  latest_recoverable_at: Date | null;
  /** Why a base backup is wanted at once; null when none is. */
  rebase_reason: string | null;
  updated_at: Generated<Date>;
}

/** How many operations have ended how, since ever. */
interface OperationTotalTable {
  kind: string;
  /** `done`, or the code of an error. */
  outcome: string;
  operations: number;
  seconds: number;
  bytes: number;
}

/** What the minutely checks found last about a database: its server's answer, and what policy made of all. */
interface DatabaseHealthTable {
  addon_id: AddonId;
  state: Generated<"healthy" | "delayed" | "stale">;
  state_since: Generated<Date | null>;
  /** When a good backup should have been there; null while none is missing. */
  periodic_overdue_since: Generated<Date | null>;
  base_backup_overdue_since: Generated<Date | null>;
  /** What the server last said, and when it was asked. */
  server_lsn: Generated<string | null>;
  retained_wal_bytes: Generated<number | null>;
  wal_status: Generated<string | null>;
  asked_at: Generated<Date | null>;
  size_bytes: Generated<number | null>;
  /** Why it gave no answer since. */
  unanswered_because: Generated<string | null>;
}

/** What the checks of some minutes found together: the largest lag, the last size. Null for what wasn't known. */
interface DatabaseSampleTable {
  addon_id: AddonId;
  /** Where the minutes begin. */
  at: Date;
  lag_ms: number | null;
  size_bytes: number | null;
}

/** What happened. Rows are added by `recordEvent` alone, and never changed but for `routed_at`. */
export interface EventTable {
  /** Order of recording; two transactions at once may be committed the other way round. */
  sequence: GeneratedAlways<number>;
  id: ObjectId;
  type: string;
  created_at: Date;
  /** Null: the platform itself. The actor's name is what it was then. */
  actor_id: ObjectId | null;
  actor_username: string | null;
  actor_email: string | null;
  api_token_id: string | null;
  /** Network address of the request. */
  address: string | null;
  app_id: ObjectId | null;
  app_name: string | null;
  addon_id: string | null;
  resource_id: string | null;
  subject_user_id: ObjectId | null;
  data: ColumnType<unknown, string, never>;
  /** When notifiers were asked whether they want it; null until then. */
  routed_at: Generated<Date | null>;
}

/** A folder that was the live one until a restore, or its undoing, put another in its place. */
export interface KeptDataFolderTable {
  addon_id: AddonId;
  name: string;
  /** The history that it belongs to. */
  lineage: string | null;
  /** The timeline that it was opened on for an undoing that never came to its end; null as a rule. */
  timeline: number | null;
  left_at: Date;
  kept_until: Date;
}

/** A timeline that was given out to a copy, or that another took over from. */
export interface TimelineTable {
  addon_id: AddonId;
  timeline: number;
  lineage: string | null;
  /** What it branched off; null for a cluster's first. */
  parent: number | null;
  switch_lsn: string | null;
  /** `given_out`: its copy was never put in the database's place, so far. */
  state: "given_out" | "live" | "left";
  /** Null: from the beginning on. */
  live_from: Date | null;
  live_until: Date | null;
  /** Of one that was left. */
  last_recoverable_at: Date | null;
}

/** The journal of a restore in place, or of its undoing. Each step is noted before the next begins. */
export interface PointInTimeOperationTable {
  operation_id: ObjectId;
  addon_id: AddonId;
  /** As point-in-time-request.ts writes it. */
  request: JSONColumnType<PointInTimeRequest, string, never>;
  phase: Generated<PointInTimePhase>;
  /** As it is answered. */
  plan: JSONColumnType<PointInTimePlan, string | undefined> | null;
  /** The folder that is, or was, made. */
  data_folder: string | null;
  timeline: number | null;
  /** Where the copy left the timeline that it came from. */
  switch_lsn: string | null;
  done_bytes: Generated<number>;
  total_bytes: Generated<number>;
  replayed_lsn: string | null;
  replayed_until: Date | null;
  /** The part that the database's host does. */
  swap_operation_id: ObjectId | null;
  stopped_at: Date | null;
  answered_at: Date | null;
  /** How long it can be undone. */
  undo_hours: Generated<number>;
  undo_until: Date | null;
  /** How fast it was, for the estimates of later ones. */
  rates: JSONColumnType<RestoreRates, string | null | undefined, string | null> | null;
  notes: JSONColumnType<string[], string | undefined>;
}

/** A one-off container. The process that runs it has the rest in memory: it ends with that process. */
export interface OneOffTable {
  id: ObjectId;
  app_id: ObjectId;
  /** Of its app, counted from 1: its label is `one-off-N`. */
  number: number;
  /** As it was asked for, passwords in URIs left out. */
  command: string;
  size: string;
  is_detached: boolean;
  state: Generated<"starting" | "running" | "ended">;
  /** The machine that it runs on. */
  host_id: string;
  started_by: ObjectId | null;
  created_at: Generated<Date>;
  /** When its sandbox could be attached to, or could not be made. */
  ready_at: Date | null;
  ended_at: Date | null;
  exit_code: number | null;
  /** Why it ended, for people; null while it runs. */
  end_reason: string | null;
  error_code: string | null;
  error_message: string | null;
  error_hint: string | null;
}

export type OperationRow = Selectable<OperationTable>;

export interface CollaboratorTable {
  id: ObjectId;
  app_id: ObjectId;
  /** The address that was invited; for display once somebody has accepted. */
  email: string;
  /** Null until somebody accepts the invitation. */
  user_id: ObjectId | null;
  role: "collaborator" | "limited";
  /** SHA-256 of the invitation's token; null once it was used. */
  invitation_hash: Buffer | null;
  invitation_expires_at: Date | null;
  created_at: Generated<Date>;
  accepted_at: Date | null;
}

/** A login of a browser, by a cookie. */
export interface BrowserSessionTable {
  id: ObjectId;
  user_id: ObjectId;
  /** SHA-256 of the cookie's value. */
  secret_hash: Buffer;
  login_epoch: number;
  created_at: Generated<Date>;
  last_seen_at: Generated<Date>;
}

export interface SshKeyTable {
  id: ObjectId;
  user_id: ObjectId;
  name: string;
  /** The line of the public key's file. */
  content: string;
  /** `SHA256:` and base64 without padding, as `ssh-keygen -l` shows it. */
  fingerprint: string;
  created_at: Generated<Date>;
}

/** The secret of a user's one-time passwords. */
export interface SecondFactorTable {
  user_id: ObjectId;
  wrapped_secret: Buffer;
  /** The 30-second step of the last password that was taken: it and earlier ones are not taken again. */
  last_step: Generated<number>;
  created_at: Generated<Date>;
  /** Null until the user has shown a first password. */
  enabled_at: Date | null;
}

/** Codes for a user who has lost the device; a used one is gone. */
export interface RecoveryCodeTable {
  user_id: ObjectId;
  code_hash: Buffer;
}

/** A variable that a user set; those of databases are made when asked for. */
export interface AppVariableTable {
  id: ObjectId;
  app_id: ObjectId;
  name: string;
  wrapped_value: Buffer;
  created_at: Generated<Date>;
}
