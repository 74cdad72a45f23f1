import type { ObjectId } from "../core/ids.ts";
import type { OneOffService } from "./one-off-service.ts";
import type { CollaboratorService } from "./collaborator-service.ts";
import type { KeyService } from "./key-service.ts";
import type { VariableService } from "./variable-service.ts";
import type { UsersService } from "./users-service.ts";
import type { SecondFactorService } from "./second-factor-service.ts";
import type { SessionService } from "./session-service.ts";
import type {
  DatabaseLogService,
  DatabaseUserService,
  FeatureService,
  MaintenanceService,
  PlanChangeService,
} from "./database-services.ts";
import type { ChangeService } from "./change-service.ts";
import type { EventService } from "./event-service.ts";
import type { HealthService } from "./health-service.ts";
import type { MetricsService } from "./metrics-service.ts";
import type { AddonCopyService } from "./addon-copy-service.ts";
import type { LogicalRestoreService } from "./logical-restore-service.ts";
import type { PointInTimeService } from "./point-in-time-service.ts";
import type {
  Addon,
  ApiToken,
  App,
  Backup,
  Database,
  DatabaseCaller,
  DatabaseSample,
  PeriodicBackups,
  Plan,
  Principal,
  RecoveryWindow,
  User,
  Variable,
} from "./model.ts";
import type { NotifierService } from "./notifier-service.ts";

export type { DatabaseCaller } from "./model.ts";

/**
 * What the faces (HTTP, later SSH) may ask of the platform. Every call authorises by itself: what the caller may not see is `not_found`,
 * what the caller may see but not do is `forbidden`.
 * `app` takes an app's name or id; `addon` an addon's id, its resource id or `postgresql` (the app's first).
 */
export interface Services {
  readonly identity: IdentityService;
  readonly sessions: SessionService;
  readonly users: UsersService;
  readonly keys: KeyService;
  readonly secondFactors: SecondFactorService;
  readonly apps: AppService;
  readonly variables: VariableService;
  readonly collaborators: CollaboratorService;
  readonly addons: AddonService;
  readonly databases: DatabaseService;
  readonly backups: BackupService;
  readonly planChanges: PlanChangeService;
  readonly features: FeatureService;
  readonly maintenances: MaintenanceService;
  readonly databaseUsers: DatabaseUserService;
  readonly databaseLogs: DatabaseLogService;
  readonly events: EventService;
  readonly changes: ChangeService;
  readonly health: HealthService;
  readonly metrics: MetricsService;
  readonly addonCopies: AddonCopyService;
  readonly logicalRestores: LogicalRestoreService;
  readonly notifiers: NotifierService;
  readonly pointInTime: PointInTimeService;
  readonly oneOffs: OneOffService;
}

export interface IdentityService {
  /**
   * `unauthenticated` when the pair or the one-time password is wrong, `second_factor_required` when the pair is right and a one-time password (or
   * recovery code) is wanted, `too_many_requests` after too many failures for this name from this address, or of either.
   * `address` is the client's network address.
   */
  authenticatePassword(input: {
    identifier: string;
    password: string;
    oneTimePassword?: string | undefined;
    address: string;
  }): Promise<Principal>;
  /** `unauthenticated` for a token that is unknown or removed, `too_many_requests` after many of them. Notes the time of use. */
  authenticateApiToken(input: { secret: string; address: string }): Promise<Principal>;
  /** `unauthenticated` for a JWT that is malformed, expired or whose user is gone. */
  authenticateJwt(jwt: string): Promise<Principal>;
  /** A JWT of one hour for the API. */
  issueJwt(principal: Principal): Promise<string>;
  self(principal: Principal): Promise<User>;
  /** Platform owner only (`forbidden`); `invalid_fields` for a taken or malformed name, address or password. */
  createUser(
    principal: Principal,
    input: { username: string; email: string; fullname: string; password: string },
  ): Promise<User>;
  /** Newest first. */
  listTokens(principal: Principal): Promise<ApiToken[]>;
  /** The secret is told once, here. */
  createToken(principal: Principal, input: { name: string }): Promise<ApiToken & { readonly secret: string }>;
  removeToken(principal: Principal, tokenId: string): Promise<void>;
}

export interface AppService {
  /** By name. */
  list(principal: Principal): Promise<App[]>;
  create(principal: Principal, input: { name: string }): Promise<App>;
  show(principal: Principal, app: string): Promise<App>;
  /** `currentName` guards against a slip: it must be the app's name (`bad_request` otherwise). Removes its databases; backups are kept. */
  remove(principal: Principal, app: string, input: { currentName: string }): Promise<void>;
  /** Gives it to the user of this name or address, for the owner, who stays as a collaborator; `currentName` as for `remove`. */
  transfer(principal: Principal, app: string, input: { currentName: string; owner: string }): Promise<App>;
  /** With `expandAliases`, a value like `$SCALINGO_POSTGRESQL_URL` is replaced by that variable's value. */
  variables(principal: Principal, app: string, input: { expandAliases: boolean }): Promise<Variable[]>;
}

export interface AddonService {
  /** Plans of the only provider, `postgresql`; by position. `not_found` for another provider. */
  plans(providerId: string): readonly Plan[];
  /** In order of creation. */
  list(principal: Principal, app: string): Promise<Addon[]>;
  /** Answers at once with status `provisioning`; the host makes the server. `planId` takes a plan's id or name. */
  create(
    principal: Principal,
    app: string,
    input: { providerId: string; planId: string },
  ): Promise<{ addon: Addon; message: string; variables: string[] }>;
  show(principal: Principal, app: string, addon: string): Promise<Addon>;
  /** Removes server and data; logical backups are kept. */
  remove(principal: Principal, app: string, addon: string): Promise<void>;
  /** A token of one hour for this addon's database API. */
  issueToken(principal: Principal, app: string, addon: string): Promise<{ addon: Addon; token: string }>;
}

export interface DatabaseService {
  /** Whom an addon token or a user's JWT stands for; `unauthenticated` otherwise. The first opens one addon, the second all of its user. */
  authenticate(bearer: string): Promise<DatabaseCaller>;
  show(caller: DatabaseCaller, addon: string): Promise<Database>;
  /** Sets when the daily logical backup is taken, and whether; what the change leaves out stays. `invalid_fields` for an hour that is none. */
  configureBackups(
    caller: DatabaseCaller,
    addon: string,
    change: { readonly isEnabled?: boolean; readonly hourUtc?: number },
  ): Promise<Database>;
  /** The daily logical backup: its next runs, and what delays one that is due. */
  periodicBackups(caller: DatabaseCaller, addon: string): Promise<PeriodicBackups>;
  /** How its lag and size went: oldest first, one for some minutes, of the last days. */
  samples(caller: DatabaseCaller, addon: string): Promise<DatabaseSample[]>;
  /** What can be restored by continuous backups. */
  recoveryWindow(caller: DatabaseCaller, addon: string): Promise<RecoveryWindow>;
  /** Chooses what gives way when continuous backups stall for long; the server takes it up at once. */
  protect(caller: DatabaseCaller, addon: string, protects: RecoveryWindow["protects"]): Promise<RecoveryWindow>;
}

export interface BackupService {
  /**
   * Newest first, each with its retention; also what is left of a removed database. With the name of another plan, the retention is what that one
   * would keep; `invalid_fields` when there is no such plan.
   */
  list(caller: DatabaseCaller, addon: string, options?: { plan?: string }): Promise<Backup[]>;
  /** `backup_running` (409) while one runs, `conflict` while the database is not running. */
  create(caller: DatabaseCaller, addon: string): Promise<Backup>;
  /** With its retention; also of a removed database. */
  show(caller: DatabaseCaller, backupId: string): Promise<Backup>;
  /** Ends a scheduled or running backup as `error` with the code `cancelled`; `conflict` when it has ended already. */
  cancel(caller: DatabaseCaller, addon: string, backupId: string): Promise<Backup>;
  /** A signed address that needs no token and expires; `conflict` unless the backup is done. */
  archiveLink(caller: DatabaseCaller, addon: string, backupId: string): Promise<string>;
  /** Checks the signature (`link_expired`) and opens the archive. `path` and `query` as they came in the request. */
  openDownload(input: { backupId: string; expires: string; signature: string }): Promise<Download>;
}

export interface Download {
  readonly backupId: ObjectId;
  /** `20231207000608_my_app_4553.tar.gz` */
  readonly fileName: string;
  readonly sizeBytes: number;
  readonly sha256: string;
  /** The archive's bytes from `offset` (0 to size) for `lengthBytes`; decrypted on the way. */
  read(range: { offset: number; lengthBytes: number; signal: AbortSignal }): AsyncIterable<Uint8Array>;
}
