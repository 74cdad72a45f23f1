import { useEffect, useState } from "react";

const SECOND_MS = 1000;
const UNITS = [
  { unit: "day", ms: 86_400_000 },
  { unit: "hour", ms: 3_600_000 },
  { unit: "minute", ms: 60_000 },
  { unit: "second", ms: SECOND_MS },
] as const;

const RELATIVE = new Intl.RelativeTimeFormat("en", { numeric: "auto" });

/** The present, in milliseconds, anew each second. */
export function useNow(): number {
  const [now, setNow] = useState(() => Date.now());
  useEffect(() => {
    const timer = setInterval(() => setNow(Date.now()), SECOND_MS);
    return () => clearInterval(timer);
  }, []);
  return now;
}

/** `3 hours ago`, `in 12 minutes`. */
export function relativeText(instantMs: number, nowMs: number): string {
  const difference = instantMs - nowMs;
  const { unit, ms } = UNITS.find((each) => Math.abs(difference) >= each.ms) ?? { unit: "second", ms: SECOND_MS };
  return RELATIVE.format(Math.round(difference / ms), unit);
}

/** `22 Nov 2026, 18:04:11`, in the given zone; the browser's own by default. */
export function instantText(instantMs: number, zone?: string): string {
  return new Intl.DateTimeFormat("en-GB", {
    day: "numeric",
    month: "short",
    year: "numeric",
    hour: "2-digit",
    minute: "2-digit",
    second: "2-digit",
    ...(zone === undefined ? {} : { timeZone: zone }),
  }).format(instantMs);
}

/** The browser's zone, as `Europe/Paris`. */
export function browserZone(): string {
  return Intl.DateTimeFormat().resolvedOptions().timeZone;
}

/** An instant as people say it, the exact one beside it when pointed at. Nothing for null. */
export function Ago({ at }: { at: string | null }) {
  const now = useNow();
  if (at === null) return null;
  const ms = Date.parse(at);
  return (
    <time dateTime={at} title={`${instantText(ms, "UTC")} UTC`}>
      {relativeText(ms, now)}
    </time>
  );
}

/** An instant in the browser's zone. */
export function Instant({ at }: { at: string | null }) {
  if (at === null) return null;
  const ms = Date.parse(at);
  return (
    <time dateTime={at} title={`${instantText(ms, "UTC")} UTC`}>
      {instantText(ms)}
    </time>
  );
}
