import type { MouseEvent } from "react";
import type { RecoveryWindow } from "../../generated/api.ts";
import { instantText } from "../ui/instant.tsx";
import { durationText, sizeText } from "../ui/size.ts";

const LANE_HEIGHT = 26;
const WIDTH = 1000;
const SECOND_MS = 1000;
/** A lag that takes less of the line than this can't be seen. */
const LAG_SHARE_MIN = 0.005;

interface Lane {
  readonly id: string;
  readonly timeline: number | null;
  readonly from: number;
  readonly to: number;
}

/** What the line draws, and how moments become places on it. */
interface Drawing {
  readonly lanes: readonly Lane[];
  readonly range: RecoveryWindow;
  readonly from: number;
  /** The last moment of any lane. */
  readonly to: number;
  /** Where the line ends: the present, when the lag is large enough to be seen. */
  readonly end: number;
}

interface TimelineProps {
  readonly range: RecoveryWindow;
  /** How far the newest restorable moment is behind; null while that isn't known. */
  readonly lagMs: number | null;
  /** A click on the line chooses the moment that is there. By keyboard it is chosen by date and time. */
  readonly onChoose: (at: Date) => void;
}

/** The recovery window as a line for each branch, newest first, with its base backups and holes. Its words are in the facts beneath it. */
export function WindowTimeline({ range, lagMs, onChoose }: TimelineProps) {
  const lanes = range.branches.flatMap(toLane);
  if (lanes.length === 0) return null;
  const from = Math.min(...lanes.map((lane) => lane.from));
  const to = Math.max(...lanes.map((lane) => lane.to));
  const isBehind = lagMs !== null && lagMs > (to - from + lagMs) * LAG_SHARE_MIN;
  const drawing = { lanes, range, from, to, end: isBehind ? to + lagMs : to };
  const height = lanes.length * LANE_HEIGHT;
  return (
    <figure className="timeline">
      <svg
        viewBox={`0 0 ${WIDTH} ${height}`}
        height={height}
        preserveAspectRatio="none"
        aria-hidden="true"
        onClick={(event) => onChoose(momentAt(event, drawing))}
      >
        <TimelineBars {...drawing} />
        <BaseBackupMarks {...drawing} />
      </svg>
      <div className="row spread muted small" aria-hidden="true">
        <span>{instantText(from)}</span>
        <span>
          {instantText(to)}
          {lagMs !== null && `, ${durationText(lagMs)} behind`}
        </span>
      </div>
      <ul className="legend muted small" aria-hidden="true">
        <li className="is-current">{lanes.length > 1 ? "the branch that goes on" : "restorable"}</li>
        {lanes.length > 1 && <li className="is-branch">earlier branches</li>}
        {range.newest_base_backups.length > 0 && <li className="is-base">base backups</li>}
        {range.holes.length > 0 && <li className="is-hole">holes: nothing there can be restored</li>}
        {isBehind && <li className="is-lag">not stored yet</li>}
      </ul>
    </figure>
  );
}

/** Where the line was clicked. A whole second that lies inside of what can be restored: the field knows no less, and the edges are hard to hit. */
function momentAt(event: MouseEvent<SVGSVGElement>, { from, to, end }: Drawing): Date {
  const place = new DOMPoint(event.clientX, event.clientY).matrixTransform(
    event.currentTarget.getScreenCTM()?.inverse() ?? undefined,
  );
  const at = from + (place.x / WIDTH) * (end - from);
  const first = Math.ceil(from / SECOND_MS) * SECOND_MS;
  const last = Math.max(first, Math.floor(to / SECOND_MS) * SECOND_MS);
  return new Date(Math.min(last, Math.max(first, Math.round(at / SECOND_MS) * SECOND_MS)));
}

function scaleOf({ from, end }: Drawing): (ms: number) => number {
  return (ms) => ((ms - from) / Math.max(1, end - from)) * WIDTH;
}

function TimelineBars(drawing: Drawing) {
  const { lanes, range, from, to, end } = drawing;
  const scale = scaleOf(drawing);
  return (
    <>
      {lanes.map((lane, index) => (
        <rect
          key={`${lane.id} ${lane.timeline}`}
          className={index === 0 ? "lane current" : "lane"}
          x={scale(lane.from)}
          y={index * LANE_HEIGHT + 6}
          width={Math.max(2, scale(lane.to) - scale(lane.from))}
          height={LANE_HEIGHT - 12}
        />
      ))}
      {range.holes.map((hole) => {
        const start = hole.from === null ? from : Date.parse(hole.from);
        const stop = hole.to === null ? to : Date.parse(hole.to);
        return (
          <rect
            key={`${hole.from} ${hole.to}`}
            className="hole"
            x={scale(start)}
            y="3"
            width={Math.max(3, scale(stop) - scale(start))}
            height={LANE_HEIGHT - 6}
          >
            <title>{`Nothing between ${instantText(start)} and ${instantText(stop)} can be restored`}</title>
          </rect>
        );
      })}
      {end > to && (
        <rect className="lag" x={scale(to)} y="6" width={scale(end) - scale(to)} height={LANE_HEIGHT - 12}>
          <title>{`What was written since ${instantText(to)} is not stored yet`}</title>
        </rect>
      )}
    </>
  );
}

function BaseBackupMarks(drawing: Drawing) {
  const { lanes, range, from, end } = drawing;
  const scale = scaleOf(drawing);
  return range.newest_base_backups.map((base) => {
    const at = Date.parse(base.finished_at);
    const lane = laneOf(base, lanes);
    // One of a branch that has nothing to restore yet, or of before all that is drawn.
    if (lane < 0 || at < from || at > end) return null;
    return (
      <g key={base.id} className="base">
        <title>{`Base backup of ${instantText(at)}, ${sizeText(base.data_size)}${lanes.length > 1 ? `, timeline ${base.timeline}` : ""}`}</title>
        {["reach", "mark"].map((part) => (
          <line
            key={part}
            className={part}
            x1={scale(at)}
            x2={scale(at)}
            y1={lane * LANE_HEIGHT + 2}
            y2={(lane + 1) * LANE_HEIGHT - 2}
          />
        ))}
      </g>
    );
  });
}

/** Which lane a base backup lies on; -1 for none. A cluster that was never restored has one lane, whatever its timeline. */
function laneOf(base: RecoveryWindow["newest_base_backups"][number], lanes: readonly Lane[]): number {
  const exact = lanes.findIndex(({ id, timeline }) => id === base.branch_id && timeline === base.timeline);
  return exact >= 0 ? exact : lanes.findLastIndex(({ id }) => id === base.branch_id);
}

function toLane(branch: RecoveryWindow["branches"][number]): Lane[] {
  const { id, timeline, earliest_recoverable_at: from, latest_recoverable_at: to } = branch;
  return from === null || to === null ? [] : [{ id, timeline, from: Date.parse(from), to: Date.parse(to) }];
}
