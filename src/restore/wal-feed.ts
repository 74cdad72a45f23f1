import { open, readdir, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import type { Clock } from "../core/clock.ts";
import { ERROR_TABLE, asTidemarkError } from "../core/errors.ts";
import { type Lsn, type SegmentName, type TimelineId, historyFileName, toTimelineId } from "../core/lsn.ts";
import type { PhysicalArchive } from "../repository/physical-archive.ts";
import { type Branch, type BranchSegment, walkBranch } from "./branch.ts";
import type { FileOwner } from "./owned-files.ts";
import type { LineageFacts } from "./facts.ts";
import { makeOwnedFolder, writeOwnedFile } from "./owned-files.ts";
import { readBranchSegment } from "./read-branch-segment.ts";
import { WAL_SCRIPT } from "./wal-script.ts";

/** Segments that wait for the server: enough to hide the store's delay, few enough for any disk. */
export const WAL_SPOOL_BYTES_MAX = 256 * 1024 * 1024;
/** Segments on their way at once. */
const FETCHES_IN_FLIGHT = 3;
/** How often the server's wishes are looked at: two listings of small folders. */
const POLL_INTERVAL_MS = 20;
/** After these a store is taken to be away; with the delays below that is some two minutes. */
const FETCH_ATTEMPTS = 8;
const RETRY_DELAY_MS = 500;
const RETRY_DELAY_MAX_MS = 30_000;
/** Read by the server's user alone. */
const FILE_MODE = 0o600;
const FIRST_WITH_HISTORY = 2;
/** History of a timeline id that is given out to somebody else: only its presence counts, since nothing ever follows it. */
const PLACEHOLDER = "# This timeline's id is taken.\n";

export interface WalFeedOptions {
  /** Empty, and on the data folder's file system: files are renamed from here into pg_wal. */
  readonly folder: string;
  readonly branch: Branch;
  readonly lineage: LineageFacts;
  readonly from: Lsn;
  /** What begins at or after this is fetched only when it is asked for. */
  readonly to: Lsn;
  /** The id that a promotion shall take: all below it are offered as taken. */
  readonly nextTimeline: TimelineId;
  readonly owner: FileOwner | undefined;
  readonly clock: Clock;
  /** This process: when it is gone, the server's wishes end with an error instead of waiting for ever. */
  readonly pid: number;
}

/**
 * Gives a recovering server its WAL: fetched ahead into a spool, from which a small shell script takes it. The script says "no such file" only for
 * names that the repository doesn't have; while a stored segment can't be fetched the server waits, and when that is given up it ends with an error,
 * never as if the log ended there.
 */
export class WalFeed {
  readonly #archive: PhysicalArchive;
  readonly #options: WalFeedOptions;
  readonly #segments: ReadonlyMap<SegmentName, BranchSegment>;
  /** Still to be fetched ahead, in order. */
  readonly #ahead: SegmentName[];
  readonly #fetching = new Map<SegmentName, Promise<void>>();
  readonly #abort = new AbortController();
  readonly #work: Promise<void>;
  #failure: { readonly error: unknown } | undefined;

  /** Writes the script and what it needs, and begins to fetch. */
  static async open(archive: PhysicalArchive, options: WalFeedOptions): Promise<WalFeed> {
    const segments = new Map<SegmentName, BranchSegment>();
    for (const segment of walkBranch(options.branch, options.from)) segments.set(segment.name, segment);
    for (const name of ["wal", "wanted", "histories"]) await makeOwnedFolder(join(options.folder, name), options.owner);
    await writeOwnedFile(join(options.folder, "names"), [...segments.keys(), ""].join("\n"), options.owner);
    await writeOwnedFile(join(options.folder, "fetch-wal"), WAL_SCRIPT, options.owner);
    await writeOwnedFile(join(options.folder, "pid"), `${options.pid}\n`, options.owner);
    await writeHistories(options);
    return new WalFeed(archive, options, segments);
  }

  private constructor(
    archive: PhysicalArchive,
    options: WalFeedOptions,
    segments: ReadonlyMap<SegmentName, BranchSegment>,
  ) {
    this.#archive = archive;
    this.#options = options;
    this.#segments = segments;
    this.#ahead = [...segments.values()].filter(({ start }) => start < options.to).map(({ name }) => name);
    this.#work = this.#run();
  }

  /** For the server's settings. */
  get restoreCommand(): string {
    const script = join(this.#options.folder, "fetch-wal").replaceAll("'", `'\\''`).replaceAll("%", "%%");
    return `sh '${script}' "%f" "%p"`;
  }

  /** Why the server gets no more WAL; undefined while it does. */
  get failure(): { readonly error: unknown } | undefined {
    return this.#failure;
  }

  /** Ends the fetching; what the server asks for from now on ends it. May be called twice. */
  async close(): Promise<void> {
    this.#abort.abort();
    await this.#work;
  }

  async #run(): Promise<void> {
    const { clock } = this.#options;
    const { signal } = this.#abort;
    try {
      while (!signal.aborted && this.#failure === undefined) {
        await this.#answerWishes();
        await this.#fetchAhead();
        await clock.sleep(POLL_INTERVAL_MS, signal);
      }
    } catch (error) {
      if (!signal.aborted) this.#failure ??= { error };
    }
    this.#abort.abort();
    await Promise.allSettled(this.#fetching.values());
    await writeOwnedFile(join(this.#options.folder, "ended"), "", this.#options.owner).catch((error: unknown) => {
      this.#failure ??= { error };
    });
  }

  async #answerWishes(): Promise<void> {
    for (const name of await readdir(join(this.#options.folder, "wanted"))) {
      const segment = this.#segments.get(name as SegmentName); // brand: any other text finds nothing
      if (segment !== undefined) this.#begin(segment);
    }
  }

  async #fetchAhead(): Promise<void> {
    const { segmentSize } = this.#options.branch;
    const ready = (await readdir(join(this.#options.folder, "wal"))).length;
    const limit = Math.max(1, Math.floor(WAL_SPOOL_BYTES_MAX / segmentSize));
    while (this.#fetching.size < FETCHES_IN_FLIGHT && ready + this.#fetching.size < limit) {
      const name = this.#ahead.shift();
      const segment = name === undefined ? undefined : this.#segments.get(name);
      if (segment === undefined) return;
      this.#begin(segment);
    }
  }

  #begin(segment: BranchSegment): void {
    if (this.#fetching.has(segment.name)) return;
    const fetching = this.#fetch(segment)
      .catch((error: unknown) => {
        if (!this.#abort.signal.aborted) this.#failure ??= { error };
      })
      .finally(() => this.#fetching.delete(segment.name));
    this.#fetching.set(segment.name, fetching);
  }

  async #fetch(segment: BranchSegment): Promise<void> {
    const { clock, folder } = this.#options;
    const { signal } = this.#abort;
    for (let attempt = 1; ; attempt++) {
      try {
        await this.#write(segment);
        await rm(join(folder, "wanted", segment.name), { force: true });
        return;
      } catch (error) {
        const isTransient = ERROR_TABLE[asTidemarkError(error).code].kind === "transient";
        if (!isTransient || attempt >= FETCH_ATTEMPTS || signal.aborted) throw error;
        await clock.sleep(Math.min(RETRY_DELAY_MS * 2 ** attempt, RETRY_DELAY_MAX_MS), signal);
      }
    }
  }

  /** PostgreSQL takes files of the segment's size only; what is not stored of the last one is zeros. */
  async #write(segment: BranchSegment): Promise<void> {
    const { folder, owner, branch } = this.#options;
    const part = join(folder, `${segment.name}.part`);
    const file = await open(part, "w", FILE_MODE);
    try {
      for await (const chunk of readBranchSegment(this.#archive, branch, segment, this.#abort.signal))
        await file.writeFile(chunk);
      await file.truncate(branch.segmentSize);
      if (owner !== undefined) await file.chown(owner.uid, owner.gid);
    } finally {
      await file.close();
    }
    await rename(part, join(folder, "wal", segment.name));
  }
}

/** All that are stored, whichever branch they belong to: PostgreSQL takes the next id that has none. */
async function writeHistories({ folder, lineage, nextTimeline, owner, branch }: WalFeedOptions): Promise<void> {
  const write = (timeline: TimelineId, content: string): Promise<void> =>
    writeOwnedFile(join(folder, "histories", historyFileName(timeline)), content, owner);
  for (const [timeline, history] of lineage.histories) await write(timeline, history.content);
  // The branch's own timeline must have one too, unless it is the first: a cluster may have come to us on a later one.
  for (let id = Math.max(branch.timeline, FIRST_WITH_HISTORY); id < nextTimeline; id++) {
    const timeline = toTimelineId(id);
    if (!lineage.histories.has(timeline)) await write(timeline, PLACEHOLDER);
  }
}
