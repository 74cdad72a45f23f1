import { join } from "node:path";
import { expireBackupsHandler } from "../control/backup-retention.ts";
import { addonCopyHandler } from "../control/addon-copy.ts";
import { baseBackupHandler } from "../control/base-backup.ts";
import { logicalBackupHandler } from "../control/logical-backup.ts";
import { recordOperationFailure } from "../control/operation-failures.ts";
import { logicalRestoreHandler } from "../control/logical-restore.ts";
import { pointInTimeHandlers } from "../control/point-in-time-restore.ts";
import { OperationRunner } from "../control/operation-runner.ts";
import { RepositoryUpkeep } from "../control/repository-upkeep.ts";
import { queueName } from "../control/queue.ts";
import { WalStreams } from "../control/wal-streams.ts";
import { findServiceUser } from "../instances/service-user.ts";
import { homePaths, openHome } from "./home.ts";
import { openLog } from "./log.ts";
import { findMachine } from "./machine.ts";
import { leaseOwner, openControl } from "./open-control.ts";
import { openPlatformRepository, openSecrets } from "./safekeeping.ts";
import type { ServeOptions } from "./options.ts";
import { untilAborted } from "./stop-signals.ts";

/** Logical backups at a time in one worker: each compresses on all cores already, a second one fills the pauses of the first. */
const LOGICAL_BACKUPS_MAX = 2;
/** Base backups at a time in one worker: the server's sender is what limits one, and two would share its disks. */
const BASE_BACKUPS_MAX = 1;
/** Restores in place at a time in one worker, plans of such among them: each fetches on all cores, but one that waits for its swap does nothing. */
const RESTORES_MAX = 4;

/** Takes backups and restores from the queue until a stop is asked for; those under way are given back then, and begun again by the next worker. */
export async function serveWorker({ config, clock, signals }: ServeOptions): Promise<void> {
  const user = await findServiceUser();
  const machine = await findMachine(config, user);
  await using stack = new AsyncDisposableStack();
  const home = await openHome(config.home, { forOthers: user.isSwitchedFromRoot });
  const log = await openLog(homePaths(home.folder).log, { name: "worker", level: config.logLevel });
  stack.defer(() => log.close());
  const secrets = await openSecrets(config, clock);
  const repository = await openPlatformRepository(config, clock);
  const context = await openControl(stack, { config, clock, logger: log.logger, home, machine, secrets });
  const owner = leaseOwner("worker", home);
  const place = { repository, installed: machine.installed, user, socketFolder: machine.runtimeFolder };
  const runner = new OperationRunner({
    database: context.database,
    clock,
    logger: log.logger,
    owner,
    handlers: {
      logical_backup: logicalBackupHandler(context, place),
      base_backup: baseBackupHandler(context, { ...place, baseBackupRateBytes: config.baseBackupRateBytes }),
      logical_restore: logicalRestoreHandler(context, place),
      addon_copy: addonCopyHandler(context, { ...place, home: home.folder, pid: process.pid }),
      expire_backups: expireBackupsHandler(context, repository),
      ...pointInTimeHandlers(context, { ...place, home: home.folder, pid: process.pid }),
    },
    onFailed: recordOperationFailure,
  });
  const streams = new WalStreams(context, {
    ...place,
    owner,
    pieceIntervalMs: config.walPieceIntervalMs,
    spoolFolder: (addonId) => join(homePaths(home.folder).spool, addonId),
  });
  const upkeep = new RepositoryUpkeep(context, repository);
  // All at once: each may take a few seconds of the little time there is.
  stack.defer(async () => {
    await Promise.all([runner.close(), streams.close(), upkeep.close()]);
  });
  await context.queue.work(queueName("base_backup", home.hostId), BASE_BACKUPS_MAX, (id) => runner.run(id));
  await context.queue.work(queueName("pitr_restore", home.hostId), RESTORES_MAX, (id) => runner.run(id));
  await context.queue.work(queueName("logical_backup", home.hostId), LOGICAL_BACKUPS_MAX, (id) => runner.run(id));
  log.logger.info({ pid: process.pid }, "the worker is ready");
  await untilAborted(signals.requested);
}
