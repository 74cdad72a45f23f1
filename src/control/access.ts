import { type Kysely, type Selectable, sql } from "kysely";
import { TidemarkError } from "../core/errors.ts";
import type { Principal } from "./model.ts";
import type { AddonTable, AppTable, ControlSchema, DatabaseTable } from "./schema.ts";
import type { DatabaseCaller } from "./services.ts";

type Db = Kysely<ControlSchema>;

export type AppRow = Selectable<AppTable>;
export type AddonRow = Selectable<AddonTable>;
/** An addon with its app and its server's state: what most answers are made of. */
export type AddonFacts = AddonRow & {
  readonly app_name: string;
  readonly owner_id: AppTable["owner_id"];
} & Pick<
    Selectable<DatabaseTable>,
    | "host_id"
    | "major"
    | "port"
    | "version"
    | "status"
    | "status_reason"
    | "periodic_backups_enabled"
    | "periodic_hour_utc"
  >;

/** States in which an addon is there for its user. */
export const LIVE_STATES = ["provisioning", "running"] as const;

/** The caller's app of this name or id; another user's is `not_found`, as is one that never was. */
export async function findApp(db: Db, principal: Principal, app: string): Promise<AppRow> {
  const row = await db
    .selectFrom("apps")
    .selectAll()
    .where((match) => match.or([match("name", "=", app), match(sql`id`, "=", app)]))
    .where("owner_id", "=", principal.userId)
    .where("removed_at", "is", null)
    .executeTakeFirst();
  if (row === undefined) {
    throw new TidemarkError("not_found", "The application was not found", { hint: "tidemark apps lists yours." });
  }
  return row;
}

/** The app's live addons in order of creation. */
export async function listAddons(db: Db, app: Pick<AppRow, "id">): Promise<AddonFacts[]> {
  return await addonFacts(db)
    .where("apps.id", "=", app.id)
    .where("addons.state", "in", LIVE_STATES)
    .orderBy("addons.created_at")
    .execute();
}

/** One of the app's addons, by id, resource id, name or `postgresql` (the first). */
export async function findAddon(db: Db, app: AppRow, word: string): Promise<AddonFacts> {
  const addons = await listAddons(db, app);
  const found =
    addons.find((addon) => addon.id === word || addon.resource_id === word || addon.name === word) ??
    (word === "postgresql" ? addons[0] : undefined);
  if (found === undefined) throw addonNotFound(word);
  return found;
}

/** The addon that the path of the database API names, by id or resource id, if the caller's token opens it. */
export async function findAddonOfCaller(db: Db, caller: DatabaseCaller, word: string): Promise<AddonFacts> {
  const addon = await findAddonWithBackups(db, caller, word);
  if (!LIVE_STATES.some((state) => state === addon.state)) throw addonNotFound(word);
  return addon;
}

/** As `findAddonOfCaller`, for what outlives a database: finds one that was removed as well. */
export async function findAddonWithBackups(
  db: Db,
  { principal, addonId }: DatabaseCaller,
  word: string,
): Promise<AddonFacts> {
  const addon = await addonFacts(db)
    .where((match) => match.or([match(sql`addons.id`, "=", word), match("addons.resource_id", "=", word)]))
    .where("apps.owner_id", "=", principal.userId)
    .executeTakeFirst();
  if (addon === undefined || (addonId !== null && addon.id !== addonId)) throw addonNotFound(word);
  return addon;
}

/** Every live addon of the user: by app, then in order of creation. */
export async function listAddonsOfUser(db: Db, principal: Principal): Promise<AddonFacts[]> {
  return await addonFacts(db)
    .where("apps.owner_id", "=", principal.userId)
    .where("addons.state", "in", LIVE_STATES)
    .orderBy("apps.name")
    .orderBy("addons.created_at")
    .execute();
}

function addonFacts(db: Db) {
  return db
    .selectFrom("addons")
    .innerJoin("apps", "apps.id", "addons.app_id")
    .innerJoin("databases", "databases.addon_id", "addons.id")
    .selectAll("addons")
    .select([
      "apps.name as app_name",
      "apps.owner_id",
      "databases.host_id",
      "databases.major",
      "databases.port",
      "databases.version",
      "databases.status",
      "databases.status_reason",
      "databases.periodic_backups_enabled",
      "databases.periodic_hour_utc",
    ]);
}

function addonNotFound(word: string): TidemarkError {
  return new TidemarkError("not_found", `There is no addon "${word}"`, {
    hint: "tidemark addons lists those of an app.",
  });
}
