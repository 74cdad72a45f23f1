import { asTidemarkError } from "../core/errors.ts";
import type { RestoreProgress } from "../restore/restore.ts";
import type { ControlContext } from "./context.ts";
import type { OperationWork } from "./operation-runner.ts";
import { type JournalChange, noteStep } from "./point-in-time-rows.ts";

/** How often progress is stored: what a person sees move, at one small statement. */
const NOTE_INTERVAL_MS = 1000;

/** Stores the progress of a restore, at most once a second. Losing a note is no failure; the steps themselves are noted by whoever does them. */
export class RestoreProgressNotes {
  readonly #context: ControlContext;
  readonly #work: OperationWork;
  #storing: Promise<void> = Promise.resolve();
  #notedAtMs = 0;
  #phase: RestoreProgress["phase"] | undefined;
  #fetched: Pick<JournalChange, "doneBytes" | "totalBytes"> = {};
  #isOver = false;

  constructor(context: ControlContext, work: OperationWork) {
    this.#context = context;
    this.#work = work;
  }

  note(progress: RestoreProgress): void {
    if (this.#isOver) return;
    if (progress.phase === "fetch") {
      this.#work.progress(progress.doneBytes);
      this.#fetched = { doneBytes: progress.doneBytes, totalBytes: progress.totalBytes };
    }
    const nowMs = this.#context.clock.now().getTime();
    if (progress.phase === this.#phase && nowMs - this.#notedAtMs < NOTE_INTERVAL_MS) return;
    this.#phase = progress.phase;
    this.#notedAtMs = nowMs;
    const change: JournalChange =
      progress.phase === "fetch"
        ? { phase: "fetching", ...this.#fetched }
        : {
            phase: "replaying",
            ...this.#fetched,
            replayedLsn: progress.replayed,
            replayedUntil: progress.replayedUntil,
          };
    this.#storing = this.#storing
      .then(() => this.#store(change))
      .catch((error: unknown) =>
        this.#work.logger.warn({ error: asTidemarkError(error).message }, "a restore's progress was not stored"),
      );
  }

  /** Stores a change behind all others; from here on only such are stored. */
  async end(change: JournalChange): Promise<void> {
    this.#isOver = true;
    await this.#storing;
    await this.#store(change);
  }

  async #store(change: JournalChange): Promise<void> {
    await noteStep(this.#context.database.db, this.#work.operation.id, change);
  }
}
