/** Whom an event is about, which is who sees it: an app's people, or one user. The owner of the platform sees all. */
type EventScope = "app" | "user";

/** Which database; part of the data of each event about one. Names of fields in event data are the API's. */
export interface EventDatabase {
  readonly addon_uuid: string;
  /** `PostgreSQL` */
  readonly addon_name: string;
  readonly addon_provider_name: string;
  /** `my_app_4553` */
  readonly resource_id: string;
}

interface EventBackup extends EventDatabase {
  readonly backup_id: string;
  readonly backup_method: "periodic" | "manual";
}

interface EventBackupEnd extends EventBackup {
  readonly backup_status: "done" | "error";
  readonly started_at: string | null;
  readonly ended_at: string;
  /** Why it failed; null when it didn't. */
  readonly error: string | null;
}

interface EventContinuousBackup extends EventDatabase {
  /** A state of the stream of write-ahead log, or of the platform's check itself. */
  readonly status: string;
  readonly error: string | null;
  /** Whether any moment can be restored. */
  readonly recoverable: boolean;
  readonly checked_at: string;
  /** How old the newest restorable moment is. */
  readonly unrecoverable_duration_seconds: number | null;
}

interface EventRestore extends EventDatabase {
  readonly restore_id: string;
  /** What was asked for, for people: `2026-03-14 02:10:00 UTC`, `backup 65f2…`. */
  readonly target: string;
  readonly error?: string;
}

interface EventDatabaseUser extends EventDatabase {
  readonly user_name: string;
  readonly read_only: boolean;
}

interface EventFeature extends EventDatabase {
  readonly feature: string;
}

interface EventMaintenance extends EventDatabase {
  readonly maintenance_id: string;
  readonly maintenance_type: string;
  readonly maintenance_window_in_hours: number;
  readonly next_maintenance_window: string;
}

interface EventCollaborator {
  readonly collaborator: {
    readonly id: string;
    readonly username: string;
    readonly email: string;
    readonly role: string;
    readonly is_limited: boolean;
  };
}

interface EventNotifier {
  readonly notifier_id: string;
  readonly notifier_name: string;
  readonly notifier_type: string;
  readonly platform_name: string;
  readonly active: boolean;
  readonly send_all_events: boolean;
  readonly selected_events: readonly string[];
}

/** Names only: the value of a variable is a secret, and always empty here. */
interface EventVariable {
  readonly name: string;
  readonly value: "";
}

interface EventToken {
  readonly token_id: string;
  readonly token_name: string;
}

interface EventKey {
  readonly name: string;
  readonly fingerprint: string;
}

interface Nothing {
  readonly [name: string]: never;
}

/** What each type of event carries, as the API sends it. Never a secret. */
export interface EventData {
  // Apps
  new_app: Nothing;
  delete_app: Nothing;
  new_addon: EventDatabase & { readonly plan_name: string };
  delete_addon: EventDatabase & { readonly plan_name: string };
  upgrade_addon: EventDatabase & {
    readonly plan_name: string;
    readonly old_plan_name: string;
    readonly new_plan_name: string;
  };
  edit_variables: {
    readonly new_vars: readonly EventVariable[];
    readonly updated_vars: readonly EventVariable[];
    readonly deleted_vars: readonly EventVariable[];
  };
  new_collaborator: EventCollaborator;
  accept_collaborator: EventCollaborator;
  change_collaborator_role: EventCollaborator;
  delete_collaborator: EventCollaborator;
  new_notifier: EventNotifier;
  edit_notifier: EventNotifier;
  delete_notifier: EventNotifier;
  run: { readonly command: string; readonly audit_log_id: string; readonly detached: boolean };

  // Backups
  database_backup_requested: EventBackup;
  database_backup_cancelled: EventBackup;
  database_backup_succeeded: EventBackupEnd;
  database_backup_failed: EventBackupEnd;
  database_backup_downloaded: EventBackup;
  database_backup_removed: EventBackup & { readonly reason: string };
  database_backups_configured: EventDatabase & { readonly enabled: boolean; readonly hour_utc: number };
  database_backup_overdue: EventDatabase & {
    readonly kind: "periodic" | "base_backup";
    readonly last_good_at: string | null;
    readonly expected_by: string;
  };
  database_continuousbackup_healthy: EventContinuousBackup;
  database_continuousbackup_delayed: EventContinuousBackup;
  database_continuousbackup_stale: EventContinuousBackup;
  database_protection_changed: EventDatabase & { readonly protects: "database" | "chain" };
  database_base_backup_succeeded: EventDatabase & { readonly base_backup_id: string; readonly ended_at: string };
  database_base_backup_failed: EventDatabase & { readonly error: string };
  database_base_backup_removed: EventDatabase & { readonly base_backup_id: string; readonly reason: string };
  database_wal_lost: EventDatabase & { readonly from_lsn: string; readonly to_lsn: string };
  database_history_changed: EventDatabase & { readonly explanation: string };
  database_damage_found: EventDatabase & { readonly damage: string };

  // Restores
  database_restore_started: EventRestore;
  database_restore_ready: EventRestore;
  database_restore_succeeded: EventRestore;
  database_restore_failed: EventRestore;
  database_restore_undone: EventRestore;
  database_restore_discarded: EventRestore;

  // Use of a database
  database_user_created: EventDatabaseUser;
  database_user_changed: EventDatabaseUser;
  database_user_deleted: EventDatabaseUser;
  "database/add_feature": EventFeature;
  "database/remove_feature": EventFeature;
  plan_database_maintenance: EventMaintenance;
  start_database_maintenance: EventMaintenance;
  complete_database_maintenance: EventMaintenance;
  database_maintenance_window_changed: EventDatabase & {
    readonly weekday_utc: number;
    readonly starting_hour_utc: number;
  };
  database_tunnel_opened: EventDatabase & { readonly key_name: string };

  // Users
  new_user: { readonly username: string; readonly email: string };
  login_success: { readonly remote_ip: string; readonly method: "password" | "ssh_key" };
  login_failure: { readonly remote_ip: string; readonly method: "password" | "otp" | "ssh_key" };
  login_lock: { readonly remote_ip: string };
  password_reset_success: Nothing;
  new_token: EventToken;
  delete_token: EventToken;
  new_key: EventKey;
  delete_key: EventKey;
  tfa_enabled: { readonly provider: string };
  tfa_disabled: Nothing;
}

export type EventType = keyof EventData;

interface EventTypeFacts<Type extends EventType = EventType> {
  readonly scope: EventScope;
  /** Groups types where they are chosen. */
  readonly category: "app" | "addon" | "backup" | "restore" | "database" | "collaboration" | "notifier" | "account";
  /** When it happens, for whoever chooses what to be told. */
  readonly description: string;
  /** What happened, for people; one line. */
  readonly text: (data: EventData[Type]) => string;
}

const facts = <Type extends EventType>(
  scope: EventScope,
  category: EventTypeFacts["category"],
  description: string,
  text: (data: EventData[Type]) => string,
): EventTypeFacts<Type> => ({ scope, category, description, text });

const database = ({ addon_name: name, resource_id: resource }: EventDatabase): string =>
  `addon '${name}' (${resource})`;
const person = ({ collaborator: { username, email } }: EventCollaborator): string =>
  username === "" ? `'${email}'` : `'${username}' (${email})`;
const method = ({ backup_method: word }: EventBackup): string => `${word[0]?.toUpperCase()}${word.slice(1)}`;
const because = (reason: string | null | undefined): string =>
  reason === null || reason === undefined ? "" : `: ${reason}`;
const names = (variables: readonly EventVariable[], what: string): string[] =>
  variables.length === 0 ? [] : [`${variables.map(({ name }) => name).join(", ")} ${what}`];
const weekday = (day: number): string => ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"][day] ?? String(day);

/** Every type of event there is. Timelines, mails and webhooks all say what `text` says. */
export const EVENT_TYPES: { readonly [Type in EventType]: EventTypeFacts<Type> } = {
  new_app: facts("app", "app", "An app was created", () => "The application has been created"),
  delete_app: facts("app", "app", "An app was deleted", () => "The application has been deleted"),
  new_addon: facts(
    "app",
    "addon",
    "A database was added to an app",
    (data) => `${database(data)} added with plan '${data.plan_name}'`,
  ),
  delete_addon: facts(
    "app",
    "addon",
    "A database was removed from an app",
    (data) => `${database(data)} with plan '${data.plan_name}' removed`,
  ),
  upgrade_addon: facts(
    "app",
    "addon",
    "A database's plan was changed",
    (data) => `${database(data)} changed from plan '${data.old_plan_name}' to '${data.new_plan_name}'`,
  ),
  edit_variables: facts("app", "app", "Environment variables of an app were changed", (data) => {
    const changes = [
      ...names(data.new_vars, "added"),
      ...names(data.updated_vars, "modified"),
      ...names(data.deleted_vars, "removed"),
    ];
    return `Environment changes: ${changes.join("; ")}`;
  }),
  new_collaborator: facts(
    "app",
    "collaboration",
    "Somebody was invited to an app",
    (data) => `${person(data)} has been invited as ${data.collaborator.role}`,
  ),
  accept_collaborator: facts(
    "app",
    "collaboration",
    "Somebody accepted an invitation to an app",
    (data) => `${person(data)} has accepted the invitation`,
  ),
  change_collaborator_role: facts(
    "app",
    "collaboration",
    "A collaborator's role was changed",
    (data) => `${person(data)} is now ${data.collaborator.role}`,
  ),
  delete_collaborator: facts(
    "app",
    "collaboration",
    "A collaborator was removed from an app",
    (data) => `${person(data)} is no longer a collaborator`,
  ),
  new_notifier: facts(
    "app",
    "notifier",
    "A notifier was created",
    (data) => `Notifier '${data.notifier_name}' (${data.platform_name}) created`,
  ),
  edit_notifier: facts(
    "app",
    "notifier",
    "A notifier was changed",
    (data) => `Notifier '${data.notifier_name}' (${data.platform_name}) changed`,
  ),
  delete_notifier: facts(
    "app",
    "notifier",
    "A notifier was deleted",
    (data) => `Notifier '${data.notifier_name}' (${data.platform_name}) deleted`,
  ),
  run: facts(
    "app",
    "app",
    "A one-off container was started",
    (data) => `${data.detached ? "Detached one-off" : "One-off"} container with command '${data.command}'`,
  ),

  database_backup_requested: facts(
    "app",
    "backup",
    "Somebody asked for a backup",
    (data) => `${method(data)} backup ${data.backup_id} for ${database(data)} requested`,
  ),
  database_backup_cancelled: facts(
    "app",
    "backup",
    "Somebody cancelled a backup",
    (data) => `${method(data)} backup ${data.backup_id} for ${database(data)} cancelled`,
  ),
  database_backup_succeeded: facts(
    "app",
    "backup",
    "A backup was taken and checked",
    (data) => `${method(data)} backup ${data.backup_id} for ${database(data)} succeeded`,
  ),
  database_backup_failed: facts(
    "app",
    "backup",
    "A backup failed",
    (data) => `${method(data)} backup ${data.backup_id} for ${database(data)} failed${because(data.error)}`,
  ),
  database_backup_downloaded: facts(
    "app",
    "backup",
    "Somebody asked for a backup's download address",
    (data) => `${method(data)} backup ${data.backup_id} for ${database(data)}: download address given out`,
  ),
  database_backup_removed: facts(
    "app",
    "backup",
    "A backup that the plan no longer keeps was removed",
    (data) => `${method(data)} backup ${data.backup_id} for ${database(data)} removed${because(data.reason)}`,
  ),
  database_backups_configured: facts("app", "backup", "The schedule of daily backups was changed", (data) =>
    data.enabled
      ? `Daily backups of ${database(data)} are on, at ${data.hour_utc}:00 UTC`
      : `Daily backups of ${database(data)} are off`,
  ),
  database_backup_overdue: facts("app", "backup", "No good backup for longer than the schedule allows", (data) => {
    const kind = data.kind === "periodic" ? "daily backup" : "base backup";
    const last = data.last_good_at === null ? "there is none yet" : `the last good one is of ${data.last_good_at}`;
    return `No good ${kind} of ${database(data)} since one was expected by ${data.expected_by}: ${last}`;
  }),
  database_continuousbackup_healthy: facts(
    "app",
    "backup",
    "Continuous backups work again",
    (data) => `Point-in-time recovery for ${database(data)} is healthy`,
  ),
  database_continuousbackup_delayed: facts(
    "app",
    "backup",
    "The newest restorable moment is older than it should be",
    (data) => `Point-in-time recovery for ${database(data)} is delayed (${stateOf(data)})`,
  ),
  database_continuousbackup_stale: facts(
    "app",
    "backup",
    "The newest restorable moment is far too old",
    (data) => `Point-in-time recovery for ${database(data)} is stale (${stateOf(data)})`,
  ),
  database_protection_changed: facts(
    "app",
    "backup",
    "What gives way when continuous backups stall was changed",
    (data) => `${database(data)} now protects the ${data.protects} when continuous backups stall`,
  ),
  database_base_backup_succeeded: facts(
    "app",
    "backup",
    "A base backup was taken",
    (data) => `Base backup ${data.base_backup_id} for ${database(data)} succeeded`,
  ),
  database_base_backup_failed: facts(
    "app",
    "backup",
    "A base backup failed",
    (data) => `Base backup for ${database(data)} failed${because(data.error)}`,
  ),
  database_base_backup_removed: facts(
    "app",
    "backup",
    "A base backup that no recovery window needs was removed",
    (data) => `Base backup ${data.base_backup_id} for ${database(data)} removed${because(data.reason)}`,
  ),
  database_wal_lost: facts(
    "app",
    "backup",
    "Write-ahead log was lost: a hole in the recovery window",
    (data) => `Write-ahead log of ${database(data)} was lost from ${data.from_lsn} to ${data.to_lsn}`,
  ),
  database_history_changed: facts(
    "app",
    "backup",
    "A server began another history",
    (data) => `The server of ${database(data)} has another history${because(data.explanation)}`,
  ),
  database_damage_found: facts(
    "app",
    "backup",
    "Damage was found in a database or in its backups",
    (data) => `Damage found in ${database(data)}${because(data.damage)}`,
  ),

  database_restore_started: facts(
    "app",
    "restore",
    "A restore was begun",
    (data) => `Restore ${data.restore_id} of ${database(data)} to ${data.target} started`,
  ),
  database_restore_ready: facts(
    "app",
    "restore",
    "A restored copy can be looked at",
    (data) => `Restore ${data.restore_id} of ${database(data)} to ${data.target} is ready to look at`,
  ),
  database_restore_succeeded: facts(
    "app",
    "restore",
    "A restore is done",
    (data) => `Restore ${data.restore_id} of ${database(data)} to ${data.target} succeeded`,
  ),
  database_restore_failed: facts(
    "app",
    "restore",
    "A restore failed",
    (data) => `Restore ${data.restore_id} of ${database(data)} to ${data.target} failed${because(data.error)}`,
  ),
  database_restore_undone: facts(
    "app",
    "restore",
    "A restore was undone",
    (data) => `Restore ${data.restore_id} of ${database(data)} to ${data.target} was undone`,
  ),
  database_restore_discarded: facts(
    "app",
    "restore",
    "A restored copy was given up",
    (data) => `Restore ${data.restore_id} of ${database(data)} to ${data.target} was discarded`,
  ),

  database_user_created: facts(
    "app",
    "database",
    "A user of a database was created",
    (data) => `User '${data.user_name}'${data.read_only ? " (read-only)" : ""} of ${database(data)} created`,
  ),
  database_user_changed: facts(
    "app",
    "database",
    "The password of a database's user was changed",
    (data) => `Password of user '${data.user_name}' of ${database(data)} changed`,
  ),
  database_user_deleted: facts(
    "app",
    "database",
    "A user of a database was deleted",
    (data) => `User '${data.user_name}' of ${database(data)} deleted`,
  ),
  "database/add_feature": facts(
    "app",
    "database",
    "A feature of a database was switched on",
    (data) => `Feature '${data.feature}' of ${database(data)} enabled`,
  ),
  "database/remove_feature": facts(
    "app",
    "database",
    "A feature of a database was switched off",
    (data) => `Feature '${data.feature}' of ${database(data)} disabled`,
  ),
  plan_database_maintenance: facts(
    "app",
    "database",
    "A maintenance of a database was planned",
    (data) => `Maintenance ${data.maintenance_id} of ${database(data)} planned`,
  ),
  start_database_maintenance: facts(
    "app",
    "database",
    "A maintenance of a database began",
    (data) => `Maintenance ${data.maintenance_id} of ${database(data)} started`,
  ),
  complete_database_maintenance: facts(
    "app",
    "database",
    "A maintenance of a database is done",
    (data) => `Maintenance ${data.maintenance_id} of ${database(data)} completed`,
  ),
  database_maintenance_window_changed: facts(
    "app",
    "database",
    "A database's maintenance window was changed",
    (data) =>
      `Maintenance window of ${database(data)} is now ${weekday(data.weekday_utc)} ${data.starting_hour_utc}:00 UTC`,
  ),
  database_tunnel_opened: facts(
    "app",
    "database",
    "Somebody opened a tunnel to a database",
    (data) => `Tunnel to ${database(data)} opened with the key '${data.key_name}'`,
  ),

  new_user: facts("user", "account", "A user was created", (data) => `User '${data.username}' (${data.email}) created`),
  login_success: facts("user", "account", "Somebody logged in", (data) => `Logged in from ${data.remote_ip}`),
  login_failure: facts("user", "account", "A login failed", (data) => `Failed login from ${data.remote_ip}`),
  login_lock: facts(
    "user",
    "account",
    "Logins were refused after too many failures",
    (data) => `Logins refused for a while after too many failures, the last from ${data.remote_ip}`,
  ),
  password_reset_success: facts("user", "account", "A password was reset", () => "The password was reset"),
  new_token: facts("user", "account", "An API token was created", (data) => `Token '${data.token_name}' created`),
  delete_token: facts("user", "account", "An API token was removed", (data) => `Token '${data.token_name}' deleted`),
  new_key: facts(
    "user",
    "account",
    "An SSH key was added",
    (data) => `Key '${data.name}' with fingerprint ${data.fingerprint} added`,
  ),
  delete_key: facts("user", "account", "An SSH key was removed", (data) => `Key '${data.name}' removed`),
  tfa_enabled: facts(
    "user",
    "account",
    "Two-factor authentication was enabled",
    (data) => `Two-factor authentication enabled (${data.provider})`,
  ),
  tfa_disabled: facts(
    "user",
    "account",
    "Two-factor authentication was disabled",
    () => "Two-factor authentication disabled",
  ),
};

function stateOf({ status, error }: EventContinuousBackup): string {
  return `status: ${status}${because(error)}`;
}

/** `Database Backup Succeeded`, of `database_backup_succeeded`. */
export function eventTitle(type: string): string {
  return type
    .split(/[_/]/)
    .map((word) => `${word[0]?.toUpperCase() ?? ""}${word.slice(1)}`)
    .join(" ");
}

/** What happened, for people; one line without a full stop. */
export function eventText<Type extends EventType>(type: Type, data: EventData[Type]): string {
  return EVENT_TYPES[type].text(data);
}

export function isEventType(type: string): type is EventType {
  return Object.hasOwn(EVENT_TYPES, type);
}
