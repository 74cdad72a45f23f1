import type { Generated, Selectable } from "kysely";
import type { AddonId, ObjectId } from "../core/ids.ts";

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
}

/** One row: facts of this installation. Keys are wrapped by the master key. */
export interface PlatformTable {
  id: Generated<number>;
  installation_id: string;
  wrapped_jwt_key: Buffer;
  wrapped_url_key: Buffer;
  /** How far the sample has come, so that an interrupted first start goes on. */
  sample_state: Generated<"none" | "provisioning" | "loading" | "backing_up" | "done">;
  /** When the last sweep of the repository began. */
  swept_at: Generated<Date>;
  created_at: Generated<Date>;
}

export interface UserTable {
  id: ObjectId;
  username: string;
  email: string;
  fullname: string;
  password_hash: string;
  is_platform_owner: boolean;
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
  /** age recipient that this database's backups are encrypted to, and its identity. */
  recipient: string;
  wrapped_identity: Buffer;
  created_at: Generated<Date>;
}

export type OperationKind = "provision" | "remove" | "logical_backup";
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
  name: string | null;
  size_bytes: number | null;
  sha256: string | null;
  created_at: Generated<Date>;
}

export type OperationRow = Selectable<OperationTable>;
