import type { Backup } from "../../generated/api.ts";
import { Block } from "../ui/block.tsx";
import { BarChart } from "../ui/bar-chart.tsx";
import { instantText } from "../ui/instant.tsx";
import { durationText, sizeText } from "../ui/size.ts";

/** Fewer say nothing about a trend; more don't fit. */
const BARS_MIN = 3;
const BARS_MAX = 30;

/** How archives grew, and how long they took. */
export function BackupCharts({ backups }: { backups: readonly Backup[] }) {
  const done = backups.filter(({ status }) => status === "done").slice(0, BARS_MAX);
  if (done.length < BARS_MIN) return null;
  const shown = done.toReversed();
  return (
    <div className="columns">
      <Block title="Size of the archives">
        <BarChart
          title="Size of the archives, oldest first"
          bars={shown.map((backup) => ({ id: backup.id, name: when(backup), value: backup.size ?? 0 }))}
          format={sizeText}
        />
      </Block>
      <Block title="Time that they took">
        <BarChart
          title="Time that backups took, oldest first"
          bars={shown.map((backup) => ({ id: backup.id, name: when(backup), value: durationMs(backup) }))}
          format={durationText}
        />
      </Block>
    </div>
  );
}

function when({ created_at: at }: Backup): string {
  return instantText(Date.parse(at));
}

function durationMs({ started_at: from, ended_at: to }: Backup): number {
  return from === null || to === null ? 0 : Date.parse(to) - Date.parse(from);
}
