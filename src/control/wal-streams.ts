import type { Kysely } from "kysely";
import { Client } from "pg";
import type { Clock } from "../core/clock.ts";
import { asTidemarkError } from "../core/errors.ts";
import { repeat } from "../core/repeat.ts";
import type { AddonId } from "../core/ids.ts";
import { formatLsn } from "../core/lsn.ts";
import type { Logger } from "../core/logger.ts";
import { ByteBudget } from "../capture/wal/byte-budget.ts";
import {
  type ReceiverIncident,
  startWalReceiver,
  UPLOAD_BUDGET_DEFAULT_BYTES,
  type WalReceiver,
} from "../capture/wal/wal-receiver.ts";
import { REPLICATION_SLOT } from "../instances/managed-database.ts";
import { type ContinuousPlace, openContinuousSource } from "./base-backup.ts";
import type { ControlContext } from "./context.ts";
import { readKnownBranches } from "./timelines.ts";
import { type DatabaseEventToRecord, readEventAddon, recordDatabaseEvent } from "./events.ts";
import type { ControlSchema } from "./schema.ts";
import { ServerTimes } from "./server-times.ts";
import {
  claimWalStreams,
  noteGap,
  noteLineage,
  releaseWalStream,
  renewWalStream,
  wantBaseBackup,
} from "./wal-stream-rows.ts";

/** How often a worker looks for streams that nobody holds. With a lease of 10 s, a dead worker's are in other hands within 15. */
const CLAIM_INTERVAL_MS = 2000;
/** How often a stream says how far it has come, which prolongs its lease. Latest recoverable moments are at most so old. */
const BEAT_INTERVAL_MS = 2000;
/** One process holds thousands of streams; a claim takes some and leaves others to other workers. */
const CLAIMED_AT_ONCE_MAX = 100;
const APPLICATION_NAME = "tidemark_wal";

export interface WalStreamsOptions extends ContinuousPlace {
  /** Holds the leases: unique for each process and start. */
  readonly owner: string;
  /** How long a commit may wait for the next piece of log to be stored. */
  readonly pieceIntervalMs: number;
  /** Holds a folder for each stream, for log that waits for a slow store. */
  readonly spoolFolder: (addonId: AddonId) => string;
}

type StreamOptions = WalStreamsOptions & { readonly uploadBudget: ByteBudget };

/** Streams the write-ahead log of every database of this machine that no other worker streams, for as long as the database is there. */
export class WalStreams {
  readonly #context: ControlContext;
  readonly #options: WalStreamsOptions;
  readonly #streams = new Map<AddonId, Stream>();
  /** One for all: many streams that catch up at once must not fill the memory. */
  readonly #uploadBudget = new ByteBudget(UPLOAD_BUDGET_DEFAULT_BYTES);
  readonly #closing = new AbortController();
  readonly #loop: Promise<void>;

  constructor(context: ControlContext, options: WalStreamsOptions) {
    this.#context = context;
    this.#options = options;
    const { clock, logger } = context;
    this.#loop = repeat(() => this.#claim(), {
      clock,
      intervalMs: CLAIM_INTERVAL_MS,
      signal: this.#closing.signal,
      onFailure: (thrown) =>
        logger.warn(
          { error: asTidemarkError(thrown).message },
          "streams of write-ahead log were not claimed; tried again",
        ),
    });
  }

  /** Stores what was received, for a few seconds at most, and gives every stream back. */
  async close(): Promise<void> {
    this.#closing.abort();
    await this.#loop;
    await Promise.all([...this.#streams.values()].map((stream) => stream.close()));
  }

  async #claim(): Promise<void> {
    const { database, hostId } = this.#context;
    const { owner } = this.#options;
    for (const addonId of await claimWalStreams(database.db, { owner, hostId, limit: CLAIMED_AT_ONCE_MAX })) {
      // Our own lease ran out while the control database was away: the stream goes on as it was.
      if (this.#streams.has(addonId)) continue;
      const stream = new Stream(this.#context, { ...this.#options, uploadBudget: this.#uploadBudget }, addonId);
      this.#streams.set(addonId, stream);
      void stream.ended.then(() => this.#streams.delete(addonId));
    }
  }
}

/** One database's stream: a receiver, its lease, and the row that tells how far it has come. */
class Stream {
  readonly #context: ControlContext;
  readonly #options: StreamOptions;
  readonly #addonId: AddonId;
  readonly #logger: Logger;
  readonly #closing = new AbortController();
  /** Resolves when the stream has ended and its lease is given back or lost. Never rejects. */
  readonly ended: Promise<void>;
  /** The lineage whose row is there. */
  #noted: string | undefined;
  #reason = "first";
  #incidents: Promise<void> = Promise.resolve();

  constructor(context: ControlContext, options: StreamOptions, addonId: AddonId) {
    this.#context = context;
    this.#options = options;
    this.#addonId = addonId;
    this.#logger = context.logger.child({ addon: addonId });
    this.ended = this.#run();
  }

  async close(): Promise<void> {
    this.#closing.abort();
    await this.ended;
  }

  async #run(): Promise<void> {
    const { database } = this.#context;
    try {
      await this.#stream();
      await releaseWalStream(database.db, { owner: this.#options.owner, addonId: this.#addonId });
    } catch (error) {
      // The lease runs out by itself, and the stream is claimed again.
      this.#logger.error(
        { error: asTidemarkError(error).message },
        "a stream of write-ahead log ended; it is claimed again",
      );
    }
  }

  async #stream(): Promise<void> {
    const { clock } = this.#context;
    const source = await openContinuousSource(this.#context, this.#options, {
      addonId: this.#addonId,
      applicationName: APPLICATION_NAME,
    });
    const receiver = startWalReceiver({
      archive: source.archive,
      target: source.target,
      slotName: REPLICATION_SLOT,
      spoolFolder: this.#options.spoolFolder(this.#addonId),
      clock,
      pieceIntervalMs: this.#options.pieceIntervalMs,
      uploadBudget: this.#options.uploadBudget,
      knownBranches: () => readKnownBranches(this.#context.database.db, this.#addonId),
      onIncident: (incident) => this.#onIncident(incident),
    });
    const times = new ServerTimes(() => new Client({ ...source.target.client, application_name: "tidemark clock" }));
    try {
      await this.#beatWhileOurs(receiver, times);
    } finally {
      await times.close();
      await receiver.close();
      await this.#incidents;
      await this.#store(receiver);
    }
  }

  /** Until `close()`, or until the stream is somebody else's or its database goes. */
  async #beatWhileOurs(receiver: WalReceiver, times: ServerTimes): Promise<void> {
    const { clock } = this.#context;
    const { signal } = this.#closing;
    while (!signal.aborted) {
      if (receiver.status.state === "streaming") {
        const moment = await times.read();
        if (moment !== undefined) receiver.noteServerTime(moment);
      }
      if (!(await this.#store(receiver))) return;
      await pause(clock, BEAT_INTERVAL_MS, signal);
    }
  }

  /** False when the stream is no longer ours. A control database that is away for a while ends nothing: the server keeps its log meanwhile. */
  async #store({ status }: WalReceiver): Promise<boolean> {
    const { db } = this.#context.database;
    try {
      if (status.lineage !== undefined && status.lineage !== this.#noted && status.systemId !== undefined) {
        await noteLineage(db, {
          addonId: this.#addonId,
          lineage: status.lineage,
          systemId: status.systemId,
          reason: this.#reason,
        });
        this.#noted = status.lineage;
      }
      return await renewWalStream(db, { owner: this.#options.owner, addonId: this.#addonId, status });
    } catch (error) {
      this.#logger.warn({ error: asTidemarkError(error).message }, "the state of a stream was not stored; tried again");
      return true;
    }
  }

  #onIncident(incident: ReceiverIncident): void {
    this.#incidents = this.#incidents
      .then(() => this.#note(incident))
      .catch((error: unknown) => {
        this.#logger.error(
          { incident: incident.kind, error: asTidemarkError(error).message },
          "an incident was not stored",
        );
      });
  }

  async #note(incident: ReceiverIncident): Promise<void> {
    const { db } = this.#context.database;
    const addonId = this.#addonId;
    switch (incident.kind) {
      case "gap": {
        const { timeline, lsn } = incident.to;
        this.#logger.error({ from: formatLsn(incident.from), to: formatLsn(lsn) }, "write-ahead log was lost");
        const gap = { addonId, lineage: incident.lineage, timeline, from: incident.from, to: lsn };
        await db.transaction().execute(async (transaction) => {
          await wantBaseBackup(transaction, { addonId, reason: "Write-ahead log was lost" });
          // A receiver that begins anew may meet the same hole.
          if (!(await noteGap(transaction, gap))) return;
          const data = { from_lsn: formatLsn(gap.from), to_lsn: formatLsn(gap.to) };
          await this.#record(transaction, { type: "database_wal_lost", data });
        });
        return;
      }
      case "lineage begun": {
        this.#reason = incident.reason;
        if (incident.reason === "first") return;
        this.#logger.error(
          { reason: incident.reason, explanation: incident.explanation },
          "the server has another history",
        );
        const { explanation } = incident;
        await db.transaction().execute(async (transaction) => {
          await wantBaseBackup(transaction, { addonId, reason: `The server has another history: ${explanation}` });
          await this.#record(transaction, { type: "database_history_changed", data: { explanation } });
        });
        return;
      }
      case "store failing":
      case "connection failing":
        this.#logger.warn(
          { code: incident.error.code, error: incident.error.message },
          `stream of write-ahead log: ${incident.kind}`,
        );
        return;
      case "log unreadable": {
        this.#logger.error({ at: formatLsn(incident.at), reason: incident.reason }, "write-ahead log can't be read");
        const damage = `write-ahead log at ${formatLsn(incident.at)} can't be read: ${incident.reason}`;
        await this.#record(db, { type: "database_damage_found", data: { damage } });
        return;
      }
      case "store works again":
        this.#logger.info({}, "stream of write-ahead log: store works again");
    }
  }

  async #record(db: Kysely<ControlSchema>, event: Pick<DatabaseEventToRecord, "type" | "data">): Promise<void> {
    const addon = await readEventAddon(db, this.#addonId);
    const at = this.#context.clock.now();
    // Type and data came as one member of the union.
    await recordDatabaseEvent(db, addon, { ...event, actor: "platform", at } as DatabaseEventToRecord);
  }
}

async function pause(clock: Clock, durationMs: number, signal: AbortSignal): Promise<void> {
  // The only rejection is the end of the caller's loop, which its condition sees.
  await clock.sleep(durationMs, signal).catch(() => undefined);
}
