import { type Kysely, type Selectable, sql, type Transaction } from "kysely";
import { TidemarkError } from "../core/errors.ts";
import type { ObjectId } from "../core/ids.ts";
import type { AppRow } from "./access.ts";
import type { OneOff } from "./one-off-service.ts";
import type { ControlSchema, OneOffTable } from "./schema.ts";

type Db = Kysely<ControlSchema>;
export type OneOffRow = Selectable<OneOffTable>;

/** Each holds a sandbox with its memory: more than a team needs at a time, and few enough for one machine. */
const RUNNING_PER_APP_MAX = 5;
const RUNNING_PER_HOST_MAX = 20;
/** Of those that have ended, so many rows stay for an app. */
const ENDED_ROWS_KEPT = 100;

/**
 * Adds a row with the app's next number. The app's row is locked, so that two at once get two numbers and no more run than may (`conflict`).
 */
export async function insertOneOff(
  transaction: Transaction<ControlSchema>,
  app: Pick<AppRow, "id" | "name">,
  input: Pick<OneOffRow, "id" | "command" | "size" | "is_detached" | "host_id" | "started_by" | "created_at">,
): Promise<OneOffRow> {
  await transaction.selectFrom("apps").select("id").where("id", "=", app.id).forUpdate().execute();
  const { of_app: ofApp, of_host: ofHost } = await transaction
    .selectFrom("one_offs")
    .select([
      sql<number>`count(*) filter (where app_id = ${app.id})`.as("of_app"),
      sql<number>`count(*) filter (where host_id = ${input.host_id})`.as("of_host"),
    ])
    .where("state", "<>", "ended")
    .executeTakeFirstOrThrow();
  if (ofApp >= RUNNING_PER_APP_MAX) throw tooMany(`${ofApp} one-off containers of the app "${app.name}"`, app.name);
  if (ofHost >= RUNNING_PER_HOST_MAX) throw tooMany(`${ofHost} one-off containers on this machine`, app.name);
  const { last } = await transaction
    .selectFrom("one_offs")
    .select(sql<number>`coalesce(max(number), 0)`.as("last"))
    .where("app_id", "=", app.id)
    .executeTakeFirstOrThrow();
  await transaction
    .deleteFrom("one_offs")
    .where("app_id", "=", app.id)
    .where("state", "=", "ended")
    .where("number", "<=", last - ENDED_ROWS_KEPT)
    .execute();
  return await transaction
    .insertInto("one_offs")
    .values({ ...input, app_id: app.id, number: last + 1 })
    .returningAll()
    .executeTakeFirstOrThrow();
}

export async function listLiveOneOffs(db: Db, appId: ObjectId): Promise<OneOffRow[]> {
  return await db
    .selectFrom("one_offs")
    .selectAll()
    .where("app_id", "=", appId)
    .where("state", "<>", "ended")
    .orderBy("number")
    .execute();
}

export async function findOneOff(db: Db, appId: ObjectId, id: string): Promise<OneOffRow> {
  const row = await db
    .selectFrom("one_offs")
    .selectAll()
    .where("app_id", "=", appId)
    .where(sql`id`, "=", id)
    .executeTakeFirst();
  if (row === undefined) throw oneOffNotFound(id);
  return row;
}

export async function markReady(db: Db, id: ObjectId, at: Date): Promise<void> {
  await db
    .updateTable("one_offs")
    .set({ state: "running", ready_at: at })
    .where("id", "=", id)
    .where("state", "=", "starting")
    .execute();
}

export async function markEnded(
  db: Db,
  id: ObjectId,
  end: { readonly at: Date; readonly exitCode: number; readonly reason: string; readonly error?: TidemarkError },
): Promise<void> {
  await db
    .updateTable("one_offs")
    .set((row) => ({
      state: "ended",
      ended_at: end.at,
      ready_at: sql<Date>`coalesce(${row.ref("ready_at")}, ${end.at})`,
      exit_code: end.exitCode,
      end_reason: end.reason,
      error_code: end.error?.code ?? null,
      error_message: end.error?.message ?? null,
      error_hint: end.error?.hint ?? null,
    }))
    .where("id", "=", id)
    .where("state", "<>", "ended")
    .execute();
}

/** Those that a killed platform of this machine left in the table: their processes ended with it. */
export async function sweepOneOffs(
  db: Db,
  hostId: string,
  { at, exitCode }: { at: Date; exitCode: number },
): Promise<void> {
  await db
    .updateTable("one_offs")
    .set((row) => ({
      state: "ended",
      ended_at: at,
      ready_at: sql<Date>`coalesce(${row.ref("ready_at")}, ${at})`,
      exit_code: exitCode,
      end_reason: "the platform was ended",
    }))
    .where("host_id", "=", hostId)
    .where("state", "<>", "ended")
    .execute();
}

export function oneOffOf(row: OneOffRow, attachUrl: string | null): OneOff {
  return {
    id: row.id,
    appId: row.app_id,
    label: oneOffLabel(row),
    command: row.command,
    size: row.size,
    isDetached: row.is_detached,
    state: row.state,
    createdAt: row.created_at,
    readyAt: row.ready_at,
    exitCode: row.exit_code,
    error: row.error_message === null ? null : { message: row.error_message, hint: row.error_hint },
    attachUrl,
  };
}

export function oneOffLabel({ number }: Pick<OneOffRow, "number">): string {
  return `one-off-${number}`;
}

export function oneOffNotFound(word: string): TidemarkError {
  return new TidemarkError("not_found", `There is no one-off container "${word}" that runs`, {
    hint: "tidemark ps lists those of an app.",
  });
}

function tooMany(what: string, app: string): TidemarkError {
  return new TidemarkError("conflict", `${what} run already, as many as may`, {
    hint: `End one: tidemark --app ${app} ps, then tidemark --app ${app} one-off-stop LABEL.`,
  });
}
