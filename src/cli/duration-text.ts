const UNITS = [
  { unit: "d", ms: 24 * 3600_000 },
  { unit: "h", ms: 3600_000 },
  { unit: "min", ms: 60_000 },
] as const;

/** How long, in its largest unit, rounded down: `3 d`, `4 min`, `12 s`. */
export function durationText(durationMs: number): string {
  const found = UNITS.find(({ ms }) => durationMs >= ms);
  if (found === undefined) return `${Math.max(0, Math.floor(durationMs / 1000))} s`;
  return `${Math.floor(durationMs / found.ms)} ${found.unit}`;
}
