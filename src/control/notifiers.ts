import { type Kysely, sql } from "kysely";
import { TidemarkError } from "../core/errors.ts";
import { newObjectId } from "../core/ids.ts";
import { type AppRow, findApp } from "./access.ts";
import type { ControlContext } from "./context.ts";
import { recordEvent } from "./events.ts";
import type { Principal } from "./model.ts";
import { NOTIFICATION_PLATFORMS } from "./notification-platforms.ts";
import { maskAddress, newSigningSecret, unwrapAddress, wrapAddress } from "./notifier-address.ts";
import { type CheckedChange, readNotifierChange, readPlatform } from "./notifier-input.ts";
import { notifierOf, type NotifierRow, readDeliveries, readRecipients } from "./notifier-rows.ts";
import type { PlatformName } from "./notifier-schema.ts";
import type { Delivery, Notifier, NotifierChange, NotifierService } from "./notifier-service.ts";
import type { ControlSchema } from "./schema.ts";

/** Each event is told to each of them: more than this would be a mistake. */
const NOTIFIERS_PER_APP_MAX = 50;
/** Waiting ones: a test is for somebody who looks at its end. */
const WAITING_TESTS_MAX = 5;

type Db = Kysely<ControlSchema>;
type NotifierContext = Pick<ControlContext, "database" | "clock" | "secrets"> & { readonly sendsMail: boolean };

/** `sendsMail`: whether the operator has set a mail server. */
export function createNotifierService(context: NotifierContext): NotifierService {
  const { secrets } = context;
  const { db } = context.database;
  const find = async (principal: Principal, app: string, id: string): Promise<{ app: AppRow; row: NotifierRow }> => {
    const found = await findApp(db, principal, app, "manage");
    return { app: found, row: await findNotifier(db, found, id) };
  };
  return {
    platforms: () => NOTIFICATION_PLATFORMS,
    async list(principal, app) {
      const { id } = await findApp(db, principal, app, "manage");
      const rows = await db.selectFrom("notifiers").selectAll().where("app_id", "=", id).orderBy("id").execute();
      return await Promise.all(rows.map((row) => notifierOf(row, secrets)));
    },
    create: (principal, app, input) => createNotifier(context, principal, { app, ...input }),
    show: async (principal, app, id) => notifierOf((await find(principal, app, id)).row, secrets),
    async update(principal, app, id, change) {
      return await updateNotifier(context, principal, { ...(await find(principal, app, id)), change });
    },
    async remove(principal, app, id) {
      await removeNotifier(context, principal, await find(principal, app, id));
    },
    test: async (principal, app, id) => requestTest(context, (await find(principal, app, id)).row),
    deliveries: async (principal, app, id) => readDeliveries(db, (await find(principal, app, id)).row.id),
  };
}

async function findNotifier(db: Db, app: AppRow, id: string): Promise<NotifierRow> {
  const row = await db
    .selectFrom("notifiers")
    .selectAll()
    .where(sql`id`, "=", id)
    .where("app_id", "=", app.id)
    .executeTakeFirst();
  if (row === undefined)
    throw new TidemarkError("not_found", `There is no notifier "${id}"`, {
      hint: `tidemark --app ${app.name} notifiers lists those of the app.`,
    });
  return row;
}

async function createNotifier(
  context: NotifierContext,
  principal: Principal,
  input: NotifierChange & { readonly app: string; readonly name: string; readonly platform: string },
): Promise<Notifier> {
  const { clock, secrets } = context;
  const app = await findApp(context.database.db, principal, input.app, "manage");
  const platform = readPlatform(input.platform);
  const change = readNotifierChange(input, platform);
  if (platform === "email" && !context.sendsMail)
    throw new TidemarkError("conflict", "This platform sends no mail: it has no mail server", {
      hint: "The operator sets one with TIDEMARK_SMTP_URL and TIDEMARK_MAIL_FROM; or use another kind of notifier.",
    });
  const address = platform === "email" ? null : { url: requireAddress(change), signingSecret: newSigningSecret() };
  const at = clock.now();
  const row: NotifierRow = {
    id: newObjectId(at),
    app_id: app.id,
    name: change.name ?? input.name,
    platform,
    is_active: change.isActive ?? true,
    is_default: false,
    sends_all_events: change.sendsAllEvents ?? false,
    selected_events: change.selectedEvents ?? [],
    emails: [...(change.emails ?? [])],
    user_ids: [...(change.userIds ?? [])],
    wrapped_address: address === null ? null : await wrapAddress(secrets, address),
    created_at: at,
    updated_at: at,
  };
  await context.database.db.transaction().execute(async (transaction) => {
    await checkUsers(transaction, row);
    await refuseTooMany(transaction, app);
    await transaction.insertInto("notifiers").values(row).execute();
    await recordNotifierEvent(transaction, "new_notifier", { principal, app, row, at });
  });
  const made = await notifierOf(row, secrets);
  return platform === "webhook" ? { ...made, signingSecret: address?.signingSecret ?? null } : made;
}

async function updateNotifier(
  { database, clock, secrets }: NotifierContext,
  principal: Principal,
  { app, row, change: asked }: { app: AppRow; row: NotifierRow; change: NotifierChange },
): Promise<Notifier> {
  const address = row.wrapped_address === null ? null : await unwrapAddress(secrets, row.wrapped_address);
  const { webhookUrl, ...others } = asked;
  // Clients send back what they were shown.
  const isNewAddress =
    webhookUrl !== undefined && webhookUrl !== "" && address !== null && webhookUrl !== maskAddress(address.url);
  const change = readNotifierChange(isNewAddress ? { ...others, webhookUrl } : others, row.platform);
  const at = clock.now();
  const changed: NotifierRow = {
    ...row,
    name: change.name ?? row.name,
    is_active: change.isActive ?? row.is_active,
    sends_all_events: change.sendsAllEvents ?? row.sends_all_events,
    selected_events: change.selectedEvents ?? row.selected_events,
    emails: [...(change.emails ?? row.emails)],
    user_ids: [...(change.userIds ?? row.user_ids)],
    wrapped_address:
      isNewAddress && address !== null
        ? await wrapAddress(secrets, { ...address, url: webhookUrl })
        : row.wrapped_address,
    updated_at: at,
  };
  await database.db.transaction().execute(async (transaction) => {
    if (change.userIds !== undefined) await checkUsers(transaction, changed);
    const { id, app_id: _app, created_at: _created, ...values } = changed;
    await transaction.updateTable("notifiers").set(values).where("id", "=", id).execute();
    await recordNotifierEvent(transaction, "edit_notifier", { principal, app, row: changed, at });
  });
  return await notifierOf(changed, secrets);
}

async function removeNotifier(
  { database, clock }: NotifierContext,
  principal: Principal,
  { app, row }: { app: AppRow; row: NotifierRow },
): Promise<void> {
  await database.db.transaction().execute(async (transaction) => {
    const { numDeletedRows } = await transaction.deleteFrom("notifiers").where("id", "=", row.id).executeTakeFirst();
    // Somebody else was faster, and the record has it.
    if (numDeletedRows === 0n) return;
    await recordNotifierEvent(transaction, "delete_notifier", { principal, app, row, at: clock.now() });
  });
}

async function requestTest({ database, clock }: NotifierContext, row: NotifierRow): Promise<Delivery> {
  const id = newObjectId(clock.now());
  await database.db.transaction().execute(async (transaction) => {
    const { count } = await transaction
      .selectFrom("notifier_deliveries")
      .select((select) => select.fn.countAll<number>().as("count"))
      .where("notifier_id", "=", row.id)
      .where("event_sequence", "is", null)
      .where("state", "=", "waiting")
      .executeTakeFirstOrThrow();
    if (count >= WAITING_TESTS_MAX)
      throw new TidemarkError("conflict", `${count} tests of this notifier are waiting already`, {
        hint: "See how they went: tidemark notifiers-deliveries ID.",
      });
    await transaction
      .insertInto("notifier_deliveries")
      .values({ id, notifier_id: row.id, event_sequence: null, created_at: clock.now() })
      .execute();
  });
  const delivery = (await readDeliveries(database.db, row.id)).find((one) => one.id === id);
  if (delivery === undefined) throw new TidemarkError("conflict", "The notifier was removed meanwhile");
  return delivery;
}

function requireAddress(change: CheckedChange): string {
  if (change.webhookUrl !== undefined) return change.webhookUrl;
  throw new TidemarkError("invalid_fields", "A notifier of this kind needs an address", {
    fields: { webhook_url: ["is required"] },
  });
}

/** Mail goes to people of the app only: a user's id is no address of anybody else. */
async function checkUsers(db: Db, row: NotifierRow): Promise<void> {
  const known = await readRecipients(db, { appId: row.app_id, userIds: row.user_ids });
  const unknown = row.user_ids.filter((id) => !known.some((user) => user.id === id));
  if (unknown.length === 0) return;
  throw new TidemarkError("invalid_fields", "A notifier writes to users of its app only", {
    fields: { user_ids: [`are not of this app: ${unknown.join(", ")}`] },
  });
}

async function refuseTooMany(db: Db, app: AppRow): Promise<void> {
  const { count } = await db
    .selectFrom("notifiers")
    .select((row) => row.fn.countAll<number>().as("count"))
    .where("app_id", "=", app.id)
    .executeTakeFirstOrThrow();
  if (count < NOTIFIERS_PER_APP_MAX) return;
  throw new TidemarkError("conflict", `The app has ${count} notifiers, as many as it may have`, {
    hint: "Remove one first: tidemark notifiers-remove ID.",
  });
}

async function recordNotifierEvent(
  db: Db,
  type: "new_notifier" | "edit_notifier" | "delete_notifier",
  { principal, app, row, at }: { principal: Principal; app: AppRow; row: NotifierRow; at: Date },
): Promise<void> {
  await recordEvent(db, {
    type,
    data: {
      notifier_id: row.id,
      notifier_name: row.name,
      notifier_type: row.platform,
      platform_name: displayNameOf(row.platform),
      active: row.is_active,
      send_all_events: row.sends_all_events,
      selected_events: row.selected_events,
    },
    actor: principal,
    at,
    place: { appId: app.id, appName: app.name },
  });
}

function displayNameOf(platform: PlatformName): string {
  return NOTIFICATION_PLATFORMS.find(({ name }) => name === platform)?.displayName ?? platform;
}
