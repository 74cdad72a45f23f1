import type { Selectable } from "kysely";
import { isErrorCode, TidemarkError } from "../core/errors.ts";
import type { Connection } from "../postgres/connection.ts";
import { withSession } from "../postgres/connection.ts";
import { type AddonFacts, listAddons } from "./access.ts";
import { scheduleBackup } from "./backups.ts";
import type { ControlContext } from "./context.ts";
import type { ControlDatabase } from "./database.ts";
import type { Principal } from "./model.ts";
import { readBackups } from "./backup-rows.ts";
import { SAMPLE_SQL, SAMPLE_TABLE } from "./sample-data.ts";
import type { PlatformTable } from "./schema.ts";
import type { Services } from "./services.ts";
import { loadPrincipal } from "./users.ts";

const SAMPLE_APP = "my-app";
const SAMPLE_PLAN = "postgresql-starter-512";
const POLL_MS = 200;

export interface SampleOptions {
  readonly context: ControlContext;
  readonly services: Pick<Services, "apps" | "addons">;
  /** How to reach a database as its own role. */
  readonly connectAsOwner: (addon: AddonFacts) => Promise<Connection>;
  /** One line of progress for whoever started the platform. */
  readonly say: (line: string) => void;
  readonly signal: AbortSignal;
}

/**
 * Makes the sample of a first start: an app, a database, about 10,000 rows, a backup. Each step notes where it has come to, so that an
 * interrupted one goes on at the next start. Nothing happens once it is done, or when its app was removed.
 */
export async function makeSample(options: SampleOptions): Promise<void> {
  const { context, say, signal } = options;
  const { sample_state: state } = await context.database.db
    .selectFrom("platform")
    .select("sample_state")
    .executeTakeFirstOrThrow();
  if (state === "done") return;
  const owner = await platformOwner(context.database);
  if (state === "none") await createSampleApp(options, owner);
  const addon = await untilProvisioned(options, owner);
  if (addon === undefined) return await noteState(context.database, "done");
  await noteState(context.database, "loading");
  say(`Loading the sample into ${addon.resource_id}`);
  await loadSample(await options.connectAsOwner(addon), signal);
  await noteState(context.database, "backing_up");
  say(`Backing up ${addon.resource_id}`);
  await backUpSample(options, addon);
  await noteState(context.database, "done");
}

async function createSampleApp({ context, services, say }: SampleOptions, owner: Principal): Promise<void> {
  say(`Making the sample: app ${SAMPLE_APP} with a ${SAMPLE_PLAN} database`);
  try {
    await services.apps.create(owner, { name: SAMPLE_APP });
  } catch (error) {
    // Interrupted between the app and its note.
    if (!isErrorCode(error, "invalid_fields")) throw error;
  }
  const app = await services.apps.show(owner, SAMPLE_APP);
  if ((await listAddons(context.database.db, app)).length === 0) {
    await services.addons.create(owner, SAMPLE_APP, { providerId: "postgresql", planId: SAMPLE_PLAN });
  }
  await noteState(context.database, "provisioning");
}

/** Undefined when somebody removed the sample meanwhile. */
async function untilProvisioned(
  { context, services, signal }: SampleOptions,
  owner: Principal,
): Promise<AddonFacts | undefined> {
  const { db } = context.database;
  for (;;) {
    const app = await services.apps.show(owner, SAMPLE_APP).catch((error: unknown) => {
      if (isErrorCode(error, "not_found")) return undefined;
      throw error;
    });
    const [addon] = app === undefined ? [] : await listAddons(db, app);
    if (addon === undefined || (addon.state === "running" && addon.status === "running")) return addon;
    const failed = await db
      .selectFrom("operations")
      .select(["error_message"])
      .where("addon_id", "=", addon.id)
      .where("kind", "=", "provision")
      .where("state", "=", "error")
      .executeTakeFirst();
    if (failed !== undefined)
      throw new TidemarkError("server_start_failed", `The sample database was not made: ${failed.error_message}`);
    await context.clock.sleep(POLL_MS, signal);
  }
}

async function loadSample(connection: Connection, signal: AbortSignal): Promise<void> {
  await withSession(connection, { applicationName: "tidemark sample", signal }, async (client) => {
    const { rows } = await client.query<{ found: boolean }>("select to_regclass($1) is not null as found", [
      SAMPLE_TABLE,
    ]);
    if (rows[0]?.found !== true) await client.query(SAMPLE_SQL);
  });
}

async function backUpSample({ context, say, signal }: SampleOptions, addon: AddonFacts): Promise<void> {
  const { db } = context.database;
  let [backup] = await readBackups(db, { addonId: addon.id, limit: 1 });
  backup ??= await scheduleBackup(context, { addon, method: "manual", actor: "platform" });
  while (backup !== undefined && backup.endedAt === null) {
    await context.clock.sleep(POLL_MS, signal);
    [backup] = await readBackups(db, { addonId: addon.id, limit: 1 });
  }
  if (backup?.status === "error") say(`The sample's backup failed: ${backup.error?.message ?? ""}`);
}

async function platformOwner(database: ControlDatabase): Promise<Principal> {
  const { id } = await database.db
    .selectFrom("users")
    .select("id")
    .where("is_platform_owner", "=", true)
    .executeTakeFirstOrThrow();
  return await loadPrincipal(database, { userId: id, apiTokenId: null });
}

async function noteState({ db }: ControlDatabase, state: Selectable<PlatformTable>["sample_state"]): Promise<void> {
  await db.updateTable("platform").set({ sample_state: state }).execute();
}
