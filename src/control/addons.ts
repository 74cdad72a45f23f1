import { sql, type Transaction } from "kysely";
import { TidemarkError } from "../core/errors.ts";
import { type AddonId, newAddonId, newObjectId } from "../core/ids.ts";
import { randomText } from "../core/random.ts";
import { newSchedule } from "../policy/backup-schedule.ts";
import type { BackupPlan, PlanCatalogue } from "../policy/plans.ts";
import { type AddonFacts, type AppRow, findAddon, findApp, LIVE_STATES, listAddons } from "./access.ts";
import type { ControlContext, Secrets } from "./context.ts";
import { recordDatabaseEvent } from "./events.ts";
import { signJwt, type JwtKey } from "./jwt.ts";
import type { Addon, Plan, Principal } from "./model.ts";
import { insertOperation, requestCancel } from "./operations.ts";
import type { ControlSchema } from "./schema.ts";
import type { AddonService } from "./services.ts";
import { variableNames } from "./variables.ts";

/** Both words are in use: the provider's id, and what the official client makes of its short forms. */
const PROVIDER_IDS = new Set(["postgresql", "scalingo-postgresql"]);
/** Part of a variable's name; what begins as an id or is the provider's word would be ambiguous. */
const ADDON_NAME = /^(?!ad-)(?!postgresql$)[a-z][a-z0-9-]{0,31}$/;
/** 190 random bits. */
const PASSWORD_CHARACTERS = 32;

export function createAddonService(context: ControlContext & { readonly jwtKey: JwtKey }): AddonService {
  const { db } = context.database;
  return {
    plans(providerId) {
      requireProvider(providerId);
      return context.plans.all.map(planOf);
    },
    async list(principal, app) {
      const rows = await listAddons(db, await findApp(db, principal, app, "read"));
      return rows.map((row) => addonOf(context.plans, row));
    },
    create: (principal, app, input) => createAddon(context, principal, { app, ...input }),
    async show(principal, app, addon) {
      return addonOf(context.plans, await findAddon(db, await findApp(db, principal, app, "read"), addon));
    },
    async remove(principal, app, word) {
      const addon = await findAddon(db, await findApp(db, principal, app, "manage"), word);
      await db.transaction().execute((transaction) => beginRemoval(context, transaction, { addon, principal }));
    },
    async issueToken(principal, app, word) {
      // What the token may do there, its user's role says at each call.
      const addon = addonOf(context.plans, await findAddon(db, await findApp(db, principal, app, "read"), word));
      return { addon, token: await signJwt(context.jwtKey, { ...principal, addonId: addon.id }) };
    },
  };
}

/**
 * Marks the addon for removal, ends what runs on it, and leaves the rest to its host: the server and its data go, its backups stay.
 */
export async function beginRemoval(
  { queue, clock }: ControlContext,
  transaction: Transaction<ControlSchema>,
  { addon, principal }: { addon: AddonFacts; principal: Principal },
): Promise<void> {
  const { numUpdatedRows } = await transaction
    .updateTable("addons")
    .set({ state: "removing" })
    .where("id", "=", addon.id)
    .where("state", "in", LIVE_STATES)
    .executeTakeFirst();
  // Somebody else was faster: the removal is on its way.
  if (numUpdatedRows === 0n) return;
  const open = await transaction
    .selectFrom("operations")
    .select("id")
    .where("addon_id", "=", addon.id)
    .where("state", "in", ["scheduled", "running"])
    .execute();
  for (const { id } of open) {
    await requestCancel(transaction, id, new TidemarkError("cancelled", "The database was removed"));
  }
  const operation = await insertOperation(transaction, {
    id: newObjectId(clock.now()),
    kind: "remove",
    addonId: addon.id,
    requestedBy: principal.userId,
  });
  await queue.send(operation, addon.host_id, transaction);
  const data = { plan_name: addon.plan_name };
  await recordDatabaseEvent(transaction, addon, { type: "delete_addon", data, actor: principal, at: clock.now() });
}

async function createAddon(
  context: ControlContext,
  principal: Principal,
  input: { app: string; providerId: string; planId: string },
): Promise<{ addon: Addon; message: string; variables: string[] }> {
  requireProvider(input.providerId);
  const plan = requirePlan(context.plans, input.planId);
  const app = await findApp(context.database.db, principal, input.app, "manage");
  const id = newAddonId();
  const secrets = await newDatabaseSecrets(context);
  const server = { hostId: context.hostId, major: context.newDatabaseMajor };
  const index = await context.database.db.transaction().execute(async (transaction) => {
    const place = await insertNewAddon(context, transaction, { id, app, plan, name: null, server, secrets, principal });
    const operation = await insertOperation(transaction, {
      id: newObjectId(context.clock.now()),
      kind: "provision",
      addonId: id,
      requestedBy: principal.userId,
    });
    await context.queue.send(operation, context.hostId, transaction);
    return place;
  });
  const addon = addonOf(context.plans, await findAddon(context.database.db, app, id));
  const first = index.place === 0;
  return {
    addon,
    message: first
      ? "Your database is being made; its backups begin with it"
      : `Your database is being made as "${index.name}"; its backups begin with it`,
    variables: variableNames({ addonName: index.name, resourceId: addon.resourceId }, index.place).map(
      ({ name }) => name,
    ),
  };
}

interface NewAddon {
  readonly id: AddonId;
  readonly app: AppRow;
  readonly plan: BackupPlan;
  /** In its app; null for the next of `postgresql`, `postgresql-2`. */
  readonly name: string | null;
  readonly server: { readonly hostId: string; readonly major: number };
  readonly secrets: Awaited<ReturnType<typeof newDatabaseSecrets>>;
  readonly principal: Principal;
}

/**
 * Adds an addon and its database, which is to be made by an operation that the caller adds; records the event. `invalid_fields` when the name is taken or
 * can't be one.
 */
export async function insertNewAddon(
  { clock }: ControlContext,
  transaction: Transaction<ControlSchema>,
  { id, app, plan, name: wanted, server, secrets, principal }: NewAddon,
): Promise<{ place: number; name: string; resourceId: string }> {
  const { place, name } = await takeName(transaction, app, wanted);
  const { rows } = await sql<{ number: number }>`select nextval('resource_number') as number`.execute(transaction);
  const resourceId = `${app.name.replaceAll("-", "_")}_${rows[0]?.number ?? 0}`;
  await transaction
    .insertInto("addons")
    .values({
      id,
      app_id: app.id,
      name,
      resource_id: resourceId,
      plan_name: plan.name,
      state: "provisioning",
      created_at: clock.now(),
      provisioned_at: null,
      removed_at: null,
    })
    .execute();
  const schedule = newSchedule(id, clock.now());
  await transaction
    .insertInto("databases")
    .values({
      addon_id: id,
      host_id: server.hostId,
      major: server.major,
      port: null,
      version: null,
      status: "creating",
      status_reason: null,
      periodic_backups_enabled: schedule.isEnabled,
      periodic_hour_utc: schedule.hourUtc,
      periodic_last_night: schedule.lastNight,
      ...secrets,
    })
    .execute();
  const made = { id, resource_id: resourceId, app_id: app.id, app_name: app.name };
  const event = { type: "new_addon", data: { plan_name: plan.name }, actor: principal } as const;
  await recordDatabaseEvent(transaction, made, { ...event, at: clock.now() });
  return { place, name, resourceId };
}

/** The app's row is locked, so that two addons made at once get two names. */
async function takeName(
  transaction: Transaction<ControlSchema>,
  app: AppRow,
  wanted: string | null,
): Promise<{ readonly place: number; readonly name: string }> {
  await transaction.selectFrom("apps").select("id").where("id", "=", app.id).forUpdate().execute();
  const addons = await listAddons(transaction, app);
  const taken = new Set(addons.map(({ name }) => name));
  if (wanted !== null) {
    if (!ADDON_NAME.test(wanted)) throw refusedName("must be lower-case letters, digits and dashes, 32 at most");
    if (taken.has(wanted)) throw refusedName("is the name of another database of this app");
    return { place: addons.length, name: wanted };
  }
  let name = "postgresql";
  for (let number = 2; taken.has(name); number++) name = `postgresql-${number}`;
  return { place: addons.length, name };
}

function refusedName(why: string): TidemarkError {
  return new TidemarkError("invalid_fields", `This can't be the new database's name: it ${why}`, {
    fields: { name: [why] },
  });
}

/** Passwords and a key pair of a new database, wrapped. */
export async function newDatabaseSecrets({ secrets }: Pick<ControlContext, "secrets">) {
  const { recipient, wrappedIdentity } = await secrets.createDatabaseKey();
  return { ...(await newPasswords(secrets)), recipient, wrapped_identity: wrappedIdentity };
}

/** Random passwords of a database's three roles, wrapped. */
export async function newPasswords(secrets: Secrets) {
  const wrappedPassword = () => secrets.wrap(Buffer.from(randomText(PASSWORD_CHARACTERS)));
  return {
    wrapped_owner_password: await wrappedPassword(),
    wrapped_backup_password: await wrappedPassword(),
    wrapped_replication_password: await wrappedPassword(),
  };
}

function requireProvider(providerId: string): void {
  if (PROVIDER_IDS.has(providerId)) return;
  throw new TidemarkError("not_found", `There is no addon provider "${providerId}"`, {
    hint: "The only one is postgresql.",
  });
}

export function addonOf(plans: PlanCatalogue, row: AddonFacts): Addon {
  return {
    id: row.id,
    appId: row.app_id,
    appName: row.app_name,
    resourceId: row.resource_id,
    status: row.state === "provisioning" ? "provisioning" : "running",
    plan: planNamed(plans, row.plan_name),
    nextPlanName: row.next_plan_name,
    createdAt: row.created_at,
    provisionedAt: row.provisioned_at,
  };
}

/** A plan that was taken out of the list still has addons. */
export function planNamed(plans: PlanCatalogue, name: string): Plan {
  const plan = plans.find(name);
  if (plan === undefined) throw new TidemarkError("bug", `The plan "${name}" of an addon is not in the list of plans`);
  return planOf(plan);
}

/** `invalid_fields` when there is no plan of this name. */
export function requirePlan(plans: PlanCatalogue, name: string): BackupPlan {
  const plan = plans.find(name);
  if (plan !== undefined) return plan;
  throw new TidemarkError("invalid_fields", `There is no plan "${name}"`, {
    fields: { plan_id: [`is not one of ${plans.all.map((each) => each.name).join(", ")}`] },
  });
}

export function planOf(plan: BackupPlan): Plan {
  return {
    id: plan.name,
    name: plan.name,
    displayName: plan.displayName,
    description: plan.description,
    serviceClass: plan.serviceClass,
    memoryMb: plan.memoryMb,
    position: plan.position,
  };
}
