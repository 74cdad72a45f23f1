import { createRoute, z } from "@hono/zod-openapi";
import type { PeriodicBackups } from "../control/model.ts";
import { answer, refusals, timestamp } from "./api-schemas.ts";
import { byDatabaseToken } from "./authentication.ts";
import type { Router } from "./context.ts";
import { pathName } from "./validation.ts";

const PeriodicBackupsJson = z
  .object({
    enabled: z.boolean(),
    scheduled_at: z.array(z.int()).openapi({ description: "Hours, UTC" }),
    next_runs: z.array(timestamp).openapi({
      description: "A week of them, earliest first; one in the past is due and waits. Empty while they are disabled",
    }),
    waits_because: z.string().nullable().openapi({ description: "What delays a run that is due" }),
  })
  .openapi("PeriodicBackups");

const showPeriodicBackups = createRoute({
  operationId: "showPeriodicBackups",
  method: "get",
  path: "/api/databases/{addon}/periodic_backups",
  summary: "Show when a database is backed up next",
  ...byDatabaseToken,
  request: { params: z.object({ addon: pathName }) },
  responses: {
    200: answer("The schedule", z.object({ periodic_backups: PeriodicBackupsJson })),
    ...refusals(401, 404),
  },
});

export function registerPeriodicBackups(router: Router): void {
  router.openapi(showPeriodicBackups, async (c) => {
    const { databases } = c.var.face.services;
    const periodic = await databases.periodicBackups(c.var.caller, c.req.valid("param").addon);
    return c.json({ periodic_backups: viewPeriodicBackups(periodic) }, 200);
  });
}

function viewPeriodicBackups(periodic: PeriodicBackups): z.infer<typeof PeriodicBackupsJson> {
  return {
    enabled: periodic.isEnabled,
    scheduled_at: [periodic.hourUtc],
    next_runs: periodic.nextRuns.map((run) => run.toISOString()),
    waits_because: periodic.waitsBecause,
  };
}
