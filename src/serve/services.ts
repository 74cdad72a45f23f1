import type { ServeConfig } from "../config.ts";
import { createUsersService } from "../control/accounts.ts";
import { createAddonCopyService } from "../control/addon-copies.ts";
import { createAddonService } from "../control/addons.ts";
import { createAppService } from "../control/apps.ts";
import { createBackupService, type OpenArchive } from "../control/backups.ts";
import { createCollaboratorService } from "../control/collaborators.ts";
import { createVariableService } from "../control/app-variables.ts";
import type { ControlContext } from "../control/context.ts";
import { createFeatureService } from "../control/database-features.ts";
import { createDatabaseService } from "../control/databases.ts";
import { createDatabaseLogService, type LogPlace } from "../control/database-logs.ts";
import { createDatabaseUserService } from "../control/database-users.ts";
import { createDownloadLinks } from "../control/download-links.ts";
import { createEventService } from "../control/event-pages.ts";
import { createHealthService } from "../control/health-reports.ts";
import { createMetricsService } from "../control/metrics.ts";
import { createIdentityService } from "../control/identity.ts";
import { createMaintenanceService } from "../control/maintenances.ts";
import { createPlanChangeService } from "../control/plan-changes.ts";
import { createLogicalRestoreService } from "../control/logical-restores.ts";
import { createKeyService } from "../control/ssh-keys.ts";
import { createNotifierService } from "../control/notifiers.ts";
import { createPointInTimeService } from "../control/point-in-time.ts";
import type { PlatformKeys } from "../control/platform-row.ts";
import { createTunnelService } from "../control/tunnels.ts";
import type { TunnelService } from "../control/tunnel-service.ts";
import { createSecondFactorService } from "../control/second-factors.ts";
import { createSessionService } from "../control/sessions.ts";
import type { OneOffService } from "../control/one-off-service.ts";
import type { ChangeService } from "../control/change-service.ts";
import type { Services } from "../control/services.ts";

/** Everything that the faces may ask for. */
export function createServices(
  context: ControlContext,
  {
    keys,
    config,
    openArchive,
    socketFolder,
    oneOffs,
    changes,
    logFileOf,
  }: {
    keys: PlatformKeys;
    config: ServeConfig;
    openArchive: OpenArchive;
    /** Of the servers of this machine. */
    socketFolder: string;
    oneOffs: OneOffService;
    changes: ChangeService;
    logFileOf: LogPlace["logFileOf"];
  },
): Services {
  const jwtKey = { clock: context.clock, secret: keys.jwtKey };
  const links = createDownloadLinks({ clock: context.clock, key: keys.urlKey, publicUrl: config.publicUrl });
  return {
    identity: createIdentityService({ ...context, jwtKey }),
    sessions: createSessionService(context),
    secondFactors: createSecondFactorService(context),
    users: createUsersService(context),
    keys: createKeyService(context),
    apps: createAppService(context),
    variables: createVariableService(context),
    collaborators: createCollaboratorService({ ...context, publicUrl: config.publicUrl }),
    addons: createAddonService({ ...context, jwtKey }),
    databases: createDatabaseService({ ...context, jwtKey }),
    notifiers: createNotifierService({ ...context, sendsMail: config.mail !== null }),
    backups: createBackupService({ ...context, links, openArchive }),
    planChanges: createPlanChangeService(context),
    features: createFeatureService({ ...context, databaseBind: config.databaseBind }),
    maintenances: createMaintenanceService(context),
    databaseLogs: createDatabaseLogService(context, { key: keys.urlKey, publicUrl: config.publicUrl, logFileOf }),
    databaseUsers: createDatabaseUserService({ ...context, socketFolder }),
    events: createEventService(context),
    metrics: createMetricsService(context),
    health: createHealthService({ ...context, startedAt: context.clock.now() }),
    addonCopies: createAddonCopyService(context),
    logicalRestores: createLogicalRestoreService(context),
    pointInTime: createPointInTimeService(context),
    oneOffs,
    changes,
  };
}

/** What the SSH gateway may ask for. */
export function createTunnels(
  context: ControlContext,
  { services, config }: { services: Services; config: ServeConfig },
): TunnelService {
  return createTunnelService({
    ...context,
    databaseBind: config.databaseBind,
    issueJwt: (principal) => services.identity.issueJwt(principal),
  });
}
