import type { Clock } from "../core/clock.ts";
import { columnsOf } from "./output.ts";
import { renderProgressBar } from "./progress-bar.ts";
import type { OutputStream } from "./streams.ts";

/** Shows a transfer's progress. */
export interface ProgressDisplay {
  /** `totalBytes` null while it isn't known. */
  update(done: { doneBytes: number; totalBytes: number | null }): void;
  /** Draws the last state and ends the line. */
  finish(): void;
}

/** Redrawn ten times a second at most: more can't be seen and costs time. */
const REDRAW_INTERVAL_MS = 100;
/** A speed is told after so long only: before, it is mostly noise. */
const SPEED_AFTER_MS = 500;
/** Lines longer than this are hard to follow. */
const COLUMNS_MAX = 100;

/** A display on this terminal; one that shows nothing when the stream is no terminal. */
export function createProgressDisplay(stream: OutputStream, clock: Clock): ProgressDisplay {
  if (stream.isTTY !== true) return { update: () => undefined, finish: () => undefined };
  const startedMs = clock.now().getTime();
  let lastDrawnMs = -Infinity;
  let state: { doneBytes: number; totalBytes: number | null } | undefined;
  const draw = (nowMs: number): void => {
    if (state === undefined) return;
    const elapsedMs = nowMs - startedMs;
    const bytesPerSecond = elapsedMs < SPEED_AFTER_MS ? null : (state.doneBytes * 1000) / elapsedMs;
    // One column stays free: some terminals wrap when the last one is written.
    const columns = Math.min(columnsOf(stream) - 1, COLUMNS_MAX);
    stream.write(`\r\u001B[K${renderProgressBar({ ...state, bytesPerSecond }, columns)}`);
    lastDrawnMs = nowMs;
  };
  return {
    update(done) {
      state = done;
      const nowMs = clock.now().getTime();
      if (nowMs - lastDrawnMs >= REDRAW_INTERVAL_MS) draw(nowMs);
    },
    finish() {
      draw(clock.now().getTime());
      if (state !== undefined) stream.write("\n");
    },
  };
}
