import type { Clock } from "../../core/clock.ts";
import { TidemarkError, asTidemarkError, isErrorCode } from "../../core/errors.ts";
import { newObjectId } from "../../core/ids.ts";
import { type Lsn, type TimelineId, toWalSegmentSize } from "../../core/lsn.ts";
import { readTimelineHistory, showWalSenderTimeoutMs } from "../../postgres/replication/commands.ts";
import {
  type ReplicationConnection,
  type ReplicationTarget,
  openReplicationConnection,
} from "../../postgres/replication/replication-connection.ts";
import { type TimelinePosition, formatPosition } from "../../postgres/timeline-history.ts";
import {
  type Lineage,
  type LineageReason,
  listLineages,
  readLineage,
  writeLineage,
} from "../../repository/lineages.ts";
import type { PhysicalArchive } from "../../repository/physical-archive.ts";
import type { LineageId } from "../../repository/physical-layout.ts";
import { storeGap, storeHistory } from "../../repository/wal-archive.ts";
import { isWalStored } from "../../repository/wal-inventory.ts";
import { ByteBudget } from "./byte-budget.ts";
import { CommitTracker, type Moment } from "./commit-tracker.ts";
import {
  type KnownBranch,
  type ServerFacts,
  type StreamPlan,
  identifyServer,
  readServerFacts,
  refuseSynchronousDuty,
} from "./identify-server.ts";
import {
  type Break,
  INITIAL_STATE,
  type ReceiverEffect,
  type ReceiverEvent,
  type ReceiverState,
  type ReceiverStateName,
  transition,
} from "./receiver-state.ts";
import { WakeList } from "./wake-list.ts";
import { WalIndexer } from "./wal-indexer.ts";
import { WalScanner } from "./wal-scanner.ts";
import { WalSession, type WalSessionEnd } from "./wal-session.ts";
import { type WalSpool, openWalSpool } from "./wal-spool.ts";
import { WalUploader } from "./wal-uploader.ts";

/** A dead worker's slot is free after this; never above the server's own value. */
const WAL_SENDER_TIMEOUT_MS = 10_000;
const BACKOFF_FIRST_MS = 200;
/** Short enough that a stream whose slot a dead worker still held is taken over within 15 seconds. */
const BACKOFF_LAST_MS = 5000;
/** A second at most between a commit and its piece, of which compression and storage are a small part. */
export const PIECE_INTERVAL_DEFAULT_MS = 1000;
/** Rides out a store that is slow for a while, at 16 segments; a dead one costs nothing, since the server keeps its log. */
export const SPOOL_LIMIT_DEFAULT_BYTES = 256 * 1024 * 1024;
/** For one receiver alone; a process with many gives them one budget. */
export const UPLOAD_BUDGET_DEFAULT_BYTES = 64 * 1024 * 1024;
/** How long a stop waits for the store: what isn't stored then, the slot keeps. */
const DRAIN_DEADLINE_MS = 5000;

/** What an operator must hear of. A break of continuity also needs a base backup at once. */
export type ReceiverIncident =
  | { readonly kind: "gap"; readonly lineage: LineageId; readonly from: Lsn; readonly to: TimelinePosition }
  | {
      readonly kind: "lineage begun";
      readonly lineage: LineageId;
      readonly reason: LineageReason;
      readonly explanation: string;
    }
  | { readonly kind: "store failing"; readonly error: TidemarkError }
  | { readonly kind: "store works again" }
  | { readonly kind: "connection failing"; readonly error: TidemarkError }
  | { readonly kind: "log unreadable"; readonly at: Lsn; readonly reason: string };

export interface WalReceiverOptions {
  readonly archive: PhysicalArchive;
  readonly target: Omit<ReplicationTarget, "walSenderTimeoutMs">;
  readonly slotName: string;
  /** A folder of its own; what is in it is removed. */
  readonly spoolFolder: string;
  readonly clock: Clock;
  readonly pieceIntervalMs?: number;
  readonly spoolLimitBytes?: number;
  /** Bounds the memory of uploads: one for all receivers of a process. */
  readonly uploadBudget?: ByteBudget;
  /** Branches that were made on purpose; asked when the server is on a timeline that isn't stored. None by default. */
  readonly knownBranches?: (signal: AbortSignal) => Promise<readonly KnownBranch[]>;
  readonly onIncident: (incident: ReceiverIncident) => void;
}

export interface WalReceiverStatus {
  readonly state: ReceiverStateName;
  /** Failed attempts in a row. */
  readonly failures: number;
  readonly lineage: LineageId | undefined;
  /** The server's cluster, as text. */
  readonly systemId: string | undefined;
  /** End of what this connection received. */
  readonly received: TimelinePosition | undefined;
  /** End of what the repository holds. */
  readonly durable: TimelinePosition | undefined;
  /** The newest moment that can be restored. */
  readonly newest: Moment | undefined;
  readonly spooledBytes: number;
  readonly lastError: TidemarkError | undefined;
  /** Set while the store fails. */
  readonly storeError: TidemarkError | undefined;
}

/**
 * Streams one server's WAL into the repository until it is closed, through lost connections, failing stores, timeline switches, gaps and servers that are
 * no longer the same. The state machine decides (receiver-state.ts); this class does.
 */
export class WalReceiver {
  readonly #options: WalReceiverOptions;
  readonly #budget: ByteBudget;
  #commits = new CommitTracker();
  readonly #durableChanged = new WakeList();
  readonly #stateChanged = new WakeList();
  readonly #stopped = Promise.withResolvers<void>();
  #state: ReceiverState = INITIAL_STATE;
  /** Aborted by every disconnect: what began before it may no longer speak. */
  #life = new AbortController();
  #effects: Promise<void> = Promise.resolve();
  #walSenderTimeoutMs: number | undefined;
  #connection: ReplicationConnection | undefined;
  #session: WalSession | undefined;
  #sessionTimeline: TimelineId | undefined;
  #spool: WalSpool | undefined;
  #scanner: WalScanner | undefined;
  #indexer: WalIndexer | undefined;
  #uploader: WalUploader | undefined;
  #lineage: Lineage | undefined;
  #server: ServerFacts | undefined;
  #plan: StreamPlan | undefined;
  #durable: TimelinePosition | undefined;
  #lastError: TidemarkError | undefined;
  #storeError: TidemarkError | undefined;

  /** Use `startWalReceiver`. */
  constructor(options: WalReceiverOptions) {
    this.#options = options;
    this.#budget = options.uploadBudget ?? new ByteBudget(UPLOAD_BUDGET_DEFAULT_BYTES);
  }

  get status(): WalReceiverStatus {
    const timeline = this.#sessionTimeline;
    const received = this.#session?.received;
    return {
      state: this.#state.name,
      failures: this.#state.failures,
      lineage: this.#lineage?.lineage,
      systemId: this.#lineage?.systemId,
      received: timeline === undefined || received === undefined ? undefined : { timeline, lsn: received },
      durable: this.#durable,
      newest: this.#commits.newest,
      spooledBytes: this.#spool?.sizeBytes ?? 0,
      lastError: this.#lastError,
      storeError: this.#storeError,
    };
  }

  /**
   * Notes that every commit which was acknowledged before `time` lies before `lsn`: a server's time that was read before its flush position. It makes an
   * idle database's newest moment advance.
   */
  noteServerTime(moment: Moment): void {
    this.#commits.add(moment);
    if (this.#durable !== undefined) this.#commits.advance(this.#durable.lsn);
  }

  /** Resolves when a condition on the status holds; it is looked at whenever state or durable position change. @throws the signal's reason */
  async when(condition: (status: WalReceiverStatus) => boolean, signal: AbortSignal): Promise<void> {
    while (!condition(this.status))
      await Promise.race([this.#durableChanged.wait(signal), this.#stateChanged.wait(signal)]);
  }

  /**
   * Resolves when the repository holds all WAL of a base backup.
   *
   * @throws `base_backup_failed` when a part of it was never stored; `lineage_diverged` when the server is another one meanwhile; the signal's reason
   */
  async waitForRange(
    range: { readonly timeline: TimelineId; readonly start: Lsn; readonly stop: Lsn },
    signal: AbortSignal,
  ): Promise<void> {
    const lineage = this.#lineage;
    await this.when((status) => status.lineage !== lineage?.lineage || hasReached(status.durable, range), signal);
    if (lineage === undefined || this.#lineage?.lineage !== lineage.lineage)
      throw new TidemarkError(
        "lineage_diverged",
        "Cannot finish the base backup: the server's history changed meanwhile",
      );
    const segmentSize = toWalSegmentSize(lineage.segmentSizeBytes);
    const place = { lineage: lineage.lineage, segmentSize };
    if (await isWalStored(this.#options.archive, place, range, signal)) return;
    const from = formatPosition({ timeline: range.timeline, lsn: range.start });
    throw new TidemarkError("base_backup_failed", `Cannot finish the base backup: its WAL from ${from} is not stored`, {
      hint: "The backup began before the stored WAL does; take another one",
    });
  }

  /** Stores what was received, for a few seconds at most, and ends. May be called twice. */
  async close(): Promise<void> {
    this.#dispatch({ kind: "stop requested" });
    await this.#stopped.promise;
  }

  /** Called once, by `startWalReceiver`. */
  start(): void {
    this.#dispatch({ kind: "start requested" });
  }

  /** From work that began in `life`; too late once that is over. */
  #post(life: AbortController, event: ReceiverEvent): void {
    if (life === this.#life) this.#dispatch(event);
  }

  #dispatch(event: ReceiverEvent): void {
    if (event.kind === "connection ended") this.#noteError(event.error);
    const { state, effects } = transition(this.#state, event);
    this.#state = state;
    this.#stateChanged.wakeAll();
    // At once, since the work that it ends may be what the effects wait for.
    if (effects[0]?.kind === "disconnect") {
      this.#life.abort(new TidemarkError("platform_stopping", "The WAL receiver lets its connection go"));
      this.#life = new AbortController();
    }
    const life = this.#life;
    this.#effects = this.#performAfter(this.#effects, effects, life);
  }

  async #performAfter(
    earlier: Promise<void>,
    effects: readonly ReceiverEffect[],
    life: AbortController,
  ): Promise<void> {
    await earlier;
    for (const effect of effects) await this.#performOrReport(effect, life);
  }

  #noteError(thrown: unknown): void {
    if (thrown === undefined) return;
    const isFirst = this.#lastError === undefined;
    this.#lastError = asTidemarkError(thrown);
    if (isFirst) this.#options.onIncident({ kind: "connection failing", error: this.#lastError });
  }

  async #performOrReport(effect: ReceiverEffect, life: AbortController): Promise<void> {
    try {
      await this.#perform(effect, life);
    } catch (error) {
      if (isErrorCode(error, "lineage_diverged")) {
        const broken: Break = { kind: "diverged", reason: "other history", explanation: error.message };
        this.#post(life, { kind: "continuity broken", break: broken });
      } else this.#post(life, { kind: "connection ended", error: asTidemarkError(error) });
    }
  }

  async #perform(effect: ReceiverEffect, life: AbortController): Promise<void> {
    const { signal } = life;
    switch (effect.kind) {
      case "connect":
        return this.#connect(life);
      case "identify":
        return this.#identify(life);
      case "stream":
        return this.#stream(effect.from, life);
      case "store history":
        return this.#storeHistory(effect.next, life);
      case "record break":
        return this.#recordBreak(effect.break, life);
      case "disconnect":
        return this.#disconnect();
      case "wait for time":
        return this.#wait(this.#options.clock.sleep(backoffMs(effect.failures), signal), life);
      case "wait for room":
        return this.#wait(this.#spool?.when(({ isHalfEmpty }) => isHalfEmpty, signal) ?? Promise.resolve(), life);
      case "drain and end":
        return this.#drainAndEnd();
    }
  }

  /** Not awaited by the effects that follow: a stop must not wait for a wait. */
  #wait(waiting: Promise<void>, life: AbortController): void {
    waiting.then(
      () => this.#post(life, { kind: "wait over" }),
      (error: unknown) => this.#post(life, { kind: "connection ended", error: asTidemarkError(error) }),
    );
  }

  /** What was received before is stored first: after that the repository alone tells where to go on. */
  async #connect(life: AbortController): Promise<void> {
    await this.#uploader?.drain(life.signal);
    await this.#dropSpool();
    const { target } = this.#options;
    if (this.#walSenderTimeoutMs === undefined) {
      const probe = await openReplicationConnection(target, life.signal);
      const serverMs = await showWalSenderTimeoutMs(probe).finally(() => probe.close());
      this.#walSenderTimeoutMs = serverMs === 0 ? WAL_SENDER_TIMEOUT_MS : Math.min(serverMs, WAL_SENDER_TIMEOUT_MS);
    }
    const withTimeout = { ...target, walSenderTimeoutMs: this.#walSenderTimeoutMs };
    this.#connection = await openReplicationConnection(withTimeout, life.signal);
    this.#post(life, { kind: "connected" });
  }

  async #identify(life: AbortController): Promise<void> {
    const connection = this.#openConnection();
    const { archive, slotName, target } = this.#options;
    await refuseSynchronousDuty(connection, target.applicationName);
    const server = await readServerFacts(connection);
    this.#server = server;
    this.#lineage ??= (await this.#newestLineage(life.signal)) ?? (await this.#beginLineage("first", life.signal));
    const branches = (await this.#options.knownBranches?.(life.signal)) ?? [];
    const stored = { archive, lineage: this.#lineage, slotName, branches };
    const identification = await identifyServer(connection, stored, server, life.signal);
    if (identification.kind === "diverged")
      return this.#post(life, { kind: "continuity broken", break: identification });
    this.#plan = identification.plan;
    this.#forgetOtherBranch(identification.plan);
    await this.#openSpool(this.#lineage);
    this.#post(life, { kind: "identified", from: identification.plan.from });
  }

  /** What is durable of a timeline that the server left earlier says nothing about the branch that it is on now. */
  #forgetOtherBranch({ storedEnd }: StreamPlan): void {
    const durable = this.#durable;
    if (durable === undefined || storedEnd === undefined) return;
    if (durable.timeline < storedEnd.timeline && durable.lsn > storedEnd.lsn) this.#durable = undefined;
  }

  async #newestLineage(signal: AbortSignal): Promise<Lineage | undefined> {
    const newest = (await listLineages(this.#options.archive, signal)).at(-1);
    return newest === undefined ? undefined : readLineage(this.#options.archive, newest, signal);
  }

  async #beginLineage(reason: LineageReason, signal: AbortSignal): Promise<Lineage> {
    const now = this.#options.clock.now();
    const server = this.#server;
    if (server === undefined) throw new TidemarkError("bug", "A lineage begins with a server that is known");
    const lineage: Lineage = {
      format: 1,
      lineage: newObjectId(now),
      systemId: server.systemId,
      segmentSizeBytes: server.segmentSize,
      createdAt: now.toISOString(),
      reason,
    };
    await writeLineage(this.#options.archive, lineage, { signal });
    return lineage;
  }

  async #openSpool(lineage: Lineage): Promise<void> {
    const { archive, clock, spoolFolder } = this.#options;
    const segmentSize = toWalSegmentSize(lineage.segmentSizeBytes);
    const limitBytes = this.#options.spoolLimitBytes ?? SPOOL_LIMIT_DEFAULT_BYTES;
    const spool = await openWalSpool(spoolFolder, segmentSize, limitBytes);
    this.#spool = spool;
    const indexer = new WalIndexer(archive, segmentSize);
    this.#indexer = indexer;
    this.#scanner = new WalScanner(segmentSize, {
      commit: (moment) => this.#commits.add(moment),
      segment: (start, index) => {
        if (this.#sessionTimeline !== undefined) indexer.noteIndex(this.#sessionTimeline, start, index);
      },
      unreadable: ({ at, reason }) => this.#options.onIncident({ kind: "log unreadable", at, reason }),
    });
    const uploader: WalUploader = new WalUploader({
      archive,
      lineage: lineage.lineage,
      spool,
      clock,
      pieceIntervalMs: this.#options.pieceIntervalMs ?? PIECE_INTERVAL_DEFAULT_MS,
      budget: this.#budget,
      onDurable: (end) => this.#noteDurable(end),
      onWhole: (piece) => indexer.noteWhole(piece),
      onContradiction: (explanation) => {
        const broken: Break = { kind: "diverged", reason: "other bytes", explanation };
        // It may outlive the connection whose bytes it stores.
        if (this.#uploader === uploader) this.#dispatch({ kind: "continuity broken", break: broken });
      },
      onStoreError: (error) => this.#noteStoreError(error),
    });
    this.#uploader = uploader;
  }

  #stream(from: TimelinePosition, life: AbortController): void {
    const connection = this.#openConnection();
    const [spool, plan] = [this.#spool, this.#plan];
    if (spool === undefined || plan === undefined) throw new TidemarkError("bug", "WAL is streamed after a plan");
    this.#scanner?.reset();
    const session = new WalSession({
      connection,
      slotName: this.#options.slotName,
      from,
      reported: plan.storedEnd !== undefined && plan.storedEnd.lsn > from.lsn ? plan.storedEnd.lsn : from.lsn,
      spool,
      clock: this.#options.clock,
      durable: () => this.#durable,
      onAlive: () => {
        this.#lastError = undefined;
        this.#post(life, { kind: "stream alive" });
      },
      onSpooled: (start, bytes) => {
        this.#scanner?.push(start, bytes);
        this.#uploader?.notify();
      },
    });
    this.#session = session;
    this.#sessionTimeline = from.timeline;
    session.ended.then(
      (end) => this.#afterStream(end, life),
      (error: unknown) => this.#afterBrokenStream(asTidemarkError(error), from, life),
    );
  }

  #afterStream(end: WalSessionEnd, life: AbortController): void {
    this.#uploader?.notify();
    if (end.kind === "timelineEnd")
      this.#post(life, { kind: "timeline ended", next: { timeline: end.nextTimeline, lsn: end.nextStart } });
    else if (end.kind === "held back") this.#post(life, { kind: "held back" });
    else this.#post(life, { kind: "connection ended", error: undefined });
  }

  #afterBrokenStream(error: TidemarkError, from: TimelinePosition, life: AbortController): void {
    const plan = this.#plan;
    if (error.code !== "wal_removed" || plan === undefined || life !== this.#life)
      return this.#post(life, { kind: "connection ended", error });
    const { fallback } = plan;
    if (fallback === undefined || from !== plan.from)
      return this.#post(life, { kind: "continuity broken", break: { kind: "wal removed" } });
    try {
      this.#stream(fallback, life);
    } catch (failure) {
      this.#post(life, { kind: "connection ended", error: asTidemarkError(failure) });
    }
  }

  async #storeHistory(next: TimelinePosition, life: AbortController): Promise<void> {
    const [plan, lineage] = [this.#plan, this.#lineage];
    if (plan === undefined || lineage === undefined) throw new TidemarkError("bug", "A timeline ends after a plan");
    const { content } = await readTimelineHistory(this.#openConnection(), next.timeline);
    const place = { lineage: lineage.lineage, timeline: next.timeline };
    const history = await storeHistory(this.#options.archive, place, content, plan.histories, { signal: life.signal });
    this.#plan = { ...plan, storedEnd: next, histories: [...plan.histories, history], fallback: undefined };
    this.#post(life, { kind: "history stored", from: next });
  }

  async #recordBreak(broken: Break, life: AbortController): Promise<void> {
    const { archive, clock } = this.#options;
    if (broken.kind === "diverged") {
      await this.#dropSpool();
      this.#commits = new CommitTracker();
      this.#durable = undefined;
      const lineage = await this.#beginLineage(broken.reason, life.signal);
      this.#lineage = lineage;
      const { reason, explanation } = broken;
      this.#options.onIncident({ kind: "lineage begun", lineage: lineage.lineage, reason, explanation });
    } else {
      const [plan, lineage] = [this.#plan, this.#lineage];
      if (plan?.storedEnd === undefined || lineage === undefined || plan.afterGap.lsn <= plan.storedEnd.lsn)
        throw new TidemarkError("wal_removed", "The server has removed WAL although it should begin with it");
      const to = plan.afterGap;
      const gap = { lineage: lineage.lineage, timeline: to.timeline, from: plan.storedEnd.lsn, to: to.lsn };
      const facts = { foundAt: clock.now(), reason: "the server removed it before it was stored" };
      await storeGap(archive, gap, facts, { signal: life.signal });
      this.#options.onIncident({ kind: "gap", lineage: lineage.lineage, from: gap.from, to });
    }
    this.#post(life, { kind: "break recorded" });
  }

  async #disconnect(): Promise<void> {
    await this.#session?.close();
    await this.#connection?.close();
    this.#session = undefined;
    this.#sessionTimeline = undefined;
    this.#connection = undefined;
    this.#uploader?.notify();
  }

  async #drainAndEnd(): Promise<void> {
    try {
      await this.#uploader?.drain(AbortSignal.timeout(DRAIN_DEADLINE_MS));
    } catch {
      // The store is too slow: the slot still has what isn't stored.
    } finally {
      await this.#dropSpool();
      this.#stopped.resolve();
    }
  }

  async #dropSpool(): Promise<void> {
    await this.#uploader?.close();
    this.#uploader = undefined;
    await this.#indexer?.close();
    this.#indexer = undefined;
    await this.#spool?.close();
    this.#spool = undefined;
    // What was not stored passes again.
    this.#commits.reset();
  }

  #noteDurable(end: TimelinePosition): void {
    this.#durable = end;
    this.#commits.advance(end.lsn);
    this.#session?.noteDurable();
    this.#durableChanged.wakeAll();
  }

  #noteStoreError(error: TidemarkError | undefined): void {
    const wasFailing = this.#storeError !== undefined;
    this.#storeError = error;
    if (error === undefined) this.#options.onIncident({ kind: "store works again" });
    else if (!wasFailing) this.#options.onIncident({ kind: "store failing", error });
    this.#stateChanged.wakeAll();
  }

  #openConnection(): ReplicationConnection {
    if (this.#connection !== undefined && !this.#connection.isClosed) return this.#connection;
    throw new TidemarkError("server_unreachable", "The connection to the server is closed");
  }
}

/**
 * Begins to stream a server's WAL into the repository. Returns at once: the receiver dials, and goes on dialling, by itself.
 *
 * One receiver for each slot: the server lets only one stream from it, a second one waits and takes over.
 */
export function startWalReceiver(options: WalReceiverOptions): WalReceiver {
  const receiver = new WalReceiver(options);
  receiver.start();
  return receiver;
}

function backoffMs(failures: number): number {
  return Math.min(BACKOFF_LAST_MS, BACKOFF_FIRST_MS * 2 ** Math.min(failures - 1, 10));
}

function hasReached(
  durable: TimelinePosition | undefined,
  range: { readonly timeline: TimelineId; readonly stop: Lsn },
): boolean {
  if (durable === undefined) return false;
  return durable.timeline > range.timeline || (durable.timeline === range.timeline && durable.lsn >= range.stop);
}
