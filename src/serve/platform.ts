import { readFile } from "node:fs/promises";
import { archiveOpener } from "../control/archives.ts";
import { ChangeFeed } from "../control/change-feed.ts";
import { guardService } from "../control/control-failure.ts";
import type { ControlContext, Secrets } from "../control/context.ts";
import { DatabaseHost } from "../control/database-host.ts";
import { HealthWatch } from "../control/health-watch.ts";
import { OperationRunner } from "../control/operation-runner.ts";
import { releaseLeases } from "../control/operations.ts";
import { maintainHandler, MaintenanceWatch } from "../control/maintenance-watch.ts";
import { changePlanHandler } from "../control/plan-changes.ts";
import { openPlatformKeys } from "../control/platform-row.ts";
import { queueName } from "../control/queue.ts";
import { makeSample } from "../control/sample.ts";
import { Scheduler } from "../control/scheduler.ts";
import { ServerAnswers, socketAddress } from "../control/server-answers.ts";
import type { Services } from "../control/services.ts";
import { openSshHostKey } from "../control/ssh-host-key.ts";
import { asTidemarkError, TidemarkError } from "../core/errors.ts";
import type { Logger } from "../core/logger.ts";
import { generateHostKey } from "../gateway/host-key.ts";
import type { PlatformState } from "../http/context.ts";
import { readDashboard } from "../http/dashboard-files.ts";
import { createHttpServer } from "../http/server.ts";
import { openAuthority } from "../instances/authority.ts";
import { openControlServer, supervisedControlServer } from "../instances/control-server.ts";
import { databaseLogFile, type ManagedHost } from "../instances/managed-database.ts";
import { isPortFree } from "../instances/ports.ts";
import { prepareRuntimeFolder, removeRuntimeFolder } from "../instances/runtime-folder.ts";
import { checkReachable, findServiceUser, type ServiceUser } from "../instances/service-user.ts";
import { Supervisor } from "../instances/supervisor.ts";
import type { Repository } from "../repository/repository.ts";
import { checkHome, type Home, homePaths, openHome } from "./home.ts";
import { lockHome } from "./home-lock.ts";
import { openLog } from "./log.ts";
import { openNotifications } from "./notifications.ts";
import { ensureLocalLogin, ensureOwner } from "./logins.ts";
import { findMachine, type Machine } from "./machine.ts";
import { leaseOwner, leaseOwnerPrefix, openControl } from "./open-control.ts";
import { openPlatformRepository, openSecrets } from "./safekeeping.ts";
import { openOneOffs } from "./one-offs.ts";
import type { ServeOptions } from "./options.ts";
import { createServices, createTunnels } from "./services.ts";
import { checkSshPort, startSshGateway } from "./ssh-gateway.ts";
import { untilAborted } from "./stop-signals.ts";
import { WorkerProcess } from "./worker-process.ts";

/** Of the 15 s within which the platform stops: answers under way, then databases, then the control database. */
const HTTP_DRAIN_MS = 3000;
const DATABASES_STOP_TIMEOUT_MS = 6000;
const CONTROL_STOP_TIMEOUT_MS = 4000;
/** Servers that are made or removed at a time on one machine: initdb is heavy. */
const HOST_OPERATIONS_MAX = 2;

interface Running extends ServeOptions {
  readonly home: Home;
  readonly machine: Machine;
  readonly logger: Logger;
  readonly secrets: Secrets;
  readonly repository: Repository;
}

/** Runs all roles but a lone worker's, until a stop is asked for. Whatever it opened is closed in reverse, also when a start fails half-way. */
export async function servePlatform(options: ServeOptions): Promise<void> {
  const { config, clock, signals, say } = options;
  const user = await checkBeforeTouching(options);
  const machine = await findMachine(config, user);
  await using stack = new AsyncDisposableStack();
  const home = await openHome(config.home, { forOthers: user.isSwitchedFromRoot });
  await prepareRuntimeFolder(machine.runtimeFolder, user);
  const lock = await lockHome(home.folder, machine.runtimeFolder);
  stack.defer(async () => {
    await lock.release();
    // Sockets only, all closed by now. One that another start has just put there keeps the folder.
    await removeRuntimeFolder(machine.runtimeFolder);
  });
  const log = await openLog(homePaths(home.folder).log, { name: "platform", level: config.logLevel });
  stack.defer(() => log.close());
  const secrets = await openSecrets(config, clock);
  const repository = await openPlatformRepository(config, clock);
  const running: Running = { ...options, home, machine, logger: log.logger, secrets, repository };
  if (options.roles.has("host") && config.controlDatabaseUrl === null) await startControlServer(stack, running);
  const context = await openControl(stack, running);
  await startRoles(stack, running, context);
  await untilAborted(signals.requested);
  say("Stopping");
}

/** Everything that can be known to fail fails here, with nothing made. */
async function checkBeforeTouching({ config, roles }: ServeOptions): Promise<ServiceUser> {
  await checkHome(config.home);
  if (roles.has("api") && !(await isPortFree({ bind: config.bind, port: config.httpPort }))) {
    throw new TidemarkError("port_in_use", `Port ${config.httpPort} on ${config.bind} is in use by another program`, {
      hint: "Stop that program (it may be a Tidemark that runs already), or set TIDEMARK_HTTP_PORT to another port.",
    });
  }
  if (roles.has("gateway")) await checkSshPort(config);
  const user = await findServiceUser();
  await checkReachable(config.home, user);
  return user;
}

async function startControlServer(stack: AsyncDisposableStack, running: Running): Promise<void> {
  const { machine, clock, logger, say, signals } = running;
  say("Starting the control database");
  await openControlServer(machine.controlServer, { clock, signal: signals.requested });
  const supervisor = new Supervisor({ clock, logger });
  await supervisor.supervise(supervisedControlServer(machine.controlServer));
  stack.defer(() => supervisor.close({ leaveRunning: false, timeoutMs: CONTROL_STOP_TIMEOUT_MS }));
}

async function startRoles(stack: AsyncDisposableStack, running: Running, context: ControlContext): Promise<void> {
  const { config, clock, roles, secrets, home, machine, say } = running;
  const keys = await openPlatformKeys(context.database, { secrets, clock, withSample: config.sample });
  const oneOffs = await openOneOffs(context, running);
  const changes = new ChangeFeed(context);
  stack.defer(() => changes.close());
  const services = createServices(context, {
    keys,
    config,
    openArchive: archiveOpener(context, running.repository),
    socketFolder: machine.runtimeFolder,
    oneOffs,
    changes,
    logFileOf: (addonId) => databaseLogFile(home.folder, addonId),
  });
  const url = config.publicUrl;
  const firstLogin = await ensureOwner(context.database, { home: home.folder, clock, url });
  await ensureLocalLogin(context.database, { home: home.folder, clock, url });
  const hostKey = await openSshHostKey(context.database, { secrets, generate: generateHostKey });
  let state: PlatformState = "starting";
  if (roles.has("api")) await startApi(stack, running, { services, state: () => state, sshHostKey: hostKey.publicKey });
  // Before the API is closed: whoever is attached sees the end, and its connection ends.
  stack.defer(() => oneOffs.close());
  const host = roles.has("host") ? await startDatabaseHost(stack, running, context) : undefined;
  if (roles.has("scheduler")) {
    const scheduler = new Scheduler(context);
    const watch = new HealthWatch(context);
    const notifications = await openNotifications(running, context);
    stack.defer(async () => {
      await Promise.all([scheduler.close(), watch.close(), notifications.close()]);
    });
  }
  if (roles.has("worker")) startWorker(stack, running, context);
  if (roles.has("gateway"))
    await startSshGateway(stack, { ...running, hostKey, tunnels: createTunnels(context, { services, config }) });
  stack.defer(() => {
    state = "stopping";
  });
  if (host !== undefined) await trySample(running, context, { host, services });
  state = "ready";
  if (firstLogin !== undefined) {
    say(`Log in as ${firstLogin.username}; password and API token are in ${firstLogin.file}`);
    if (running.isTerminal) say(`Password: ${firstLogin.password}`);
  }
  if (!running.signals.requested.aborted) say(`Tidemark is ready: ${url}`);
}

async function startApi(
  stack: AsyncDisposableStack,
  { config, clock, logger, version, dashboardFolder }: Running,
  { services, state, sshHostKey }: { services: Services; state: () => PlatformState; sshHostKey: string },
): Promise<void> {
  const server = await createHttpServer({
    services: guardServices(services),
    logger,
    clock,
    region: {
      name: "local",
      displayName: "Tidemark",
      publicUrl: config.publicUrl,
      sshAddress: `${new URL(config.publicUrl).hostname}:${config.sshPort}`,
      sshHostKey,
    },
    bind: config.bind,
    port: config.httpPort,
    behindProxy: config.behindProxy,
    state,
    version,
    dashboard: await readDashboard(dashboardFolder),
    drainMs: HTTP_DRAIN_MS,
    ...(config.tls === null
      ? {}
      : {
          tls: {
            cert: await readFile(config.tls.certificateFile, "utf8"),
            key: await readFile(config.tls.keyFile, "utf8"),
          },
        }),
  });
  stack.defer(() => server.close());
}

async function startDatabaseHost(
  stack: AsyncDisposableStack,
  { config, clock, logger, home, machine, repository }: Running,
  context: ControlContext,
): Promise<DatabaseHost> {
  const managed: ManagedHost = {
    home: home.folder,
    runtimeFolder: machine.runtimeFolder,
    user: machine.user,
    installed: machine.installed,
    bind: config.databaseBind,
    authority: await openAuthority({ folder: homePaths(home.folder).authority, now: clock.now() }),
    clock,
  };
  const host = new DatabaseHost(context, { host: managed, ports: config.databasePorts, repository });
  stack.defer(() => host.close({ timeoutMs: DATABASES_STOP_TIMEOUT_MS }));
  await host.start();
  // The home's lock is ours: whatever a host of this home still holds, a killed one left behind.
  await releaseLeases(context.database, leaseOwnerPrefix({ role: "host", home }));
  const runner = new OperationRunner({
    database: context.database,
    clock,
    logger,
    owner: leaseOwner("host", home),
    handlers: {
      provision: host.provision,
      reconfigure: host.reconfigure,
      remove: host.remove,
      pitr_swap: host.swap,
      change_plan: changePlanHandler(context, host),
      maintain: maintainHandler(context, host),
    },
  });
  stack.defer(() => runner.close());
  await context.queue.work(queueName("provision", home.hostId), HOST_OPERATIONS_MAX, (id) => runner.run(id));
  const maintenances = new MaintenanceWatch(context, host);
  stack.defer(() => maintenances.close());
  const answers = new ServerAnswers(context, socketAddress(context, machine.runtimeFolder));
  stack.defer(() => answers.close());
  return host;
}

function startWorker(
  stack: AsyncDisposableStack,
  { program, environment, clock, logger, home }: Running,
  { database }: ControlContext,
): void {
  const worker = new WorkerProcess({
    program,
    arguments: ["serve", "--roles", "worker"],
    environment,
    clock,
    logger,
    onEnd: (pid) => releaseLeases(database, leaseOwnerPrefix({ role: "worker", home, pid })),
  });
  stack.defer(() => worker.close());
}

/** The sample is a welcome, not a condition: the platform is ready without it, and says what went wrong. */
async function trySample(
  { say, signals, logger }: Running,
  context: ControlContext,
  { host, services }: { host: DatabaseHost; services: Services },
): Promise<void> {
  try {
    await makeSample({
      context,
      services,
      connectAsOwner: (addon) => host.connectionOfOwner(addon.id),
      say,
      signal: signals.requested,
    });
  } catch (thrown) {
    if (signals.requested.aborted) return;
    const error = asTidemarkError(thrown);
    logger.error({ code: error.code, error: error.message }, "the sample was not made");
    say(`The sample was not made: ${error.message}`);
  }
}

function guardServices(services: Services): Services {
  return {
    identity: guardService(services.identity),
    sessions: guardService(services.sessions),
    users: guardService(services.users),
    keys: guardService(services.keys),
    secondFactors: guardService(services.secondFactors),
    apps: guardService(services.apps),
    variables: guardService(services.variables),
    collaborators: guardService(services.collaborators),
    pointInTime: guardService(services.pointInTime),
    addons: guardService(services.addons),
    databases: guardService(services.databases),
    backups: guardService(services.backups),
    planChanges: guardService(services.planChanges),
    features: guardService(services.features),
    maintenances: guardService(services.maintenances),
    databaseUsers: guardService(services.databaseUsers),
    databaseLogs: guardService(services.databaseLogs),
    events: guardService(services.events),
    changes: guardService(services.changes),
    health: guardService(services.health),
    metrics: guardService(services.metrics),
    addonCopies: guardService(services.addonCopies),
    logicalRestores: guardService(services.logicalRestores),
    notifiers: guardService(services.notifiers),
    oneOffs: guardService(services.oneOffs),
  };
}
