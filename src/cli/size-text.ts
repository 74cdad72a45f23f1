const SI_UNITS = ["B", "kB", "MB", "GB", "TB", "PB", "EB"];
const BINARY_UNITS = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];

/** In powers of a thousand, as the backup list shows sizes: `143 kB`, `1.5 MB`, `0 B`. One decimal below ten. */
export function formatSizeSi(sizeBytes: number): string {
  const { value, unit } = scale(sizeBytes, { base: 1000, units: SI_UNITS });
  const rounded = Math.round(value * 10) / 10;
  return `${unit === "B" || rounded >= 10 ? Math.round(value) : rounded.toFixed(1)} ${unit}`;
}

/** In powers of 1024 with two decimals, as the progress bar shows them: `139.37 KiB`. */
export function formatSizeBinary(sizeBytes: number): string {
  const { value, unit } = scale(sizeBytes, { base: 1024, units: BINARY_UNITS });
  return unit === "B" ? `${Math.round(value)} B` : `${value.toFixed(2)} ${unit}`;
}

function scale(
  sizeBytes: number,
  { base, units }: { base: number; units: readonly string[] },
): { value: number; unit: string } {
  let value = sizeBytes;
  let power = 0;
  // What would be rounded up to the base belongs to the next unit: 1.0 MB, never 1000 kB.
  while (Math.round(value) >= base && power < units.length - 1) {
    value /= base;
    power++;
  }
  return { value, unit: units[power] ?? "" };
}
