import { formatSizeBinary } from "./size-text.ts";

export interface Progress {
  readonly doneBytes: number;
  /** Null when it isn't known. */
  readonly totalBytes: number | null;
  /** Since the start; null while too little has happened to tell. */
  readonly bytesPerSecond: number | null;
}

/** Room for a bar that still says something; on a narrower terminal it is left out. */
const BAR_WIDTH_MIN = 4;

/**
 * One line of at most `columns` characters: `7.15 MiB / 9.54 MiB [---->___] 75.00% 2.38 MiB p/s`. Unknown figures are `?`.
 */
export function renderProgressBar({ doneBytes, totalBytes, bytesPerSecond }: Progress, columns: number): string {
  const share = totalBytes === null || totalBytes === 0 ? null : Math.min(doneBytes / totalBytes, 1);
  const counters =
    totalBytes === null || totalBytes === 0
      ? formatSizeBinary(doneBytes)
      : `${formatSizeBinary(doneBytes)} / ${formatSizeBinary(totalBytes)}`;
  const percent = share === null ? "?%" : `${(share * 100).toFixed(2)}%`;
  const speed = `${bytesPerSecond === null ? "?" : formatSizeBinary(bytesPerSecond)} p/s`;
  const barWidth = columns - [counters, percent, speed].join(" ").length - "[] ".length;
  if (barWidth < BAR_WIDTH_MIN) return [counters, percent, speed].join(" ").slice(0, columns);
  return [counters, `[${renderBar(share, barWidth)}]`, percent, speed].join(" ");
}

function renderBar(share: number | null, width: number): string {
  if (share === null) return "_".repeat(width);
  if (share === 1) return "-".repeat(width);
  const filled = Math.floor(share * (width - 1));
  return `${"-".repeat(filled)}>${"_".repeat(width - 1 - filled)}`;
}
