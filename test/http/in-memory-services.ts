import { createHash } from "node:crypto";
import { PassThrough } from "node:stream";
import type { Collaborator } from "../../src/control/collaborator-service.ts";
import type { AuditedEvent } from "../../src/control/event-service.ts";
import type { DatabaseHealth } from "../../src/control/health-service.ts";
import type { AddonCopy } from "../../src/control/addon-copy-service.ts";
import type { LogicalRestore } from "../../src/control/logical-restore-service.ts";
import type { Addon, App, Backup, Database, Plan, Principal, User } from "../../src/control/model.ts";
import { NOTIFICATION_PLATFORMS } from "../../src/control/notification-platforms.ts";
import type { Delivery, Notifier } from "../../src/control/notifier-service.ts";
import type { PlanChange } from "../../src/control/database-services.ts";
import type { OneOff } from "../../src/control/one-off-service.ts";
import type { DatabaseCaller, Download, Services } from "../../src/control/services.ts";
import { InMemoryChanges } from "./in-memory-changes.ts";
import { inMemoryDatabaseNouns } from "./in-memory-database-nouns.ts";
import type { SshKey } from "../../src/control/key-service.ts";
import type { BrowserSession } from "../../src/control/session-service.ts";
import type { PointInTimeOperation } from "../../src/control/point-in-time-service.ts";
import { TidemarkError } from "../../src/core/errors.ts";
import { toTimelineId } from "../../src/core/lsn.ts";
import { isAddonId, isObjectId, type AddonId, type ObjectId } from "../../src/core/ids.ts";

/** Credentials that `inMemoryServices` takes. */
export const ALICE = {
  password: "correct:horse:battery",
  apiToken: "api-token-of-alice",
  jwt: "jwt-of-alice",
  addonToken: "addon-token-of-alice",
  session: "session-of-alice",
  csrfToken: "csrf-token-of-alice",
} as const;

const AT = new Date("2026-11-22T14:00:00.123Z");
export const APP_ID = objectId("0193512a0000aaaaaaaaaaaa");
export const BACKUP_ID = objectId("0193512a0000bbbbbbbbbbbb");
export const ADDON_ID = addonId("ad-0f5c9a3e-2f6d-4a55-9c1b-3f1f5b8f6a01");
const OTHER_PLAN = "postgresql-business-512";
export const SIGNATURE = "good-signature";

export const ARCHIVE = Buffer.from(Array.from({ length: 300_000 }, (_, index) => (index * 7919) % 251));

const user: User = {
  id: objectId("0193512a0000cccccccccccc"),
  username: "alice",
  email: "alice@example.com",
  fullname: "Alice",
  isPlatformOwner: true,
  createdAt: AT,
};
const PRINCIPAL: Principal = {
  userId: user.id,
  username: user.username,
  email: user.email,
  isPlatformOwner: true,
  apiTokenId: null,
  loginEpoch: 0,
};
const caller: DatabaseCaller = { principal: PRINCIPAL, addonId: ADDON_ID };
const app: App = { id: APP_ID, name: "my-app", role: "owner", owner: user, status: "running", createdAt: AT };
const plan: Plan = {
  id: "postgresql-starter-512",
  name: "postgresql-starter-512",
  displayName: "Starter 512M",
  description: "One instance, 512 MB",
  serviceClass: "starter",
  memoryMb: 512,
  position: 1,
};
const addon: Addon = {
  id: ADDON_ID,
  appId: APP_ID,
  appName: app.name,
  resourceId: "my_app_4553",
  status: "running",
  plan,
  nextPlanName: null,
  createdAt: AT,
  provisionedAt: AT,
};
const database: Database = {
  addonId: ADDON_ID,
  resourceId: addon.resourceId,
  appName: app.name,
  status: "running",
  statusReason: null,
  plan,
  version: "15.18",
  sizeBytes: 7_654_321,
  hostname: "127.0.0.1",
  port: 15_432,
  createdAt: AT,
  periodicBackups: { isEnabled: true, hourUtc: 4 },
  features: [{ name: "force-ssl", status: "ACTIVATED" }],
  maintenanceWindow: { weekdayUtc: 2, startingHourUtc: 22, durationHours: 8 },
  currentOperationId: null,
};
export const BACKUP: Backup = {
  id: BACKUP_ID,
  addonId: ADDON_ID,
  method: "manual",
  status: "done",
  name: "20261122140000_my_app_4553",
  sizeBytes: ARCHIVE.length,
  progressBytes: 1_000_000,
  createdAt: AT,
  startedAt: AT,
  endedAt: AT,
  retention: { isKept: true, keptUntil: null, reason: "One of the newest 10 manual backups" },
  error: null,
};

/** A platform of one user, one app, one database and one backup that answers at once and keeps nothing: what the face makes of it is what is tested. */
export function inMemoryServices(overrides: Partial<Services> = {}): Services {
  return {
    identity,
    sessions,
    users,
    keys,
    secondFactors,
    apps,
    variables,
    collaborators,
    addons,
    databases,
    backups,
    planChanges,
    logicalRestores,
    addonCopies,
    features,
    maintenances,
    databaseUsers,
    pointInTime,
    oneOffs,
    databaseLogs,
    events,
    changes: new InMemoryChanges(),
    notifiers,
    health,
    metrics,
    ...overrides,
  };
}

function known(ok: boolean, what: string): void {
  if (!ok) throw new TidemarkError("not_found", `There is no ${what} of this name or id`);
}

function admit<Value>(ok: boolean, value: Value): Value {
  if (!ok) throw new TidemarkError("unauthenticated", "These credentials are not valid");
  return value;
}

const identity: Services["identity"] = {
  authenticatePassword: async ({ identifier, password }) =>
    admit(identifier === user.username && password === ALICE.password, PRINCIPAL),
  authenticateApiToken: async ({ secret }) => admit(secret === ALICE.apiToken, PRINCIPAL),
  authenticateJwt: async (jwt) => admit(jwt === ALICE.jwt, PRINCIPAL),
  issueJwt: async () => ALICE.jwt,
  self: async () => user,
  createUser: async (_principal, { username, email, fullname }) => ({ ...user, username, email, fullname }),
  listTokens: async () => [{ id: "t1", name: "laptop", createdAt: AT, lastUsedAt: null }],
  createToken: async (_principal, { name }) => ({
    id: "t2",
    name,
    createdAt: AT,
    lastUsedAt: AT,
    secret: ALICE.apiToken,
  }),
  removeToken: async (_principal, tokenId) => known(tokenId === "t1", "token"),
};

const session: BrowserSession = {
  principal: PRINCIPAL,
  csrfToken: ALICE.csrfToken,
  expiresAt: new Date(Date.now() + 3_600_000),
};

const sessions: Services["sessions"] = {
  open: async () => ({ ...session, secret: ALICE.session }),
  authenticate: async (secret) => admit(secret === ALICE.session, session),
  close: async () => undefined,
};

const secondFactors: Services["secondFactors"] = {
  status: async () => ({ isEnabled: false }),
  begin: async () => ({ uri: "otpauth://totp/Tidemark:alice?secret=ABC", secret: "ABC" }),
  confirm: async (_principal, attempt) => {
    if (attempt !== "123456") throw new TidemarkError("invalid_fields", "Wrong", { fields: { attempt: ["is wrong"] } });
    return ["abcd-efgh-jkmn-pqrs"];
  },
  disable: async (_principal, attempt) => {
    if (attempt !== "123456") throw new TidemarkError("invalid_fields", "Wrong", { fields: { attempt: ["is wrong"] } });
  },
};

const users: Services["users"] = {
  list: async () => [{ ...user, hasSecondFactor: false }],
  changeAccount: async (_principal, { email, fullname }) => ({
    ...user,
    email: email ?? user.email,
    fullname: fullname ?? user.fullname,
  }),
  reset: async (_principal, id) => {
    known(id === user.id, "user");
    return user;
  },
  remove: async (_principal, id) => known(id === user.id, "user"),
};

const key: SshKey = {
  id: objectId("0193512a0000ffffffffffff"),
  name: "laptop",
  content: "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJgqZ0b8S9hW7h6yM3m9Jr6T3JtqVZ5eI6Gm1m0mS0aE alice@laptop",
  fingerprint: "SHA256:ZmFrZSBmaW5nZXJwcmludCBmb3IgdGVzdHMgb25seSE",
  createdAt: AT,
};

const keys: Services["keys"] = {
  list: async () => [key],
  show: async (_principal, id) => {
    known(id === key.id, "key");
    return key;
  },
  add: async (_principal, { name, content }) => ({ ...key, name, content: content.trim() }),
  remove: async (_principal, id) => known(id === key.id, "key"),
};

const knownApp = (name: string): void => known(name === app.name || name === app.id, "app");

const apps: Services["apps"] = {
  list: async () => [app],
  create: async (_principal, { name }) => ({ ...app, name, status: "new" }),
  show: async (_principal, name) => {
    knownApp(name);
    return app;
  },
  remove: async (_principal, name, { currentName }) => {
    knownApp(name);
    if (currentName !== app.name) throw new TidemarkError("bad_request", "current_name is not the app's name");
  },
  transfer: async (_principal, name) => {
    knownApp(name);
    return app;
  },
  variables: async (_principal, name, { expandAliases }) => {
    knownApp(name);
    const uri = "postgresql://u:p@127.0.0.1:15432/d?sslmode=prefer";
    return [
      { id: "v1", name: "DATABASE_URL", value: expandAliases ? uri : "$SCALINGO_POSTGRESQL_URL", isManaged: true },
      { id: "v2", name: "SCALINGO_POSTGRESQL_URL", value: uri, isManaged: true },
      { id: "v3", name: "MODE", value: "fast", isManaged: false },
    ];
  },
};

const collaborator: Collaborator = {
  id: objectId("0193512a0000dddddddddddd"),
  appId: APP_ID,
  appName: app.name,
  role: "collaborator",
  status: "accepted",
  email: "bob@example.com",
  user: { id: objectId("0193512a0000eeeeeeeeeeee"), username: "bob" },
  createdAt: AT,
};

const oneVariable = (id: string): void => known(id === "v3", "variable");

const variables: Services["variables"] = {
  create: async (_principal, name, change) => {
    knownApp(name);
    return { id: "v3", ...change, isManaged: false };
  },
  set: async (_principal, name, changes) => {
    knownApp(name);
    return changes.map((change) => ({ id: "v3", name: change.name, value: change.value, isManaged: false }));
  },
  change: async (_principal, name, { id, value }) => {
    knownApp(name);
    oneVariable(id);
    return { id, name: "MODE", value, isManaged: false };
  },
  remove: async (_principal, name, ids) => {
    knownApp(name);
    for (const id of ids) oneVariable(id);
  },
};

const collaborators: Services["collaborators"] = {
  list: async (_principal, name) => {
    knownApp(name);
    return [collaborator];
  },
  listOfOwner: async () => [collaborator],
  add: async (_principal, name, { who, role }) => {
    knownApp(name);
    const invitationLink = "http://127.0.0.1:8420/invitations/token";
    return { ...collaborator, role, email: who, status: "pending", user: null, invitationLink };
  },
  changeRole: async (_principal, name, { collaboratorId, role }) => {
    knownApp(name);
    known(collaboratorId === collaborator.id, "collaborator");
    return { ...collaborator, role };
  },
  remove: async (_principal, name, id) => {
    knownApp(name);
    known(id === collaborator.id, "collaborator");
  },
  accept: async (_principal, token) => {
    known(token === "token", "invitation");
    return app;
  },
};

const knownAddon = (id: string): void => known(id === ADDON_ID || id === addon.resourceId, "addon");

const addons: Services["addons"] = {
  plans: (providerId) => {
    known(providerId === "postgresql", "provider");
    return [plan];
  },
  list: async (_principal, name) => {
    knownApp(name);
    return [addon];
  },
  create: async (_principal, name, { providerId }) => {
    knownApp(name);
    known(providerId === "postgresql", "provider");
    const made: Addon = { ...addon, status: "provisioning", provisionedAt: null };
    return { addon: made, message: "Your database is being provisioned", variables: ["SCALINGO_POSTGRESQL_URL"] };
  },
  show: async (_principal, name, id) => {
    knownApp(name);
    knownAddon(id);
    return addon;
  },
  remove: async (_principal, _name, id) => knownAddon(id),
  issueToken: async (_principal, _name, id) => {
    knownAddon(id);
    return { addon, token: ALICE.addonToken };
  },
};

const databases: Services["databases"] = {
  authenticate: async (bearer) => admit(bearer === ALICE.addonToken || bearer === ALICE.jwt, caller),
  show: async (_caller, id) => {
    knownAddon(id);
    return database;
  },
  configureBackups: async (_caller, id, { isEnabled, hourUtc }) => {
    knownAddon(id);
    const { periodicBackups: now } = database;
    const changed = { isEnabled: isEnabled ?? now.isEnabled, hourUtc: hourUtc ?? now.hourUtc };
    return { ...database, periodicBackups: changed };
  },
  periodicBackups: async (_caller, id) => {
    knownAddon(id);
    const nextRuns = [new Date("2026-11-23T04:12:05.000Z"), new Date("2026-11-24T04:12:05.000Z")];
    return { ...database.periodicBackups, nextRuns, waitsBecause: null };
  },
  samples: async (_caller, id) => {
    knownAddon(id);
    return [
      { at: AT, lagMs: 1500, sizeBytes: 7_654_321 },
      { at: new Date(AT.getTime() + 600_000), lagMs: null, sizeBytes: null },
    ];
  },
  recoveryWindow: async (_caller, id) => {
    knownAddon(id);
    return {
      earliestRecoverableAt: "2026-03-01T01:00:00.000001Z",
      latestRecoverableAt: "2026-03-08T01:00:00.123456Z",
      holes: [{ from: "2026-03-02T00:00:00.000000Z", to: null }],
      branches: [],
      stream: { state: "streaming", reason: null, storedLsn: "0/3000000" },
      baseBackups: 2,
      newestBaseBackups: [
        {
          id: "01a203e901dec1593957a297",
          branchId: "01a203e8fa3f3e991e1aecbe",
          timeline: 1,
          startedAt: "2026-03-01T00:59:58.000000Z",
          finishedAt: "2026-03-01T01:00:00.000001Z",
          dataBytes: 30_000_000,
          storedBytes: 4_000_000,
        },
      ],
      protects: "database",
    };
  },
  async protect(asked, id, protects) {
    return { ...(await this.recoveryWindow(asked, id)), protects };
  },
};

const oneBackup = (id: string): Backup => {
  known(id === BACKUP_ID, "backup");
  return BACKUP;
};

const backups: Services["backups"] = {
  list: async (_caller, id, { plan: asked } = {}) => {
    knownAddon(id);
    if (asked === undefined || asked === plan.name) return [BACKUP];
    if (asked !== OTHER_PLAN)
      throw new TidemarkError("invalid_fields", "There is no such plan", { fields: { plan: ["is unknown"] } });
    return [{ ...BACKUP, retention: { isKept: false, keptUntil: null, reason: "The plan keeps none" } }];
  },
  create: async (_caller, id) => {
    knownAddon(id);
    return { ...BACKUP, status: "scheduled", name: null, sizeBytes: null, startedAt: null, endedAt: null };
  },
  show: async (_caller, id) => oneBackup(id),
  cancel: async (_caller, _addon, id) => ({
    ...oneBackup(id),
    status: "error",
    error: { code: "cancelled", message: "It was cancelled", hint: null },
  }),
  archiveLink: async (_caller, _addon, id) =>
    `http://127.0.0.1:8420/downloads/backups/${oneBackup(id).id}?expires=1&signature=${SIGNATURE}`,
  openDownload: async ({ backupId, signature }) => {
    if (signature !== SIGNATURE) throw new TidemarkError("link_expired", "This download address has expired");
    oneBackup(backupId);
    return download(readArchive);
  },
};

const planChange: PlanChange = {
  from: { ...plan, recoveryWindowDays: 7 },
  to: { ...plan, id: OTHER_PLAN, name: OTHER_PLAN, displayName: "Business 512M", recoveryWindowDays: 7 },
  restarts: false,
  backups: [{ backup: BACKUP, outcome: "goes", reason: "The plan keeps none", keptUntil: null }],
};

function knownPlan(planId: string | null): void {
  if (planId === OTHER_PLAN || planId === null) return;
  throw new TidemarkError("invalid_fields", "There is no such plan", { fields: { plan_id: ["is unknown"] } });
}

const planChanges: Services["planChanges"] = {
  preview: async (_principal, name, id, planId) => {
    knownApp(name);
    knownAddon(id);
    knownPlan(planId);
    return planChange;
  },
  begin: async (_principal, name, id, planId) => {
    knownApp(name);
    knownAddon(id);
    knownPlan(planId);
    return { addon, change: planChange };
  },
};

const EVENT: AuditedEvent = {
  id: objectId("0193512a0000dddddddddddd"),
  type: "database_backup_failed",
  createdAt: AT,
  appId: APP_ID,
  appName: app.name,
  resourceId: addon.resourceId,
  actor: null,
  data: { backup_id: BACKUP_ID },
  title: "Database Backup Failed",
  text: "Manual backup b1 for addon 'PostgreSQL' (my_app_4553) failed",
  address: null,
  apiTokenId: null,
};

export const HEALTH: DatabaseHealth = {
  appName: app.name,
  ownerName: user.username,
  addonId: ADDON_ID,
  resourceId: addon.resourceId,
  planName: plan.name,
  status: "running",
  statusReason: null,
  lastBackup: BACKUP,
  lastGoodBackup: null,
  nextBackupAt: AT,
  window: { from: new Date("2026-11-15T14:00:00.000Z"), to: new Date("2026-11-22T13:59:56.123Z"), lagMs: 4000 },
  continuous: { state: "healthy", since: null, lagBytes: 0, retainedWalBytes: 16_777_216 },
  isRestorable: true,
  problems: [],
};

function requireOwner({ isPlatformOwner }: Principal): void {
  if (!isPlatformOwner) throw new TidemarkError("forbidden", "This is for the owner of the platform");
}

const metrics: Services["metrics"] = {
  observeRequest: () => undefined,
  countError: () => undefined,
  render: async (principal) => {
    if (principal !== "local") requireOwner(principal);
    return "tidemark_databases 1\n";
  },
};

const health: Services["health"] = {
  ofUser: async () => [HEALTH],
  ofPlatform: async (principal, page) => {
    requireOwner(principal);
    return { ...page, items: [HEALTH], totalCount: 1 };
  },
  operations: async (principal, state, page) => {
    requireOwner(principal);
    if (state !== "open") return { ...page, items: [], totalCount: 0 };
    const facts = { id: BACKUP_ID, kind: "logical_backup", appName: app.name, resourceId: addon.resourceId } as const;
    const progress = { state: "running", attempt: 1, progressBytes: 5, createdAt: AT, startedAt: AT } as const;
    return { ...page, items: [{ ...facts, ...progress, endedAt: null, error: null }], totalCount: 1 };
  },
  check: async () => ({ checkedAt: AT, isStalled: false }),
};

const events: Services["events"] = {
  ofApp: async (_principal, name, page) => {
    knownApp(name);
    return { ...page, items: [EVENT], totalCount: 41 };
  },
  ofUser: async (_principal, page) => ({ ...page, items: [], totalCount: 0 }),
  audit: async (principal, _filter, page) => {
    requireOwner(principal);
    const actor = { id: user.id, username: user.username, email: user.email };
    return { ...page, items: [{ ...EVENT, actor, address: "192.0.2.7", apiTokenId: "t1" }], totalCount: 1 };
  },
};

const NOTIFIER: Notifier = {
  id: objectId("0193512a0000dddddddddddd"),
  appId: APP_ID,
  name: "hook",
  platform: "webhook",
  isActive: true,
  isDefault: false,
  sendsAllEvents: false,
  selectedEvents: ["database_backup_failed"],
  emails: [],
  userIds: [],
  webhookUrl: "https://hooks.example.com/…cdef",
  signingSecret: null,
  createdAt: AT,
  updatedAt: AT,
};
const DELIVERY: Delivery = {
  id: objectId("0193512a0000eeeeeeeeeeee"),
  event: null,
  state: "waiting",
  attempts: 0,
  reply: null,
  durationMs: null,
  createdAt: AT,
  nextAttemptAt: AT,
  endedAt: null,
};

const oneNotifier = (name: string, id: string): Notifier => {
  knownApp(name);
  known(id === NOTIFIER.id, "notifier");
  return NOTIFIER;
};

const notifiers: Services["notifiers"] = {
  platforms: () => NOTIFICATION_PLATFORMS,
  list: async (_principal, name) => {
    knownApp(name);
    return [NOTIFIER];
  },
  create: async (_principal, name, { name: given }) => {
    knownApp(name);
    return { ...NOTIFIER, name: given, signingSecret: "whsec_c2VjcmV0" };
  },
  show: async (_principal, name, id) => oneNotifier(name, id),
  update: async (_principal, name, id, { isActive = true }) => ({ ...oneNotifier(name, id), isActive }),
  remove: async (_principal, name, id) => void oneNotifier(name, id),
  test: async (_principal, name, id) => {
    oneNotifier(name, id);
    return DELIVERY;
  },
  deliveries: async (_principal, name, id) => {
    oneNotifier(name, id);
    return [DELIVERY];
  },
};

const COPY: AddonCopy = {
  id: objectId("0193512a0000eeeeeeeeeeee"),
  addonId: ADDON_ID,
  resourceId: "my_app_4554",
  sourceAddonId: ADDON_ID,
  target: "latest",
  status: "running",
  progressBytes: 1_000_000,
  totalBytes: 2_000_000,
  targetLsn: "0/3000028",
  createdAt: AT,
  endedAt: null,
  error: null,
};

const addonCopies: Services["addonCopies"] = {
  create: async (_principal, name, id, { target }) => {
    knownApp(name);
    knownAddon(id);
    const copy = { ...COPY, target, status: "scheduled", totalBytes: null, targetLsn: null } as const;
    const made: Addon = { ...addon, status: "provisioning", provisionedAt: null };
    return { copy, addon: made, variables: ["SCALINGO_POSTGRESQL_STAGING_URL"] };
  },
  show: async (_principal, name, id) => {
    knownApp(name);
    known(id === COPY.id, "copy");
    return COPY;
  },
};

export const LOGICAL_RESTORE: LogicalRestore = {
  id: objectId("0193512a0000dddddddddddd"),
  addonId: ADDON_ID,
  resourceId: addon.resourceId,
  sourceAddonId: ADDON_ID,
  backupId: BACKUP_ID,
  operationId: objectId("0193512a0000eeeeeeeeeeee"),
  status: "error",
  progressBytes: 1_000_000,
  totalBytes: 2_000_000,
  counts: { restored: 1, failed: 1, kept: 0, unknown: 0 },
  objects: [
    { object: "TABLE public orders", outcome: "failed", reason: 'ERROR:  relation "orders" already exists' },
    { object: "TABLE public lines", outcome: "restored", reason: null },
  ],
  createdAt: AT,
  startedAt: AT,
  endedAt: AT,
  error: { code: "restore_incomplete", message: "1 of 2 objects could not be restored", hint: null },
};

export const OPERATION_ID = objectId("0193512a0000dddddddddddd");
export const OPERATION: PointInTimeOperation = {
  id: OPERATION_ID,
  type: "pitr_restore",
  status: "done",
  phase: "done",
  plan: {
    plannedAt: "2026-11-22T14:00:00.123Z",
    timeline: toTimelineId(1),
    target: {
      lsn: "0/3000028",
      endLsn: "0/30000A0",
      lastCommit: { xid: 731, lsn: "0/3000028", time: "2026-11-22T13:59:59.123456Z" },
      firstLeftOut: null,
    },
    base: { backupId: objectId("0193512a0000eeeeeeeeeeee"), finishedAt: "2026-11-20T01:00:00.000Z" },
    wal: { segments: 2, bytes: 33_554_432 },
    fetchBytes: 50_000_000,
    diskBytes: 90_000_000,
    memoryBytes: 270_000_000,
    estimate: { fetchSeconds: 1, replaySeconds: 1, isMeasured: false },
    prepared: [{ xid: 700, gid: "kept open", preparedAt: "2026-11-22T13:00:00.000000Z" }],
    losses: ["Rows of 1 unlogged table are not in it"],
    notes: [],
    undoHours: 24,
  },
  progress: { doneBytes: 1000, totalBytes: 1000, replayedLsn: "0/3000028", replayedUntil: AT },
  timeline: 2,
  downtimeMs: 1800,
  undoUntil: AT,
  notes: [],
  createdAt: AT,
  startedAt: AT,
  endedAt: AT,
  error: null,
};

const pointInTime: Services["pointInTime"] = {
  plan: async (_caller, id) => {
    knownAddon(id);
    return { ...OPERATION, type: "pitr_plan" };
  },
  restore: async (_caller, id) => {
    knownAddon(id);
    return { ...OPERATION, status: "scheduled", phase: "scheduled", plan: null };
  },
  undo: async (_caller, id) => {
    knownAddon(id);
    return { ...OPERATION, type: "pitr_undo", status: "scheduled", phase: "scheduled", plan: null };
  },
  operations: async (_caller, id) => {
    knownAddon(id);
    return [OPERATION];
  },
  operation: async (_caller, id, operationId) => {
    knownAddon(id);
    known(operationId === OPERATION_ID, "operation");
    return OPERATION;
  },
  async cancel(asked, id, operationId) {
    return await this.operation(asked, id, operationId);
  },
};

const logicalRestores: Services["logicalRestores"] = {
  create: async (_caller, id, { backupId, to }) => {
    knownAddon(id);
    oneBackup(backupId);
    if (to !== null) knownAddon(to);
    const begun = {
      status: "scheduled",
      counts: null,
      objects: null,
      startedAt: null,
      endedAt: null,
      error: null,
    } as const;
    return { ...LOGICAL_RESTORE, ...begun };
  },
  list: async (_caller, id) => {
    knownAddon(id);
    return [{ ...LOGICAL_RESTORE, objects: null }];
  },
  show: async (_caller, id) => {
    known(id === LOGICAL_RESTORE.id, "restore");
    return LOGICAL_RESTORE;
  },
  async cancel(asked, id) {
    return await this.show(asked, id);
  },
};

const { features, maintenances, databaseUsers, databaseLogs } = inMemoryDatabaseNouns({
  addonId: ADDON_ID,
  at: AT,
  known,
  knownAddon,
});

/** A download of `ARCHIVE` whose bytes come from `read`. */
export function download(read: Download["read"]): Download {
  return {
    backupId: BACKUP_ID,
    fileName: `${BACKUP.name}.tar.gz`,
    sizeBytes: ARCHIVE.length,
    sha256: createHash("sha256").update(ARCHIVE).digest("hex"),
    read,
  };
}

const CHUNK_BYTES = 7_000;

async function* readArchive({ offset, lengthBytes }: { offset: number; lengthBytes: number }) {
  for (let start = offset; start < offset + lengthBytes; start += CHUNK_BYTES)
    yield ARCHIVE.subarray(start, Math.min(start + CHUNK_BYTES, offset + lengthBytes));
}

function objectId(text: string): ObjectId {
  if (!isObjectId(text)) throw new Error(`"${text}" is no object id`);
  return text;
}

function addonId(text: string): AddonId {
  if (!isAddonId(text)) throw new Error(`"${text}" is no addon id`);
  return text;
}

/** Of the attach address of the one-off container. */
export const ATTACH_REFERENCE = "0193512a0000ffffffffffff-secret";

const oneOff: OneOff = {
  id: objectId("0193512a0000ffffffffffff"),
  appId: APP_ID,
  label: "one-off-12",
  command: "bash",
  size: "M",
  isDetached: false,
  state: "running",
  createdAt: AT,
  readyAt: AT,
  exitCode: null,
  error: null,
  attachUrl: `http://127.0.0.1:8420/attach/${ATTACH_REFERENCE}`,
};
const knownReference = (reference: string): void => known(reference === ATTACH_REFERENCE, "attach address");

/** Its terminal gives back what is typed, and ends with the input's last byte. */
const oneOffs: Services["oneOffs"] = {
  run: async (_principal, name, { command, isDetached }) => {
    knownApp(name);
    return { ...oneOff, command, isDetached, state: "starting", readyAt: null, attachUrl: null };
  },
  list: async (_principal, name) => {
    knownApp(name);
    return [oneOff];
  },
  show: async (_principal, name, id) => {
    knownApp(name);
    known(id === oneOff.id, "operation");
    return oneOff;
  },
  stop: async (_principal, name, word) => {
    knownApp(name);
    known(word === oneOff.id || word === oneOff.label, "container");
  },
  attach: async (_principal, reference) => {
    knownReference(reference);
    const output = new PassThrough();
    const input = new PassThrough();
    input.on("data", (chunk: Buffer) => {
      output.write(chunk);
      if (chunk.at(-1) === 4) output.end();
    });
    return {
      input,
      output,
      begin: () => void output.write("ready "),
      noteActivity: () => undefined,
      leave: () => undefined,
    };
  },
  upload: async (_principal, reference, openFile) => {
    knownReference(reference);
    for await (const chunk of (await openFile()).bytes) void chunk;
  },
  resize: async (_principal, reference) => knownReference(reference),
  wait: async (_principal, reference) => {
    knownReference(reference);
    return { exitCode: 3, wasInactive: false };
  },
};
