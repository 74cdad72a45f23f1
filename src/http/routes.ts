import { OpenAPIHono } from "@hono/zod-openapi";
import { registerAddonCopies } from "./addon-copies.ts";
import { registerAddonProviders } from "./addon-providers.ts";
import { registerAddons } from "./addons.ts";
import { registerApps } from "./apps.ts";
import { registerAttachments } from "./attachments.ts";
import { registerBackupRetention } from "./backup-retention.ts";
import { registerBackups } from "./backups.ts";
import { registerChanges } from "./changes.ts";
import { registerCollaborators } from "./collaborators.ts";
import type { FaceEnv, Router } from "./context.ts";
import { registerDatabaseFeatures } from "./database-features.ts";
import { registerDatabases } from "./databases.ts";
import { registerDatabaseLogs } from "./database-logs.ts";
import { registerDatabaseSamples } from "./database-samples.ts";
import { registerDatabaseUsers } from "./database-users.ts";
import { registerDownloads } from "./downloads.ts";
import { registerEvents } from "./events.ts";
import { registerHealth } from "./health.ts";
import { registerLogicalRestores } from "./logical-restores.ts";
import { registerKeys } from "./keys.ts";
import { registerNotificationPlatforms } from "./notification-platforms.ts";
import { registerNotifiers } from "./notifiers.ts";
import { registerMaintenances } from "./maintenances.ts";
import { registerOneOffs } from "./one-offs.ts";
import { registerPeriodicBackups } from "./periodic-backups.ts";
import { registerPlanChanges } from "./plan-changes.ts";
import { registerPointInTime } from "./point-in-time.ts";
import { registerPlatform } from "./platform.ts";
import { registerRecoveryWindow } from "./recovery-window.ts";
import { registerRegions } from "./regions.ts";
import { registerSecondFactors } from "./second-factors.ts";
import { registerSessions } from "./sessions.ts";
import { registerStacks } from "./stacks.ts";
import { registerStatus } from "./status.ts";
import { registerTokens } from "./tokens.ts";
import { registerUsers } from "./users.ts";
import { refuseInvalid } from "./validation.ts";
import { registerVariables } from "./variables.ts";

/** A router without routes: `registerRoutes` adds them, after whatever middleware is to stand before them. */
export function emptyRouter(): Router {
  return new OpenAPIHono<FaceEnv>({ defaultHook: refuseInvalid });
}

/** Adds every route of the API, one noun a file. */
export function registerRoutes(router: Router): void {
  registerHealth(router);
  registerRegions(router);
  registerStacks(router);
  registerTokens(router);
  registerSessions(router);
  registerSecondFactors(router);
  registerUsers(router);
  registerKeys(router);
  registerCollaborators(router);
  registerApps(router);
  registerVariables(router);
  registerAddonProviders(router);
  registerAddons(router);
  // Before those that answer with a backup or none, so that the schema named Backup is the one that is never null.
  registerBackups(router);
  registerLogicalRestores(router);
  registerAddonCopies(router);
  registerPlanChanges(router);
  registerEvents(router);
  registerChanges(router);
  registerStatus(router);
  registerPlatform(router);
  registerDatabases(router);
  registerDatabaseSamples(router);
  registerRecoveryWindow(router);
  registerDatabaseFeatures(router);
  registerDatabaseLogs(router);
  registerDatabaseUsers(router);
  registerMaintenances(router);
  registerPointInTime(router);
  registerPeriodicBackups(router);
  registerBackupRetention(router);
  registerDownloads(router);
  registerNotificationPlatforms(router);
  registerNotifiers(router);
  registerOneOffs(router);
  registerAttachments(router);
}
