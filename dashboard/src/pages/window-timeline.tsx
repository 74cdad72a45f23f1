import type { MouseEvent } from "react";
import type { RecoveryWindow } from "../../generated/api.ts";
import { instantText } from "../ui/instant.tsx";

const LANE_HEIGHT = 26;
const WIDTH = 1000;

interface Lane {
  readonly id: string;
  readonly from: number;
  readonly to: number;
}

interface TimelineProps {
  readonly range: RecoveryWindow;
  /** A click on the line chooses the moment that is there. By keyboard it is chosen by date and time. */
  readonly onChoose: (at: Date) => void;
}

/** The recovery window as a line for each branch, newest first, with its holes. Its words are in the facts beneath it. */
export function WindowTimeline({ range, onChoose }: TimelineProps) {
  const lanes = range.branches.flatMap(toLane);
  if (lanes.length === 0) return null;
  const from = Math.min(...lanes.map((lane) => lane.from));
  const to = Math.max(...lanes.map((lane) => lane.to));
  const choose = (event: MouseEvent<SVGSVGElement>) => {
    const { left, width } = event.currentTarget.getBoundingClientRect();
    onChoose(new Date(from + ((event.clientX - left) / width) * (to - from)));
  };
  return (
    <figure className="timeline">
      <svg
        viewBox={`0 0 ${WIDTH} ${lanes.length * LANE_HEIGHT}`}
        height={lanes.length * LANE_HEIGHT}
        preserveAspectRatio="none"
        aria-hidden="true"
        onClick={choose}
      >
        <TimelineBars lanes={lanes} range={range} from={from} to={to} />
      </svg>
      <div className="row spread muted small" aria-hidden="true">
        <span>{instantText(from)}</span>
        <span>{instantText(to)}</span>
      </div>
      <ul className="legend muted small" aria-hidden="true">
        <li className="is-current">{lanes.length > 1 ? "the branch that goes on" : "restorable"}</li>
        {lanes.length > 1 && <li className="is-branch">earlier branches</li>}
        {range.holes.length > 0 && <li className="is-hole">holes: nothing there can be restored</li>}
      </ul>
    </figure>
  );
}

function TimelineBars(props: { lanes: readonly Lane[]; range: RecoveryWindow; from: number; to: number }) {
  const { lanes, range, from, to } = props;
  const scale = (ms: number) => ((ms - from) / Math.max(1, to - from)) * WIDTH;
  return (
    <>
      {lanes.map((lane, index) => (
        <rect
          key={lane.id}
          className={index === 0 ? "lane current" : "lane"}
          x={scale(lane.from)}
          y={index * LANE_HEIGHT + 6}
          width={Math.max(2, scale(lane.to) - scale(lane.from))}
          height={LANE_HEIGHT - 12}
        />
      ))}
      {range.holes.map((hole) => {
        const start = hole.from === null ? from : Date.parse(hole.from);
        const end = hole.to === null ? to : Date.parse(hole.to);
        return (
          <rect
            key={`${hole.from} ${hole.to}`}
            className="hole"
            x={scale(start)}
            y="3"
            width={Math.max(3, scale(end) - scale(start))}
            height={LANE_HEIGHT - 6}
          >
            <title>{`Nothing between ${instantText(start)} and ${instantText(end)} can be restored`}</title>
          </rect>
        );
      })}
    </>
  );
}

function toLane(branch: RecoveryWindow["branches"][number]): Lane[] {
  const { id, earliest_recoverable_at: from, latest_recoverable_at: to } = branch;
  return from === null || to === null ? [] : [{ id, from: Date.parse(from), to: Date.parse(to) }];
}
