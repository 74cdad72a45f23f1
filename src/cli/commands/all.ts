import { addons } from "./addons.ts";
import { addonsAdd } from "./addons-add.ts";
import { addonsInfo } from "./addons-info.ts";
import { addonsList } from "./addons-list.ts";
import { addonsPlans } from "./addons-plans.ts";
import { addonsRemove } from "./addons-remove.ts";
import { addonsUpgrade } from "./addons-upgrade.ts";
import { apps } from "./apps.ts";
import { audit } from "./audit.ts";
import { backups } from "./backups.ts";
import { backupsCancel } from "./backups-cancel.ts";
import { backupsConfig } from "./backups-config.ts";
import { backupsCreate } from "./backups-create.ts";
import { backupsDownload } from "./backups-download.ts";
import { collaborators } from "./collaborators.ts";
import { collaboratorsAccept } from "./collaborators-accept.ts";
import { collaboratorsAdd } from "./collaborators-add.ts";
import { collaboratorsRemove } from "./collaborators-remove.ts";
import { collaboratorsUpdate } from "./collaborators-update.ts";
import { backupsRestore } from "./backups-restore.ts";
import { backupsRestores } from "./backups-restores.ts";
import { backupsRestoresCancel } from "./backups-restores-cancel.ts";
import { bash } from "./bash.ts";
import { complete } from "./complete.ts";
import { completion } from "./completion.ts";
import { create } from "./create.ts";
import { addonsConfig } from "./addons-config.ts";
import { databaseDisableFeature } from "./database-disable-feature.ts";
import { databaseEnableFeature } from "./database-enable-feature.ts";
import { databaseMaintenanceInfo } from "./database-maintenance-info.ts";
import { databaseMaintenanceList } from "./database-maintenance-list.ts";
import { databaseUsersCreate } from "./database-users-create.ts";
import { databaseUsersDelete } from "./database-users-delete.ts";
import { databaseUsersList } from "./database-users-list.ts";
import { databaseUsersUpdatePassword } from "./database-users-update-password.ts";
import { databasePitrConfig } from "./database-pitr-config.ts";
import { databasePitrRecoveryWindow } from "./database-pitr-recovery-window.ts";
import { databasePitrRestore } from "./database-pitr-restore.ts";
import { databasePitrUndo } from "./database-pitr-undo.ts";
import { dbTunnel } from "./db-tunnel.ts";
import { destroy } from "./destroy.ts";
import { env } from "./env.ts";
import { envGet } from "./env-get.ts";
import { keys } from "./keys.ts";
import { keysAdd } from "./keys-add.ts";
import { keysRemove } from "./keys-remove.ts";
import { envSet } from "./env-set.ts";
import { envUnset } from "./env-unset.ts";
import { login } from "./login.ts";
import { logs } from "./logs.ts";
import { logsArchives } from "./logs-archives.ts";
import { logout } from "./logout.ts";
import { notifiers } from "./notifiers.ts";
import { notifiersAdd } from "./notifiers-add.ts";
import { notifiersDetails } from "./notifiers-details.ts";
import { notifiersUpdate } from "./notifiers-update.ts";
import { notifiersRemove } from "./notifiers-remove.ts";
import { notifiersTest } from "./notifiers-test.ts";
import { notifiersDeliveries } from "./notifiers-deliveries.ts";
import { notificationPlatforms } from "./notification-platforms.ts";
import { eventTypes } from "./event-types.ts";
import { oneOffStop } from "./one-off-stop.ts";
import { ownerResetPassword } from "./owner-reset-password.ts";
import { pgsqlConsole } from "./pgsql-console.ts";
import { ps } from "./ps.ts";
import { regions } from "./regions.ts";
import { repositoryRebuild } from "./repository-rebuild.ts";
import { repositoryVerify } from "./repository-verify.ts";
import { restore } from "./restore.ts";
import { retentionPreview } from "./retention-preview.ts";
import { run } from "./run.ts";
import { serve } from "./serve.ts";
import { status } from "./status.ts";
import { timeline } from "./timeline.ts";
import { tokens } from "./tokens.ts";
import { tokensCreate } from "./tokens-create.ts";
import { tokensRemove } from "./tokens-remove.ts";
import { userTimeline } from "./user-timeline.ts";
import { twoFactor } from "./two-factor.ts";
import { twoFactorConfirm } from "./two-factor-confirm.ts";
import { twoFactorDisable } from "./two-factor-disable.ts";
import { twoFactorEnable } from "./two-factor-enable.ts";
import { password } from "./password.ts";
import { users } from "./users.ts";
import { usersRemove } from "./users-remove.ts";
import { usersReset } from "./users-reset.ts";
import { usersCreate } from "./users-create.ts";
import { whoami } from "./whoami.ts";

import type { CommandSpec } from "../command.ts";

/** Every command, in the order of the help. */
export const COMMANDS: readonly CommandSpec[] = [
  login,
  logout,
  whoami,
  tokens,
  tokensCreate,
  tokensRemove,
  keys,
  keysAdd,
  keysRemove,
  password,
  twoFactor,
  twoFactorEnable,
  twoFactorConfirm,
  twoFactorDisable,
  users,
  usersCreate,
  usersReset,
  usersRemove,
  userTimeline,
  apps,
  create,
  destroy,
  collaborators,
  collaboratorsAdd,
  collaboratorsUpdate,
  collaboratorsRemove,
  collaboratorsAccept,
  env,
  envGet,
  envSet,
  envUnset,
  timeline,
  notifiers,
  notifiersAdd,
  notifiersDetails,
  notifiersUpdate,
  notifiersRemove,
  notifiersTest,
  notifiersDeliveries,
  notificationPlatforms,
  eventTypes,
  run,
  bash,
  ps,
  oneOffStop,
  addons,
  addonsList,
  addonsPlans,
  addonsAdd,
  addonsInfo,
  addonsUpgrade,
  addonsConfig,
  addonsRemove,
  databaseUsersList,
  databaseUsersCreate,
  databaseUsersUpdatePassword,
  databaseUsersDelete,
  databaseEnableFeature,
  databaseDisableFeature,
  databaseMaintenanceList,
  databaseMaintenanceInfo,
  pgsqlConsole,
  logs,
  logsArchives,
  backups,
  backupsConfig,
  backupsCreate,
  backupsCancel,
  backupsDownload,
  backupsRestore,
  backupsRestores,
  backupsRestoresCancel,
  databasePitrRecoveryWindow,
  databasePitrRestore,
  databasePitrUndo,
  databasePitrConfig,
  dbTunnel,
  retentionPreview,
  status,
  audit,
  regions,
  serve,
  completion,
  complete,
  ownerResetPassword,
  repositoryVerify,
  repositoryRebuild,
  restore,
];
