import { instantText } from "./instant.tsx";
import { Table } from "./table.tsx";

const WIDTH = 1000;
const HEIGHT = 100;
const DASH_WIDTH = 5;
const MINUTE_MS = 60_000;
/** Of a point, narrowest first: more points than fit are drawn together. */
const STEPS_MS = [10 * MINUTE_MS, 30 * MINUTE_MS, 60 * MINUTE_MS];
const POINTS_MAX = 170;

export interface Sample {
  readonly at: number;
  readonly value: number;
}

interface TrendChartProps {
  readonly title: string;
  /** Oldest first; at least two. */
  readonly samples: readonly Sample[];
  readonly format: (value: number) => string;
  /** Which of the values of a point's time, or of a day, stands for all. */
  readonly keeps: "largest" | "last";
  /** The axis reaches so far at least, so that what is nothing to speak of doesn't look like much. */
  readonly topMin: number;
}

/** How a value went: a line from 0 to the largest, broken where nothing is known. Each point tells its own when pointed at; the table has each day's. */
export function TrendChart({ title, samples, format, keeps, topMin }: TrendChartProps) {
  const from = samples[0]?.at ?? 0;
  const span = (samples.at(-1)?.at ?? 0) - from;
  const stepMs = STEPS_MS.find((each) => span / each <= POINTS_MAX) ?? STEPS_MS.at(-1) ?? span;
  const points = [...grouped(samples, ({ at }) => Math.floor(at / stepMs) * stepMs)].map(([at, group]) => ({
    at,
    value: standsFor(group, keeps),
  }));
  const first = points[0]?.at ?? 0;
  const last = points.at(-1)?.at ?? 0;
  const largest = Math.max(...points.map(({ value }) => value));
  const top = Math.max(topMin, largest);
  const x = (at: number) => ((at - first) / Math.max(1, last - first)) * WIDTH;
  const y = (value: number) => HEIGHT - (value / top) * HEIGHT;
  return (
    <figure className="trend">
      <div className="chart">
        <div className="muted small chart-axis" aria-hidden="true">
          <span>{format(top)}</span>
          <span>0</span>
        </div>
        <svg viewBox={`0 0 ${WIDTH} ${HEIGHT}`} preserveAspectRatio="none" aria-hidden="true">
          {runsOf(points, stepMs).map((run) => (
            <path key={run[0]?.at} d={pathOf(run.map(({ at, value }) => [x(at), y(value)]))} />
          ))}
          {points.map(({ at, value }) => (
            <rect key={at} x={x(at - stepMs / 2)} y="0" width={x(first + stepMs)} height={HEIGHT}>
              <title>{`${instantText(at)}: ${format(value)}`}</title>
            </rect>
          ))}
        </svg>
      </div>
      <div className="row spread muted small" aria-hidden="true">
        <span>{instantText(first)}</span>
        <span>{instantText(last)}</span>
      </div>
      <figcaption className="visually-hidden">
        {`${title}: ${format(points.at(-1)?.value ?? 0)} last, ${format(largest)} at most, from ${instantText(first)} to ${instantText(last)}`}
      </figcaption>
      <details className="small">
        <summary>{keeps === "largest" ? "Largest of each day" : "Last of each day"}</summary>
        <Table
          label={`${title}, by day`}
          columns={[
            { title: "Day", cell: ({ day }) => day },
            { title: keeps === "largest" ? "Largest" : "Last", kind: "number", cell: ({ value }) => format(value) },
          ]}
          rows={[...grouped(samples, ({ at }) => dayText(at))]
            .map(([day, group]) => ({ day, value: standsFor(group, keeps) }))
            .toReversed()}
          keyOf={({ day }) => day}
        />
      </details>
    </figure>
  );
}

/** In order of appearance. */
function grouped<Key>(samples: readonly Sample[], keyOf: (sample: Sample) => Key): ReadonlyMap<Key, readonly Sample[]> {
  const groups = new Map<Key, Sample[]>();
  for (const sample of samples) {
    const group = groups.get(keyOf(sample));
    if (group === undefined) groups.set(keyOf(sample), [sample]);
    else group.push(sample);
  }
  return groups;
}

/** A point alone is drawn as a short dash. */
function pathOf(places: readonly (readonly [number, number])[]): string {
  const line = places.map(([left, top], index) => `${index === 0 ? "M" : "L"}${left} ${top}`).join("");
  return places.length === 1 ? `${line}h${DASH_WIDTH}` : line;
}

function standsFor(group: readonly Sample[], keeps: "largest" | "last"): number {
  return keeps === "largest" ? Math.max(...group.map(({ value }) => value)) : (group.at(-1)?.value ?? 0);
}

/** Points that follow each other without a gap. */
function runsOf(points: readonly Sample[], stepMs: number): Sample[][] {
  const runs: Sample[][] = [];
  let before = Number.NEGATIVE_INFINITY;
  for (const point of points) {
    if (point.at - before > stepMs) runs.push([point]);
    else runs.at(-1)?.push(point);
    before = point.at;
  }
  return runs;
}

function dayText(at: number): string {
  return new Intl.DateTimeFormat("en-GB", { weekday: "short", day: "numeric", month: "short" }).format(at);
}
