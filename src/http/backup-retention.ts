import { createRoute, z } from "@hono/zod-openapi";
import type { Backup } from "../control/model.ts";
import { answer, optionalTimestamp, refusals, timestamp } from "./api-schemas.ts";
import { byDatabaseToken } from "./authentication.ts";
import type { Router } from "./context.ts";
import { pathName, plainText } from "./validation.ts";

/** Longer than any plan's name. */
const PLAN_NAME_CHARS_MAX = 255;

const VerdictJson = z
  .object({
    id: z.string(),
    method: z.enum(["periodic", "manual"]),
    status: z.enum(["scheduled", "running", "done", "error"]),
    size: z.int().nullable(),
    created_at: timestamp,
    kept: z.boolean(),
    kept_until: optionalTimestamp.openapi({ description: "Not removed before; null where no date is set" }),
    reason: z.string().openapi({ description: "Why it is kept, or why it goes" }),
  })
  .openapi("RetentionVerdict");

const previewRetention = createRoute({
  operationId: "previewRetention",
  method: "get",
  path: "/api/databases/{addon}/retention",
  summary: "Show which backups the database's plan keeps, or another one would; nothing is changed",
  ...byDatabaseToken,
  request: {
    params: z.object({ addon: pathName }),
    query: z.object({
      plan: plainText(PLAN_NAME_CHARS_MAX).optional().openapi({ description: "A plan's name; default its own" }),
    }),
  },
  responses: {
    200: answer("One verdict for each backup, newest first", z.object({ retention: z.array(VerdictJson) })),
    ...refusals(401, 404, 422),
  },
});

export function registerBackupRetention(router: Router): void {
  router.openapi(previewRetention, async (c) => {
    const { plan } = c.req.valid("query");
    const options = plan === undefined ? {} : { plan };
    const backups = await c.var.face.services.backups.list(c.var.caller, c.req.valid("param").addon, options);
    return c.json({ retention: backups.flatMap(viewVerdict) }, 200);
  });
}

/** None for a backup that began or went between two looks. */
function viewVerdict(backup: Backup): z.infer<typeof VerdictJson>[] {
  if (backup.retention === null) return [];
  const { isKept, keptUntil, reason } = backup.retention;
  return [
    {
      id: backup.id,
      method: backup.method,
      status: backup.status,
      size: backup.sizeBytes,
      created_at: backup.createdAt.toISOString(),
      kept: isKept,
      kept_until: keptUntil?.toISOString() ?? null,
      reason,
    },
  ];
}
