import type { RecoveryWindow } from "../../generated/api.ts";
import { instantText } from "../ui/instant.tsx";

const LANE_HEIGHT = 22;
const WIDTH = 1000;

interface Lane {
  readonly id: string;
  readonly from: number;
  readonly to: number;
}

/** The recovery window as a line for each branch, with its holes. Its words are in the facts beneath it. */
export function WindowTimeline({ range }: { range: RecoveryWindow }) {
  const lanes = range.branches.flatMap(toLane);
  const from = Math.min(...lanes.map((lane) => lane.from));
  const to = Math.max(...lanes.map((lane) => lane.to));
  const scale = (ms: number) => ((ms - from) / Math.max(1, to - from)) * WIDTH;
  if (lanes.length === 0) return null;
  return (
    <figure className="timeline">
      <svg viewBox={`0 0 ${WIDTH} ${lanes.length * LANE_HEIGHT}`} preserveAspectRatio="none" aria-hidden="true">
        {lanes.map((lane, index) => (
          <rect
            key={lane.id}
            className={index === 0 ? "lane current" : "lane"}
            x={scale(lane.from)}
            y={index * LANE_HEIGHT + 5}
            width={Math.max(2, scale(lane.to) - scale(lane.from))}
            height={LANE_HEIGHT - 10}
            rx="2"
          />
        ))}
        {range.holes.map((hole, index) => {
          const start = hole.from === null ? from : Date.parse(hole.from);
          const end = hole.to === null ? to : Date.parse(hole.to);
          return (
            <rect
              key={index}
              className="hole"
              x={scale(start)}
              y="2"
              width={Math.max(3, scale(end) - scale(start))}
              height={LANE_HEIGHT - 4}
            >
              <title>{`Nothing between ${instantText(start)} and ${instantText(end)} can be restored`}</title>
            </rect>
          );
        })}
      </svg>
      <div className="row spread muted small" aria-hidden="true">
        <span>{instantText(from)}</span>
        <span>{instantText(to)}</span>
      </div>
    </figure>
  );
}

function toLane(branch: RecoveryWindow["branches"][number]): Lane[] {
  const { id, earliest_recoverable_at: from, latest_recoverable_at: to } = branch;
  return from === null || to === null ? [] : [{ id, from: Date.parse(from), to: Date.parse(to) }];
}
