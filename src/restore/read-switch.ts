import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { systemErrorCode } from "../core/errors.ts";
import { type TimelineId, historyFileName } from "../core/lsn.ts";
import { type TimelineSwitch, parseTimelineHistory } from "../postgres/timeline-history.ts";

/** Which timeline a promoted cluster left for this one, and where: the end of what it replayed. Undefined when it never took this one. */
export async function readSwitch(dataFolder: string, timeline: TimelineId): Promise<TimelineSwitch | undefined> {
  try {
    const history = await readFile(join(dataFolder, "pg_wal", historyFileName(timeline)), "utf8");
    return parseTimelineHistory(history).at(-1);
  } catch (error) {
    if (systemErrorCode(error) === "ENOENT") return undefined;
    throw error;
  }
}
