import type { Kysely } from "kysely";
import type { Page, PageRequest } from "./event-service.ts";
import type { QueuedOperation } from "./health-service.ts";
import type { ControlSchema, OperationState } from "./schema.ts";

const STATES: Readonly<Record<"open" | "done" | "error", readonly OperationState[]>> = {
  open: ["scheduled", "running"],
  done: ["done"],
  error: ["error"],
};

/** Operations in this state, newest first. */
export async function readOperations(
  db: Kysely<ControlSchema>,
  { state, page }: { state: keyof typeof STATES; page: PageRequest },
): Promise<Page<QueuedOperation>> {
  const rows = await db
    .selectFrom("operations")
    .innerJoin("addons", "addons.id", "operations.addon_id")
    .innerJoin("apps", "apps.id", "addons.app_id")
    .select([
      "operations.id",
      "operations.kind",
      "operations.state",
      "operations.attempt",
      "operations.progress_bytes",
      "operations.created_at",
      "operations.started_at",
      "operations.ended_at",
      "operations.error_code",
      "operations.error_message",
      "addons.resource_id",
      "apps.name as app_name",
    ])
    .where("operations.state", "in", STATES[state])
    .orderBy("operations.id", "desc")
    .limit(page.perPage)
    .offset((page.page - 1) * page.perPage)
    .execute();
  const { count } = await db
    .selectFrom("operations")
    .select((row) => row.fn.countAll<number>().as("count"))
    .where("state", "in", STATES[state])
    .executeTakeFirstOrThrow();
  const items = rows.map((row) => ({
    id: row.id,
    kind: row.kind,
    appName: row.app_name,
    resourceId: row.resource_id,
    state: row.state,
    attempt: row.attempt,
    progressBytes: row.progress_bytes,
    createdAt: row.created_at,
    startedAt: row.started_at,
    endedAt: row.ended_at,
    error: row.error_code === null ? null : { code: row.error_code, message: row.error_message ?? "" },
  }));
  return { ...page, items, totalCount: count };
}
