const UNITS = ["B", "kB", "MB", "GB", "TB"] as const;
const STEP = 1000;
/** Shorter times are told to a tenth of a second. */
const TENTHS_BELOW_MS = 3000;

/** `143 kB`: SI units, as the command line has them. */
export function sizeText(bytes: number): string {
  const power = Math.min(UNITS.length - 1, bytes < STEP ? 0 : Math.floor(Math.log10(bytes) / 3));
  const value = bytes / STEP ** power;
  return `${power === 0 || value >= 100 ? Math.round(value) : value.toFixed(1)} ${UNITS[power]}`;
}

/** `0.4 s`, `4 min 12 s` */
export function durationText(ms: number): string {
  if (ms > 0 && ms < TENTHS_BELOW_MS) return `${(ms / 1000).toFixed(1)} s`;
  const seconds = Math.max(0, Math.round(ms / 1000));
  if (seconds < 60) return `${seconds} s`;
  const minutes = Math.floor(seconds / 60);
  return minutes < 60 ? `${minutes} min ${seconds % 60} s` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}
