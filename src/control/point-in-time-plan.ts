import { statfs } from "node:fs/promises";
import { dirname } from "node:path";
import type { Kysely } from "kysely";
import { asTidemarkError, type ErrorCode, isErrorCode, TidemarkError } from "../core/errors.ts";
import { isObjectId, type AddonId } from "../core/ids.ts";
import { toTimelineId } from "../core/lsn.ts";
import type { PhysicalArchive } from "../repository/physical-archive.ts";
import { type PreparedRestore, prepareRestore } from "../restore/restore.ts";
import type { TargetRequest } from "../restore/target-request.ts";
import { parseTarget } from "../restore/target-text.ts";
import type { ControlContext } from "./context.ts";
import { readRates } from "./point-in-time-rows.ts";
import type { PointInTimePlan, RestoreWish } from "./point-in-time-service.ts";
import type { ControlSchema } from "./schema.ts";
import { timelineAt } from "./timelines.ts";

/** The replaced data is kept only where so much of the disk stays free beside both: the database must be able to go on writing. */
const FREE_BESIDE_BYTES_MIN = 1024 ** 3;

/** What the machine lacks, found out before anything is made. */
const TOO_LITTLE: readonly ErrorCode[] = ["disk_full", "memory_low"];

/**
 * Finds out what a restore in place would do; changes nothing.
 *
 * @param request.folder where the copy is to be built; absent
 * @throws as `prepareRestore`
 */
export async function planPointInTimeRestore(
  context: ControlContext,
  archive: PhysicalArchive,
  request: { readonly addonId: AddonId; readonly wish: RestoreWish; readonly folder: string },
  signal: AbortSignal,
): Promise<{ readonly prepared: PreparedRestore; readonly plan: PointInTimePlan }> {
  const { db } = context.database;
  const target = await readTargetRequest(db, request);
  const prepared = await prepareRestore(
    archive,
    { ...target, folder: request.folder, tablespaces: new Map(), passwords: "of today" },
    { now: context.clock.now(), rates: await readRates(db), signal },
  ).catch((error: unknown) => {
    throw TOO_LITTLE.some((code) => isErrorCode(error, code)) ? refused(asTidemarkError(error)) : error;
  });
  const { plan } = prepared;
  const { bavail, bsize } = await statfs(dirname(request.folder));
  const hasRoom = bavail * bsize - plan.diskBytes >= FREE_BESIDE_BYTES_MIN;
  const undoHours = hasRoom ? await readUndoHours(context, request.addonId) : 0;
  return { prepared, plan: { ...shown(prepared), undoHours } };
}

/** Trying again by itself would only keep its user waiting for the answer. */
function refused(cause: TidemarkError): TidemarkError {
  const { message, hint } = cause;
  return new TidemarkError("restore_refused", message, { cause, ...(hint === undefined ? {} : { hint }) });
}

/** How long the database's plan lets a restore be undone. */
export async function readUndoHours({ database, plans }: ControlContext, addonId: AddonId): Promise<number> {
  const { plan_name: name } = await database.db
    .selectFrom("addons")
    .select("plan_name")
    .where("id", "=", addonId)
    .executeTakeFirstOrThrow();
  const plan = plans.find(name);
  if (plan === undefined) throw new TidemarkError("bug", `The plan "${name}" is not in the list of plans`);
  return plan.undoHours;
}

/** A moment that was the database's on a timeline which a restore has replaced since is looked for there, unless a branch was named. */
async function readTargetRequest(
  db: Kysely<ControlSchema>,
  { addonId, wish }: { readonly addonId: AddonId; readonly wish: RestoreWish },
): Promise<TargetRequest> {
  const target = parseTarget(wish.target, { isExclusive: wish.isExclusive });
  if (wish.branch !== null) {
    const lineage = await readLineageOf(db, addonId, wish.branch);
    return { target, timeline: toTimelineId(wish.branch), ...(lineage === undefined ? {} : { lineage }) };
  }
  const timeline = target.kind === "time" ? await timelineAt(db, addonId, target.time) : undefined;
  return { target, ...(timeline === undefined ? {} : { timeline }) };
}

async function readLineageOf(db: Kysely<ControlSchema>, addonId: AddonId, timeline: number) {
  const row = await db
    .selectFrom("timelines")
    .select("lineage")
    .where("addon_id", "=", addonId)
    .where("timeline", "=", timeline)
    .executeTakeFirst();
  const lineage = row?.lineage ?? undefined;
  return lineage !== undefined && isObjectId(lineage) ? lineage : undefined;
}

/** Without what is the platform's own business: folders, settings of the copy. */
function shown({ plan }: PreparedRestore): Omit<PointInTimePlan, "undoHours"> {
  const { plannedAt, timeline, target, wal, fetchBytes, diskBytes, memoryBytes, prepared, losses, notes } = plan;
  const base = { backupId: plan.base.backupId, finishedAt: plan.base.finishedAt };
  const { estimate } = plan;
  return {
    plannedAt,
    timeline,
    target,
    base,
    wal,
    fetchBytes,
    diskBytes,
    memoryBytes,
    estimate,
    prepared,
    losses,
    notes,
  };
}
