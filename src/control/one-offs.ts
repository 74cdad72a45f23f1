import { timingSafeEqual } from "node:crypto";
import { isIP } from "node:net";
import { finished } from "node:stream/promises";
import { asTidemarkError, TidemarkError } from "../core/errors.ts";
import { newObjectId, type ObjectId } from "../core/ids.ts";
import { randomText } from "../core/random.ts";
import { type Destination, Sandbox, type SandboxEnd } from "../oneoffs/sandbox.ts";
import type { OpenSandboxHost } from "../oneoffs/sandbox-host.ts";
import { type AppRow, findApp, listAddons } from "./access.ts";
import type { ControlContext } from "./context.ts";
import { recordEvent } from "./events.ts";
import type { Principal } from "./model.ts";
import { ONE_OFF_SIZE_DEFAULT, ONE_OFF_SIZES, readOneOffRequest, withoutPasswords } from "./one-off-input.ts";
import {
  findOneOff,
  insertOneOff,
  listLiveOneOffs,
  markEnded,
  markReady,
  oneOffLabel,
  oneOffNotFound,
  oneOffOf,
  type OneOffRow,
  sweepOneOffs,
} from "./one-off-rows.ts";
import type {
  OneOff,
  OneOffAttachment,
  OneOffEnd,
  OneOffFile,
  OneOffRequest,
  OneOffService,
} from "./one-off-service.ts";
import type { AppService } from "./services.ts";

/** A minute is ample for a client that polls every second and then sends files. */
const ATTACH_TIMEOUT_MS = 60_000;
/** So long nothing may go either way: a silent dump of a large database needs most of an hour. */
const INACTIVITY_MAX_MS = 60 * 60_000;
/** Whatever it does, a one-off is no server. */
const LIFETIME_MAX_MS = 24 * 3600_000;
/** Between being asked to end and being ended. */
const STOP_GRACE_MS = 5_000;
/** How long an exit code is told after the end. */
const ENDED_KEPT_MS = 10 * 60_000;
/** 190 random bits. */
const SECRET_CHARACTERS = 32;
const REFERENCE = /^([0-9a-f]{24})-([A-Za-z0-9]{32})$/;
/** As shells have it: SIGKILL ended it; it could not be run. */
const EXIT_KILLED = 137;
const EXIT_NOT_RUN = 126;
/** Until the client tells its own. */
const FIRST_SIZE = { columns: 80, rows: 24 } as const;

export interface OneOffPlace {
  readonly host: OpenSandboxHost;
  readonly apps: Pick<AppService, "variables">;
  /** Where the servers of managed databases listen, as this process reaches them. */
  readonly databaseAddress: string;
  /** The platform's API from inside, and the address to use there. */
  readonly api: Destination;
  readonly apiUrl: string;
  /** Scheme, host and port: clients connect to the port directly. */
  readonly attachUrl: string;
}

/** One that this process runs, or that ended a short while ago. */
interface LiveOneOff {
  readonly id: ObjectId;
  readonly secret: string;
  readonly startedBy: ObjectId;
  readonly appId: ObjectId;
  readonly label: string;
  readonly command: string;
  readonly environment: Readonly<Record<string, string>>;
  readonly ended: PromiseWithResolvers<OneOffEnd>;
  /** Aborts with the sandbox: ends whatever waits for something to happen before. */
  readonly over: AbortController;
  sandbox: Sandbox | undefined;
  state: "starting" | "waiting" | "attached" | "ended";
  lastActivityAtMs: number;
  terminalSize: { readonly columns: number; readonly rows: number };
  /** Set by whoever ends it; otherwise its own end tells. */
  endReason: string | undefined;
}

/** The one-off containers of this process. They end with it. */
export class OneOffs implements OneOffService {
  readonly #context: ControlContext;
  readonly #place: OneOffPlace;
  readonly #live = new Map<ObjectId, LiveOneOff>();
  /** Everything under way in the background. */
  readonly #work = new Set<Promise<void>>();
  #isClosing = false;

  private constructor(context: ControlContext, place: OneOffPlace) {
    this.#context = context;
    this.#place = place;
  }

  /** Puts the table in order first: what a killed platform of this machine left there has ended. */
  static async open(context: ControlContext, place: OneOffPlace): Promise<OneOffs> {
    await sweepOneOffs(context.database.db, context.hostId, { at: context.clock.now(), exitCode: EXIT_KILLED });
    return new OneOffs(context, place);
  }

  /** Ends every one-off. */
  async close(): Promise<void> {
    this.#isClosing = true;
    for (const live of this.#live.values()) this.#end(live, "the platform was stopped");
    await Promise.all(this.#work);
  }

  async run(principal: Principal, app: string, asked: OneOffRequest): Promise<OneOff> {
    const { database, clock, hostId } = this.#context;
    const row = await findApp(database.db, principal, app, "operate");
    const request = readOneOffRequest(asked);
    if (this.#isClosing) throw new TidemarkError("platform_stopping", "The platform is stopping");
    const variables = await this.#place.apps.variables(principal, row.id, { expandAliases: true });
    const destinations = await this.#destinations(row);
    const inserted = await database.db.transaction().execute(async (transaction) => {
      const at = clock.now();
      const oneOff = await insertOneOff(transaction, row, {
        id: newObjectId(at),
        command: withoutPasswords(request.command),
        size: request.size,
        is_detached: request.isDetached,
        host_id: hostId,
        started_by: principal.userId,
        created_at: at,
      });
      const data = { command: oneOff.command, audit_log_id: oneOff.id, detached: oneOff.is_detached };
      const place = { appId: row.id, appName: row.name };
      await recordEvent(transaction, { type: "run", data, actor: principal, at, place });
      return oneOff;
    });
    const live: LiveOneOff = {
      id: inserted.id,
      secret: randomText(SECRET_CHARACTERS),
      startedBy: principal.userId,
      appId: row.id,
      label: oneOffLabel(inserted),
      command: request.command,
      environment: {
        ...this.#standardVariables(row, oneOffLabel(inserted)),
        ...Object.fromEntries(variables.map(({ name, value }) => [name, value])),
        ...request.environment,
      },
      ended: Promise.withResolvers(),
      over: new AbortController(),
      sandbox: undefined,
      state: "starting",
      lastActivityAtMs: clock.now().getTime(),
      terminalSize: FIRST_SIZE,
      endReason: undefined,
    };
    this.#live.set(live.id, live);
    this.#inBackground(this.#lead(live, inserted, destinations));
    return oneOffOf(inserted, null);
  }

  async list(principal: Principal, app: string): Promise<OneOff[]> {
    const { db } = this.#context.database;
    const { id } = await findApp(db, principal, app, "read");
    return (await listLiveOneOffs(db, id)).map((row) => oneOffOf(row, null));
  }

  async show(principal: Principal, app: string, id: string): Promise<OneOff> {
    const { db } = this.#context.database;
    const row = await findOneOff(db, (await findApp(db, principal, app, "operate")).id, id);
    const live = this.#live.get(row.id);
    const mayAttach = live !== undefined && live.state === "waiting" && live.startedBy === principal.userId;
    return oneOffOf(row, mayAttach ? `${this.#place.attachUrl}/attach/${live.id}-${live.secret}` : null);
  }

  async stop(principal: Principal, app: string, idOrLabel: string): Promise<void> {
    const { db } = this.#context.database;
    const { id } = await findApp(db, principal, app, "operate");
    const rows = await listLiveOneOffs(db, id);
    const row = rows.find((each) => each.id === idOrLabel || oneOffLabel(each) === idOrLabel);
    const live = row === undefined ? undefined : this.#live.get(row.id);
    if (live === undefined) throw oneOffNotFound(idOrLabel);
    live.endReason ??= `stopped by ${principal.username}`;
    live.sandbox?.stop();
    this.#inBackground(this.#endAfter(live, STOP_GRACE_MS, live.endReason));
  }

  async attach(principal: Principal, reference: string): Promise<OneOffAttachment> {
    const live = await this.#find(principal, reference);
    const { sandbox } = live;
    if (sandbox === undefined || live.state !== "waiting") {
      throw new TidemarkError("not_found", "There is no one-off container to attach to at this address", {
        hint: "An address works once, and for a minute; start another.",
      });
    }
    live.state = "attached";
    return {
      output: sandbox.output,
      input: sandbox.input,
      begin: () => this.#begin(live, sandbox),
      noteActivity: () => {
        live.lastActivityAtMs = this.#context.clock.now().getTime();
      },
      leave: () => this.#end(live, "whoever was attached left"),
    };
  }

  async upload(
    principal: Principal,
    reference: string,
    openFile: () => Promise<OneOffFile>,
    signal: AbortSignal,
  ): Promise<void> {
    const live = await this.#find(principal, reference);
    if (live.sandbox === undefined || live.state !== "waiting") {
      throw new TidemarkError("conflict", "Files are taken until the command begins, and it has begun");
    }
    const { name, bytes } = await openFile();
    await live.sandbox.upload(name, bytes, signal);
  }

  async resize(principal: Principal, reference: string, size: { columns: number; rows: number }): Promise<void> {
    const live = await this.#find(principal, reference);
    live.terminalSize = size;
    if (live.state === "attached") live.sandbox?.resize(size);
  }

  async wait(principal: Principal, reference: string, signal: AbortSignal): Promise<OneOffEnd> {
    const live = await this.#find(principal, reference);
    const { promise: left, reject } = Promise.withResolvers<never>();
    const leave = (): void => reject(new TidemarkError("cancelled", "Nobody waits any more"));
    signal.addEventListener("abort", leave, { once: true });
    try {
      return await Promise.race([live.ended.promise, left]);
    } finally {
      signal.removeEventListener("abort", leave);
    }
  }

  /** The one of this attach address, if the caller started it and may still. */
  async #find(principal: Principal, reference: string): Promise<LiveOneOff> {
    const [, id = "", secret = ""] = REFERENCE.exec(reference) ?? [];
    // The pattern's own; a Map takes any text for a key.
    const live = this.#live.get(id as ObjectId);
    const isKnown = live !== undefined && timingSafeEqual(Buffer.from(secret), Buffer.from(live.secret));
    if (!isKnown || live.startedBy !== principal.userId)
      throw new TidemarkError("not_found", "There is no one-off container at this address");
    await findApp(this.#context.database.db, principal, live.appId, "operate");
    return live;
  }

  /** From the sandbox's beginning to its end. */
  async #lead(live: LiveOneOff, row: OneOffRow, destinations: readonly Destination[]): Promise<void> {
    const { database, clock, logger } = this.#context;
    const size = ONE_OFF_SIZES[row.size] ?? ONE_OFF_SIZES[ONE_OFF_SIZE_DEFAULT];
    try {
      if (size === undefined) throw new TidemarkError("bug", `There is no size "${row.size}"`);
      const sandbox = await Sandbox.launch(this.#place.host, { id: live.id, label: live.label, destinations, ...size });
      live.sandbox = sandbox;
      live.state = "waiting";
      void sandbox.ended.then(() => live.over.abort());
      if (live.endReason !== undefined) void sandbox.close();
      await markReady(database.db, live.id, clock.now());
      if (row.is_detached) this.#runDetached(live, sandbox);
      else this.#inBackground(this.#endUnattached(live));
      this.#inBackground(this.#endAfter(live, LIFETIME_MAX_MS, "it ran for a day, as long as one may"));
      const end = await sandbox.ended;
      await markEnded(database.db, live.id, { at: clock.now(), exitCode: end.exitCode, reason: reasonOf(live, end) });
      this.#settle(live, { exitCode: end.exitCode, wasInactive: live.endReason === INACTIVE });
      // Killing what is left cuts nothing off: the command's output has left the sandbox before it counts as ended.
      await sandbox.close();
    } catch (thrown) {
      const error = asTidemarkError(thrown);
      if (error.kind === "bug") logger.error({ err: error }, "A one-off could not be led");
      await live.sandbox?.close();
      await markEnded(database.db, live.id, { at: clock.now(), exitCode: EXIT_NOT_RUN, reason: error.message, error });
      this.#settle(live, { exitCode: EXIT_NOT_RUN, wasInactive: false });
    }
  }

  #settle(live: LiveOneOff, end: OneOffEnd): void {
    live.state = "ended";
    live.over.abort();
    live.ended.resolve(end);
    const timer = setTimeout(() => this.#live.delete(live.id), ENDED_KEPT_MS);
    timer.unref();
  }

  #begin(live: LiveOneOff, sandbox: Sandbox): void {
    live.lastActivityAtMs = this.#context.clock.now().getTime();
    sandbox.run({ command: live.command, environment: live.environment, ...live.terminalSize });
    this.#inBackground(this.#endInactive(live));
  }

  /** Nobody reads what a detached one writes. */
  #runDetached(live: LiveOneOff, sandbox: Sandbox): void {
    live.state = "attached";
    sandbox.output.resume();
    sandbox.run({ command: live.command, environment: live.environment, ...live.terminalSize });
    // It ends when the output does; a failure of the pipe is the sandbox's end as well.
    void finished(sandbox.output).catch(() => undefined);
  }

  async #endUnattached(live: LiveOneOff): Promise<void> {
    await this.#sleep(live, ATTACH_TIMEOUT_MS);
    if (live.state === "waiting") this.#end(live, "nobody attached to it");
  }

  async #endInactive(live: LiveOneOff): Promise<void> {
    while (!live.over.signal.aborted) {
      const quietMs = this.#context.clock.now().getTime() - live.lastActivityAtMs;
      if (quietMs >= INACTIVITY_MAX_MS) this.#end(live, INACTIVE);
      await this.#sleep(live, Math.max(INACTIVITY_MAX_MS - quietMs, 1));
    }
  }

  async #endAfter(live: LiveOneOff, afterMs: number, reason: string): Promise<void> {
    await this.#sleep(live, afterMs);
    this.#end(live, reason);
  }

  #end(live: LiveOneOff, reason: string): void {
    if (live.state === "ended") return;
    live.endReason ??= reason;
    if (live.sandbox !== undefined) this.#inBackground(live.sandbox.close());
  }

  /** Until the time is over or the one-off is. */
  async #sleep(live: LiveOneOff, durationMs: number): Promise<void> {
    await this.#context.clock.sleep(durationMs, live.over.signal).catch(() => undefined);
  }

  #inBackground(work: Promise<void>): void {
    const kept = work
      .catch((error: unknown) => this.#context.logger.error({ err: error }, "A one-off's end was not noted"))
      .finally(() => this.#work.delete(kept));
    this.#work.add(kept);
  }

  /** The app's own databases and the platform's API, and nothing else. */
  async #destinations(app: AppRow): Promise<Destination[]> {
    const addons = await listAddons(this.#context.database.db, app);
    const databases = addons.flatMap(({ port, resource_id: resourceId }) =>
      port === null
        ? []
        : [{ hostName: nameInside(this.#context.hostNameOf(resourceId)), port, target: this.#server(port) }],
    );
    return [...databases, this.#place.api];
  }

  #server(port: number): Destination["target"] {
    return { host: this.#place.databaseAddress, port };
  }

  #standardVariables(app: AppRow, label: string): Record<string, string> {
    const bins = this.#place.host.installed
      .filter(({ isServerOnly }) => !isServerOnly)
      .map(({ binFolder }) => binFolder);
    const kit = "/opt/tidemark/src/oneoffs/kit";
    return {
      PATH: ["/app/bin", kit, ...bins.slice(0, 1), "/usr/local/bin", "/usr/bin", "/bin"].join(":"),
      HOME: "/app",
      USER: "app",
      LOGNAME: "app",
      SHELL: "/bin/bash",
      LANG: "C.UTF-8",
      TERM: "xterm",
      APP: app.name,
      CONTAINER: label,
      TIDEMARK_APP: app.name,
      TIDEMARK_URL: this.#place.apiUrl,
    };
  }
}

const INACTIVE = "nothing was typed or printed for an hour";

/** An address needs no name: every sandbox has 127.0.0.1. */
function nameInside(host: string): string {
  return isIP(host) === 0 ? host : "localhost";
}

function reasonOf(live: LiveOneOff, end: SandboxEnd): string {
  if (live.endReason !== undefined) return live.endReason;
  if (end.reason === "memory") return "its processes used more memory than its size has";
  if (end.reason === "processes") return "it had more processes than one may have";
  return end.reason === "failed" ? "its sandbox broke" : "its command ended";
}
