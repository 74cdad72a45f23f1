import { flag, instant, list, nullable, number, oneOf, record, text } from "./decode.ts";
import type { Decoder } from "./decode.ts";

/** The parts of the API's replies that commands show. Everything else in a reply is left alone, and `--json` prints it. */
export interface User {
  readonly id: string;
  readonly username: string;
  readonly email: string;
}

export interface ListedUser extends User {
  readonly platform_owner: boolean;
  readonly two_factor: boolean;
}

export interface Token {
  readonly id: string;
  readonly name: string;
  readonly created_at: Date | null;
  readonly last_used_at: Date | null;
}

export interface App {
  readonly name: string;
  readonly status: string;
  readonly owner: User;
  readonly project: { readonly name: string } | null;
}

/** Instants are kept as text: they have microseconds, which a Date loses. */
/** A history of the database, as the recovery window lists it. */
export interface RecoveryBranch {
  readonly timeline: number | null;
  readonly is_live: boolean | null;
  readonly earliest_recoverable_at: string | null;
  readonly latest_recoverable_at: string | null;
}

export interface RecoveryWindow {
  readonly earliest_recoverable_at: string | null;
  readonly latest_recoverable_at: string | null;
  readonly holes: readonly RecoveryHole[];
  readonly branches: readonly RecoveryBranch[];
  readonly stream: { readonly state: string; readonly reason: string | null } | null;
  readonly base_backups: number;
}

export interface RecoveryHole {
  readonly from: string | null;
  readonly to: string | null;
}

export interface Addon {
  readonly id: string;
  readonly resource_id: string;
  readonly status: string;
  readonly plan: { readonly name: string; readonly display_name: string };
  /** Of a change under way. */
  readonly next_plan: string | null;
  readonly addon_provider: { readonly id: string; readonly name: string };
}

export interface Database {
  readonly status: string;
  /** Why it isn't running. */
  readonly status_reason: string | null;
  readonly type_name: string;
  readonly readable_version: string | null;
  /** Bytes; null until its server was asked. */
  readonly size: number | null;
  readonly features: readonly { readonly name: string; readonly status: string }[];
  readonly maintenance_window: {
    readonly weekday_utc: number;
    readonly starting_hour_utc: number;
    readonly duration_in_hour: number;
  } | null;
}

export interface Backup {
  readonly id: string;
  readonly name: string | null;
  readonly created_at: Date;
  readonly size: number | null;
  readonly status: string;
  readonly method: string | null;
  readonly progress_bytes: number | null;
  readonly kept_until: Date | null;
  readonly kept_because: string | null;
  readonly error: { readonly code: string; readonly message: string; readonly hint: string | null } | null;
}

export interface LogicalRestore {
  readonly id: string;
  readonly resource_id: string;
  readonly backup_id: string;
  readonly status: string;
  readonly progress_bytes: number | null;
  readonly total_bytes: number | null;
  readonly counts: LogicalRestoreCounts | null;
  readonly objects: readonly LogicalRestoreObject[] | null;
  readonly created_at: Date;
  readonly error: { readonly code: string; readonly message: string; readonly hint: string | null } | null;
}

interface LogicalRestoreCounts {
  readonly restored: number;
  readonly failed: number;
  readonly kept: number;
  readonly unknown: number;
}

/** A database that is made from another one's backups. */
export interface AddonCopy {
  readonly id: string;
  readonly status: string;
  readonly progress_bytes: number;
  readonly total_bytes: number | null;
  readonly error: { readonly code: string; readonly message: string; readonly hint: string | null } | null;
}

export interface LogicalRestoreObject {
  readonly object: string;
  readonly outcome: string;
  readonly reason: string | null;
}

export interface PeriodicBackups {
  readonly enabled: boolean;
  readonly scheduled_at: readonly number[];
  readonly next_runs: readonly Date[];
  readonly waits_because: string | null;
}

export interface RetentionVerdict {
  readonly id: string;
  readonly method: string;
  readonly size: number | null;
  readonly created_at: Date;
  readonly kept: boolean;
  readonly kept_until: Date | null;
  readonly reason: string;
}

export interface PlanOfChange {
  readonly name: string;
  readonly display_name: string;
  readonly memory_mb: number;
  readonly recovery_window_days: number;
}

export interface PlanChange {
  readonly from: PlanOfChange;
  readonly to: PlanOfChange;
  readonly restarts: boolean;
  readonly backups: readonly {
    readonly id: string;
    readonly method: string;
    readonly size: number | null;
    readonly created_at: Date;
    readonly outcome: "goes" | "kept_longer" | "kept_shorter";
    readonly reason: string;
  }[];
}

export interface DatabaseHealth {
  readonly app: string;
  readonly resource_id: string;
  readonly status: string;
  readonly status_reason: string | null;
  readonly last_backup: Backup | null;
  readonly last_good_backup: Backup | null;
  readonly next_backup_at: Date | null;
  readonly restorable: { readonly from: Date; readonly to: Date; readonly lag_seconds: number | null } | null;
  readonly is_restorable: boolean;
  readonly problems: readonly { readonly text: string }[];
}

/** One line of a timeline. */
export interface Event {
  readonly type: string;
  readonly title: string;
  readonly text: string;
  readonly created_at: Date;
  readonly user: { readonly username: string; readonly email: string };
  /** In the audit only. */
  readonly address: string | null;
}

interface Pages {
  readonly pagination: { readonly current_page: number; readonly total_pages: number };
}

export interface Container {
  readonly id: string;
  readonly label: string;
  readonly state: string;
  readonly command: string;
  readonly container_size: { readonly human_name: string };
  readonly created_at: Date;
}

export interface OneOffOperation {
  readonly status: string;
  readonly created_at: Date;
  readonly finished_at: Date | null;
  readonly error: string | null;
  readonly start_one_off_data: { readonly attach_url: string | null };
}

const user: Decoder<User> = record<User>({ id: text, username: text, email: text });

const token: Decoder<Token> = record<Token>({
  id: text,
  name: text,
  created_at: nullable(instant),
  last_used_at: nullable(instant),
});

const app: Decoder<App> = record<App>({
  name: text,
  status: text,
  owner: user,
  project: nullable(record<{ name: string }>({ name: text })),
});

const addon: Decoder<Addon> = record<Addon>({
  id: text,
  resource_id: text,
  status: text,
  plan: record<Addon["plan"]>({ name: text, display_name: text }),
  next_plan: nullable(text),
  addon_provider: record<Addon["addon_provider"]>({ id: text, name: text }),
});

const database: Decoder<Database> = record<Database>({
  status: text,
  status_reason: nullable(text),
  type_name: text,
  readable_version: nullable(text),
  size: nullable(number),
  features: list(record<{ name: string; status: string }>({ name: text, status: text })),
  maintenance_window: nullable(
    record<{ weekday_utc: number; starting_hour_utc: number; duration_in_hour: number }>({
      weekday_utc: number,
      starting_hour_utc: number,
      duration_in_hour: number,
    }),
  ),
});

const backup: Decoder<Backup> = record<Backup>({
  id: text,
  name: nullable(text),
  created_at: instant,
  size: nullable(number),
  status: text,
  method: nullable(text),
  progress_bytes: nullable(number),
  kept_until: nullable(instant),
  kept_because: nullable(text),
  error: nullable(
    record<{ code: string; message: string; hint: string | null }>({ code: text, message: text, hint: nullable(text) }),
  ),
});

const planOfChange: Decoder<PlanOfChange> = record<PlanOfChange>({
  name: text,
  display_name: text,
  memory_mb: number,
  recovery_window_days: number,
});

const planChange: Decoder<PlanChange> = record<PlanChange>({
  from: planOfChange,
  to: planOfChange,
  restarts: flag,
  backups: list(
    record<PlanChange["backups"][number]>({
      id: text,
      method: text,
      size: nullable(number),
      created_at: instant,
      outcome: oneOf("goes", "kept_longer", "kept_shorter"),
      reason: text,
    }),
  ),
});

const health: Decoder<DatabaseHealth> = record<DatabaseHealth>({
  app: text,
  resource_id: text,
  status: text,
  status_reason: nullable(text),
  last_backup: nullable(backup),
  last_good_backup: nullable(backup),
  next_backup_at: nullable(instant),
  restorable: nullable(
    record<NonNullable<DatabaseHealth["restorable"]>>({ from: instant, to: instant, lag_seconds: nullable(number) }),
  ),
  is_restorable: flag,
  problems: list(record<{ text: string }>({ text })),
});

interface PlatformHealth {
  readonly version: string;
  readonly state: string;
  readonly health_check: { readonly stalled: boolean } | null;
}

export interface Collaborator {
  readonly id: string;
  readonly email: string;
  readonly username: string;
  readonly status: string;
  readonly is_limited: boolean | null;
}

const collaboratorFields = { id: text, email: text, username: text, status: text, is_limited: nullable(flag) };
const addonCopy: Decoder<AddonCopy> = record<AddonCopy>({
  id: text,
  status: text,
  progress_bytes: number,
  total_bytes: nullable(number),
  error: nullable(
    record<{ code: string; message: string; hint: string | null }>({ code: text, message: text, hint: nullable(text) }),
  ),
});

const logicalRestore: Decoder<LogicalRestore> = record<LogicalRestore>({
  id: text,
  resource_id: text,
  backup_id: text,
  status: text,
  progress_bytes: nullable(number),
  total_bytes: nullable(number),
  counts: nullable(record<LogicalRestoreCounts>({ restored: number, failed: number, kept: number, unknown: number })),
  objects: nullable(list(record<LogicalRestoreObject>({ object: text, outcome: text, reason: nullable(text) }))),
  created_at: instant,
  error: nullable(
    record<{ code: string; message: string; hint: string | null }>({ code: text, message: text, hint: nullable(text) }),
  ),
});

interface SshKey {
  readonly id: string;
  readonly name: string;
  readonly content: string;
}

interface Variable {
  readonly id: string;
  readonly name: string;
  readonly value: string;
}

interface Region {
  readonly name: string;
  readonly display_name: string;
  readonly api: string;
  /** `host:port` of the SSH gateway. */
  readonly ssh: string | null;
  /** Its public key as known_hosts has it: `ssh-ed25519 AAAA…` */
  readonly ssh_host_key: string | null;
  readonly default: boolean | null;
}

export const exchangeReply = record<{ token: string }>({ token: text });
export const userReply = record<{ user: User }>({ user });
export const tokensReply = record<{ tokens: Token[] }>({ tokens: list(token) });
export const newTokenReply = record<{ token: { id: string; name: string; token: string } }>({
  token: record<{ id: string; name: string; token: string }>({ id: text, name: text, token: text }),
});
export const regionsReply = record<{ regions: Region[] }>({
  regions: list(
    record<Region>({
      name: text,
      display_name: text,
      api: text,
      ssh: nullable(text),
      ssh_host_key: nullable(text),
      default: nullable(flag),
    }),
  ),
});
export const appsReply = record<{ apps: App[] }>({ apps: list(app) });
export const appReply = record<{ app: App }>({ app });
export const collaboratorsReply = record<{ collaborators: Collaborator[] }>({
  collaborators: list(record<Collaborator>(collaboratorFields)),
});
export const addedCollaboratorReply = record<{ collaborator: Collaborator & { invitation_link: string | null } }>({
  collaborator: record<Collaborator & { invitation_link: string | null }>({
    ...collaboratorFields,
    invitation_link: nullable(text),
  }),
});
export const keysReply = record<{ keys: SshKey[] }>({
  keys: list(record<SshKey>({ id: text, name: text, content: text })),
});
export const secondFactorReply = record<{ tfa: { enabled: boolean } }>({
  tfa: record<{ enabled: boolean }>({ enabled: flag }),
});
export const begunSecondFactorReply = record<{ tfa: { uri: string; secret: string } }>({
  tfa: record<{ uri: string; secret: string }>({ uri: text, secret: text }),
});
export const confirmedSecondFactorReply = record<{ tfa: { codes: string[] } }>({
  tfa: record<{ codes: string[] }>({ codes: list(text) }),
});
export const usersReply = record<{ users: ListedUser[] }>({
  users: list(record<ListedUser>({ id: text, username: text, email: text, platform_owner: flag, two_factor: flag })),
});
export const variablesReply = record<{ variables: Variable[] }>({
  variables: list(record<Variable>({ id: text, name: text, value: text })),
});
export const providersReply = record<{ addon_providers: { id: string; name: string }[] }>({
  addon_providers: list(record<{ id: string; name: string }>({ id: text, name: text })),
});
export const plansReply = record<{ plans: { id: string; name: string; display_name: string }[] }>({
  plans: list(record<{ id: string; name: string; display_name: string }>({ id: text, name: text, display_name: text })),
});
export const addonsReply = record<{ addons: Addon[] }>({ addons: list(addon) });
export const addonReply = record<{ addon: Addon }>({ addon });
export const newAddonReply = record<{ addon: Addon; message: string | null; variables: string[] | null }>({
  addon,
  message: nullable(text),
  variables: nullable(list(text)),
});
export const addonTokenReply = record<{ addon: { token: string } }>({
  addon: record<{ token: string }>({ token: text }),
});
export const databaseReply = record<{ database: Database }>({ database });
export const backupsReply = record<{ database_backups: Backup[] }>({ database_backups: list(backup) });
export const backupReply = record<{ database_backup: Backup }>({ database_backup: backup });
export const addonCopyReply = record<{ copy: AddonCopy }>({ copy: addonCopy });
export const newAddonCopyReply = record<{ copy: AddonCopy; addon: Addon; variables: string[] }>({
  copy: addonCopy,
  addon,
  variables: list(text),
});
export const logicalRestoreReply = record<{ logical_restore: LogicalRestore }>({ logical_restore: logicalRestore });
export const logicalRestoresReply = record<{ logical_restores: LogicalRestore[] }>({
  logical_restores: list(logicalRestore),
});
export const recoveryWindowReply = record<{ recovery_window: RecoveryWindow }>({
  recovery_window: record<RecoveryWindow>({
    earliest_recoverable_at: nullable(text),
    latest_recoverable_at: nullable(text),
    holes: list(record<RecoveryHole>({ from: nullable(text), to: nullable(text) })),
    branches: list(
      record<RecoveryBranch>({
        timeline: nullable(number),
        is_live: nullable(flag),
        earliest_recoverable_at: nullable(text),
        latest_recoverable_at: nullable(text),
      }),
    ),
    stream: nullable(record<{ state: string; reason: string | null }>({ state: text, reason: nullable(text) })),
    base_backups: number,
  }),
});
export const periodicBackupsReply = record<{ periodic_backups: PeriodicBackups }>({
  periodic_backups: record<PeriodicBackups>({
    enabled: flag,
    scheduled_at: list(number),
    next_runs: list(instant),
    waits_because: nullable(text),
  }),
});
export const retentionReply = record<{ retention: RetentionVerdict[] }>({
  retention: list(
    record<RetentionVerdict>({
      id: text,
      method: text,
      size: nullable(number),
      created_at: instant,
      kept: flag,
      kept_until: nullable(instant),
      reason: text,
    }),
  ),
});
export const planChangeReply = record<{ plan_change: PlanChange }>({ plan_change: planChange });
export const eventsReply = record<{ events: Event[]; meta: Pages }>({
  events: list(
    record<Event>({
      type: text,
      title: text,
      text,
      created_at: instant,
      user: record<Event["user"]>({ username: text, email: text }),
      address: nullable(text),
    }),
  ),
  meta: record<Pages>({
    pagination: record<Pages["pagination"]>({ current_page: number, total_pages: number }),
  }),
});
export const archiveReply = record<{ download_url: string }>({ download_url: text });
export const statusReply = record<{ platform: PlatformHealth; databases: DatabaseHealth[] }>({
  platform: record<PlatformHealth>({
    version: text,
    state: text,
    health_check: nullable(record<{ stalled: boolean }>({ stalled: flag })),
  }),
  databases: list(health),
});
export const containersReply = record<{ containers: Container[] }>({
  containers: list(
    record<Container>({
      id: text,
      label: text,
      state: text,
      command: text,
      container_size: record<{ human_name: string }>({ human_name: text }),
      created_at: instant,
    }),
  ),
});
export const runReply = record<{ container: { id: string; label: string } }>({
  container: record<{ id: string; label: string }>({ id: text, label: text }),
});
export const oneOffOperationReply = record<{ operation: OneOffOperation }>({
  operation: record<OneOffOperation>({
    status: text,
    created_at: instant,
    finished_at: nullable(instant),
    error: nullable(text),
    start_one_off_data: record<{ attach_url: string | null }>({ attach_url: nullable(text) }),
  }),
});
export const oneOffEndReply = record<{ exit_code: number }>({ exit_code: number });
