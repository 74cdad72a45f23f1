import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { parsePosixZone, posixLocalTime } from "./posix-zone.ts";
import type { LocalTimeType } from "./posix-zone.ts";
import { parseTimeZoneFile } from "./time-zone-file.ts";

/** Tells what a clock of the zone shows. */
export interface TimeZone {
  at(instant: Date): LocalTimeType;
}

/** Where an operating system keeps compiled time zones, and the machine's own. */
export interface TimeZoneFiles {
  readonly folders: readonly string[];
  readonly local: string;
}

/** Linux and macOS. */
export const SYSTEM_TIME_ZONE_FILES: TimeZoneFiles = {
  folders: ["/usr/share/zoneinfo", "/usr/share/lib/zoneinfo", "/etc/zoneinfo"],
  local: "/etc/localtime",
};

const UTC: TimeZone = { at: () => ({ offsetSeconds: 0, abbreviation: "UTC" }) };

/**
 * The zone that the variable TZ names as the C library reads it: a zone's name, a file, a rule such as `CET-1CEST,M3.5.0,M10.5.0/3`; the
 * machine's zone when undefined; UTC when empty or unknown.
 *
 * Abbreviations come from the system's zone files, because `Intl` has them for some languages only. Where these files are missing, the offset
 * stands in (`+0100`).
 */
export async function loadTimeZone(
  variable: string | undefined,
  files: TimeZoneFiles = SYSTEM_TIME_ZONE_FILES,
): Promise<TimeZone> {
  if (variable === undefined) return (await readZoneFile(files.local)) ?? numericZone(undefined) ?? UTC;
  const name = variable.replace(/^:/, "");
  return name === "" ? UTC : ((await findTimeZone(name, files)) ?? UTC);
}

/** The zone that this text names, in any of the ways that `TZ` has; undefined when it names none. */
export async function findTimeZone(
  name: string,
  files: TimeZoneFiles = SYSTEM_TIME_ZONE_FILES,
): Promise<TimeZone | undefined> {
  if (name.toUpperCase() === "UTC") return UTC;
  if (name.startsWith("/")) return await readZoneFile(name);
  if (!name.split("/").includes("..")) {
    for (const folder of files.folders) {
      const zone = await readZoneFile(join(folder, name));
      if (zone !== undefined) return zone;
    }
  }
  const rule = parsePosixZone(name);
  if (rule !== undefined) return { at: (instant) => posixLocalTime(rule, wholeSeconds(instant)) };
  return numericZone(name);
}

async function readZoneFile(path: string): Promise<TimeZone | undefined> {
  // A missing or unreadable file only means to look elsewhere; the last resort is UTC.
  const bytes = await readFile(path).catch(() => undefined);
  const localTime = bytes === undefined ? undefined : parseTimeZoneFile(bytes);
  return localTime === undefined ? undefined : { at: (instant) => localTime(wholeSeconds(instant)) };
}

/** Offsets as the runtime knows them, with the offset for an abbreviation; undefined for a name that it doesn't know. */
function numericZone(name: string | undefined): TimeZone | undefined {
  try {
    const zone = name ?? Temporal.Now.timeZoneId();
    // Refuses an unknown name here rather than at each use.
    Temporal.Instant.fromEpochMilliseconds(0).toZonedDateTimeISO(zone);
    return {
      at(instant) {
        const local = Temporal.Instant.fromEpochMilliseconds(instant.getTime()).toZonedDateTimeISO(zone);
        const offsetSeconds = local.offsetNanoseconds / 1e9;
        return { offsetSeconds, abbreviation: formatOffset(offsetSeconds) };
      },
    };
  } catch (error) {
    if (error instanceof RangeError) return undefined;
    throw error;
  }
}

function formatOffset(offsetSeconds: number): string {
  const minutes = Math.round(Math.abs(offsetSeconds) / 60);
  const digits = String(Math.floor(minutes / 60) * 100 + (minutes % 60)).padStart(4, "0");
  return (offsetSeconds < 0 ? "-" : "+") + digits;
}

function wholeSeconds(instant: Date): number {
  return Math.floor(instant.getTime() / 1000);
}
