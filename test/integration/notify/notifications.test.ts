import assert from "node:assert/strict";
import { after, test } from "node:test";
import { eventJson } from "../../../src/control/event-json.ts";
import { eventOf } from "../../../src/control/event-pages.ts";
import { recordEvent } from "../../../src/control/events.ts";
import { Notifications } from "../../../src/control/notifications.ts";
import { WAITING_PER_NOTIFIER_MAX } from "../../../src/control/notifier-deliveries.ts";
import { insertDefaultNotifier } from "../../../src/control/notifier-rows.ts";
import type { Delivery, NotifierChange } from "../../../src/control/notifier-service.ts";
import { createNotifierService } from "../../../src/control/notifiers.ts";
import { readServeConfig } from "../../../src/config.ts";
import { systemClock } from "../../../src/core/clock.ts";
import { isErrorCode } from "../../../src/core/errors.ts";
import { newObjectId, type ObjectId } from "../../../src/core/ids.ts";
import { openSecrets } from "../../../src/serve/safekeeping.ts";
import { makeControlDatabase } from "../../harness/control-database.ts";
import { startPostgresServer } from "../../harness/postgres-server.ts";
import { quietLogger } from "../../harness/quiet-logger.ts";
import { makeTempFolder } from "../../harness/temp-folder.ts";
import { startMailServer } from "./mail-server.ts";
import { startWebServer } from "./web-server.ts";

const DEADLINE_MS = 60_000;
const POLL_INTERVAL_MS = 50;
const PUBLIC_URL = "https://backups.example.com";
const clock = systemClock;

const server = await startPostgresServer({ after });
const database = await makeControlDatabase(server);
after(() => database.close());
const { db } = database;
const secrets = await openSecrets(readServeConfig({ TIDEMARK_HOME: await makeTempFolder({ after }) }), clock);
const mail = await startMailServer();
after(() => mail.close());
let failuresLeft = 0;
const web = await startWebServer((post, response) => {
  if (post.path === "/hangs") return;
  const status = post.path === "/flaky" && failuresLeft-- > 0 ? 503 : Number(post.path.slice(1)) || 200;
  response.writeHead(status).end();
});
after(() => web.close());

const owner = await addUser("owner");
const stranger = await addUser("stranger");
const principal = {
  userId: owner,
  username: "owner",
  email: "owner@example.com",
  isPlatformOwner: true,
  apiTokenId: null,
  loginEpoch: 0,
};
const notifiers = createNotifierService({
  database,
  clock,
  secrets,
  sendsMail: true,
});

async function addUser(username: string): Promise<ObjectId> {
  const id = newObjectId(clock.now());
  const email = `${username}@example.com`;
  await db
    .insertInto("users")
    .values({ id, username, email, fullname: "", password_hash: "", is_platform_owner: false })
    .execute();
  return id;
}

async function addApp(name: string): Promise<{ appId: ObjectId; appName: string }> {
  const appId = newObjectId(clock.now());
  await db.insertInto("apps").values({ id: appId, name, owner_id: owner, removed_at: null }).execute();
  return { appId, appName: name };
}

async function addNotifier(app: string, platform: string, change: NotifierChange = {}) {
  return await notifiers.create(principal, app, { name: platform, platform, sendsAllEvents: true, ...change });
}

function startNotifications(context: { after: (fn: () => Promise<void>) => void }, mayMail = true): Notifications {
  const notifications = new Notifications(
    { database, clock, secrets, logger: quietLogger },
    {
      publicUrl: PUBLIC_URL,
      outside: {
        mail: mayMail ? { server: mail.server, from: "backups@example.com" } : null,
        allowsPrivateTargets: true,
        userAgent: "Tidemark/test",
      },
    },
  );
  context.after(() => notifications.close());
  return notifications;
}

async function recordFailedBackup(place: { appId: ObjectId; appName: string }): Promise<void> {
  await recordEvent(db, {
    type: "database_backup_failed",
    data: {
      addon_uuid: "ad-1",
      addon_name: "PostgreSQL",
      addon_provider_name: "PostgreSQL",
      resource_id: "my_app_1",
      backup_id: "b1",
      backup_method: "periodic",
      backup_status: "error",
      started_at: null,
      ended_at: clock.now().toISOString(),
      error: "pg_dump ended with 1",
    },
    actor: "platform",
    at: clock.now(),
    place: { ...place, addonId: "ad-1", resourceId: "my_app_1" },
  });
}

/** The deliveries of a notifier once `isRight`. */
async function waitForDeliveries(
  app: string,
  notifierId: string,
  isRight: (deliveries: readonly Delivery[]) => boolean,
): Promise<readonly Delivery[]> {
  const deadline = Date.now() + DEADLINE_MS;
  for (;;) {
    const deliveries = await notifiers.deliveries(principal, app, notifierId);
    if (isRight(deliveries)) return deliveries;
    assert.ok(Date.now() < deadline, `deliveries are ${JSON.stringify(deliveries)}`);
    await clock.sleep(POLL_INTERVAL_MS);
  }
}

const all =
  (state: Delivery["state"], count = 1) =>
  (deliveries: readonly Delivery[]): boolean =>
    deliveries.filter((one) => one.state === state).length >= count;

test("a failed backup reaches all four channels, once each, and says what to do", async (context) => {
  const place = await addApp("four");
  const made = [
    await addNotifier("four", "email", { emails: ["team@example.com"], userIds: [owner] }),
    await addNotifier("four", "webhook", { webhookUrl: `${web.url}/hook-four` }),
    await addNotifier("four", "slack", { webhookUrl: `${web.url}/slack-four` }),
    await addNotifier("four", "rocket_chat", { webhookUrl: `${web.url}/rocket-four` }),
  ];
  // What happened before somebody was to be told is told to nobody.
  await db.updateTable("events").set({ routed_at: clock.now() }).execute();
  startNotifications(context);
  await recordFailedBackup(place);
  for (const notifier of made) {
    const [delivery, ...others] = await waitForDeliveries("four", notifier.id, all("delivered"));
    assert.equal(delivery?.event?.type, "database_backup_failed");
    assert.equal(delivery?.attempts, 1);
    assert.deepEqual(others, []);
  }
  const message = mail.received.at(-1);
  assert.deepEqual(message?.to.toSorted(), ["owner@example.com", "team@example.com"]);
  const text = unfold(message?.text ?? "");
  assert.match(
    text,
    /^Subject: \[four\] Periodic backup b1 for addon 'PostgreSQL' \(my_app_1\) failed: pg_dump ended/m,
  );
  assert.match(text, /tidemark --app four --addon my_app_1 backups-create/);
  const hook = web.received.find(({ path }) => path === "/hook-four");
  const event: unknown = JSON.parse(hook?.body ?? "");
  const stored = await db.selectFrom("events").selectAll().where("app_id", "=", place.appId).execute();
  const failed = stored.find(({ type }) => type === "database_backup_failed");
  assert.ok(failed !== undefined);
  assert.deepEqual(event, eventJson(eventOf(failed)));
});

/** Headers and quoted-printable text with their long lines joined again. */
function unfold(text: string): string {
  return text.replaceAll("=\r\n", "").replaceAll("\r\n ", " ");
}

test("a notifier is told of the events that it selected, while it is active", async (context) => {
  const place = await addApp("chosen");
  await db.updateTable("events").set({ routed_at: clock.now() }).execute();
  const webhookUrl = `${web.url}/200`;
  const chosen = await addNotifier("chosen", "webhook", {
    webhookUrl,
    sendsAllEvents: false,
    selectedEvents: ["database_backup_failed"],
  });
  const other = await addNotifier("chosen", "webhook", {
    webhookUrl,
    sendsAllEvents: false,
    selectedEvents: ["new_addon"],
  });
  const off = await addNotifier("chosen", "webhook", { webhookUrl, isActive: false });
  await recordFailedBackup(place);
  startNotifications(context);
  await waitForDeliveries("chosen", chosen.id, all("delivered"));
  assert.deepEqual(await notifiers.deliveries(principal, "chosen", other.id), []);
  assert.deepEqual(await notifiers.deliveries(principal, "chosen", off.id), []);
});

test("what fails for now is tried again, what is refused is not, and the log says why", async (context) => {
  await addApp("failing");
  const flaky = await addNotifier("failing", "webhook", { webhookUrl: `${web.url}/flaky`, sendsAllEvents: false });
  const gone = await addNotifier("failing", "webhook", { webhookUrl: `${web.url}/410`, sendsAllEvents: false });
  failuresLeft = 1;
  startNotifications(context);
  await notifiers.test(principal, "failing", flaky.id);
  await notifiers.test(principal, "failing", gone.id);
  const [refused] = await waitForDeliveries("failing", gone.id, all("failed"));
  assert.match(refused?.reply ?? "", /answered 410/);
  const [retried] = await waitForDeliveries("failing", flaky.id, all("delivered"));
  assert.equal(retried?.attempts, 2);
});

test("several that deliver at once tell each notice once", async (context) => {
  const place = await addApp("crowd");
  await db.updateTable("events").set({ routed_at: clock.now() }).execute();
  const notifier = await addNotifier("crowd", "webhook", { webhookUrl: `${web.url}/crowd`, sendsAllEvents: true });
  for (let index = 0; index < 20; index++) await recordFailedBackup(place);
  for (let index = 0; index < 3; index++) startNotifications(context);
  const wanted = 21; // and that the notifier was made
  const deliveries = await waitForDeliveries("crowd", notifier.id, all("delivered", wanted));
  assert.equal(deliveries.length, wanted);
  assert.ok(deliveries.every(({ attempts }) => attempts === 1));
  const ids = web.received.filter(({ path }) => path === "/crowd").map(({ headers }) => headers["webhook-id"]);
  assert.equal(ids.length, wanted);
  assert.equal(new Set(ids).size, wanted);
});

test("close() gives back what is under way, and the next one delivers it", async (context) => {
  await addApp("closing");
  const notifier = await addNotifier("closing", "webhook", { webhookUrl: `${web.url}/hangs`, sendsAllEvents: false });
  await notifiers.test(principal, "closing", notifier.id);
  const first = startNotifications(context);
  await waitForDeliveries("closing", notifier.id, ([delivery]) => delivery?.attempts === 1);
  await first.close();
  const [given] = await notifiers.deliveries(principal, "closing", notifier.id);
  assert.deepEqual([given?.state, given?.attempts], ["waiting", 0]);
  await notifiers.update(principal, "closing", notifier.id, { webhookUrl: `${web.url}/200` });
  startNotifications(context);
  await waitForDeliveries("closing", notifier.id, all("delivered"));
});

test("a backlog is bounded: the oldest go, and the log says so", async (context) => {
  await addApp("flood");
  const notifier = await addNotifier("flood", "webhook", { webhookUrl: `${web.url}/hangs`, isActive: false });
  const rows = Array.from({ length: WAITING_PER_NOTIFIER_MAX + 3 }, () => ({
    id: newObjectId(clock.now()),
    notifier_id: notifier.id,
    event_sequence: null,
    run_after: new Date("2100-01-01T00:00:00Z"),
  }));
  await db.insertInto("notifier_deliveries").values(rows).execute();
  startNotifications(context);
  const deadline = Date.now() + DEADLINE_MS;
  for (;;) {
    const dropped = await db
      .selectFrom("notifier_deliveries")
      .select("reply")
      .where("notifier_id", "=", notifier.id)
      .where("state", "=", "failed")
      .execute();
    if (dropped.length === 3) return assert.match(dropped[0]?.reply ?? "", /^Dropped/);
    assert.ok(Date.now() < deadline, `${dropped.length} were dropped`);
    await clock.sleep(POLL_INTERVAL_MS);
  }
});

test("without a mail server the default notifier says why nothing came, and no other is made", async (context) => {
  const place = await addApp("mailless");
  await insertDefaultNotifier(db, { appId: place.appId, ownerId: owner, at: clock.now() });
  const [standing] = await notifiers.list(principal, "mailless");
  assert.deepEqual([standing?.isDefault, standing?.userIds], [true, [owner]]);
  startNotifications(context, false);
  await recordFailedBackup(place);
  const [failed] = await waitForDeliveries("mailless", standing?.id ?? "", all("failed"));
  assert.match(failed?.reply ?? "", /TIDEMARK_SMTP_URL/);
  const mailless = createNotifierService({ database, clock, secrets, sendsMail: false });
  await assert.rejects(
    mailless.create(principal, "mailless", { name: "m", platform: "email", emails: ["a@example.com"] }),
    (error) => isErrorCode(error, "conflict"),
  );
});

test("an address is a secret: masked in every answer, kept when its masked form comes back, wrapped where it is stored", async () => {
  await addApp("secret");
  const url = "https://hooks.example.com/services/T0/B0/very-secret-part";
  const made = await addNotifier("secret", "webhook", { webhookUrl: url });
  assert.match(made.signingSecret ?? "", /^whsec_[A-Za-z0-9+/]{43}=$/);
  const shown = await notifiers.show(principal, "secret", made.id);
  assert.deepEqual([shown.webhookUrl, shown.signingSecret], ["https://hooks.example.com/…part", null]);
  const { wrapped_address: before } = await rowOf(made.id);
  await notifiers.update(principal, "secret", made.id, { name: "other", webhookUrl: shown.webhookUrl ?? "" });
  const { wrapped_address: later, name } = await rowOf(made.id);
  assert.equal(name, "other");
  assert.deepEqual(later, before);
  assert.ok(before !== null && !before.toString("latin1").includes("very-secret"));
  const events = await db.selectFrom("events").select("data").where("app_name", "=", "secret").execute();
  assert.ok(!JSON.stringify(events).includes("secret-part"));
});

async function rowOf(id: ObjectId) {
  return await db.selectFrom("notifiers").selectAll().where("id", "=", id).executeTakeFirstOrThrow();
}

test("a notifier that can't work is refused with the field that is wrong", async () => {
  await addApp("wrong");
  const cases: [string, NotifierChange, string][] = [
    ["webhook", {}, "webhook_url"],
    ["webhook", { webhookUrl: "ftp://example.com" }, "webhook_url"],
    ["slack", { webhookUrl: "not an address" }, "webhook_url"],
    ["webhook", { webhookUrl: "https://example.com", selectedEvents: ["no_such"] }, "selected_event_ids"],
    ["email", { emails: ["nobody"] }, "emails"],
    ["email", { userIds: [stranger] }, "user_ids"],
    ["pigeon", {}, "platform_id"],
  ];
  for (const [platform, change, field] of cases)
    await assert.rejects(addNotifier("wrong", platform, change), (error) => {
      assert.ok(isErrorCode(error, "invalid_fields"), `${platform}: ${String(error)}`);
      assert.deepEqual(Object.keys(error.fields ?? {}), [field]);
      return true;
    });
  assert.deepEqual(await notifiers.list(principal, "wrong"), []);
});
