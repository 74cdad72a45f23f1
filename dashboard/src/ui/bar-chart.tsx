const HEIGHT = 110;
const BAR_WIDTH = 14;
const GAP = 6;
/** Least height of a bar, so that a small value is seen to be there. */
const BAR_HEIGHT_MIN = 2;

export interface Bar {
  readonly id: string;
  readonly name: string;
  readonly value: number;
}

/** Bars from 0 to the largest value, which the axis names. Each bar tells its own when pointed at; screen readers get all as a list. */
export function BarChart(props: { title: string; bars: readonly Bar[]; format: (value: number) => string }) {
  const { bars, format } = props;
  const largest = Math.max(...bars.map(({ value }) => value), 1);
  const width = bars.length * (BAR_WIDTH + GAP) + GAP;
  return (
    <figure className="chart">
      <div className="muted small chart-axis" aria-hidden="true">
        <span>{format(largest)}</span>
        <span>0</span>
      </div>
      <svg viewBox={`0 0 ${width} ${HEIGHT}`} preserveAspectRatio="none" aria-hidden="true">
        {bars.map(({ id, name, value }, index) => {
          const height = Math.max(BAR_HEIGHT_MIN, (value / largest) * HEIGHT);
          return (
            <rect
              key={id}
              x={GAP + index * (BAR_WIDTH + GAP)}
              y={HEIGHT - height}
              width={BAR_WIDTH}
              height={height}
              rx="2"
            >
              <title>{`${name}: ${format(value)}`}</title>
            </rect>
          );
        })}
      </svg>
      <figcaption className="visually-hidden">
        {props.title}: {bars.map(({ name, value }) => `${name}: ${format(value)}`).join("; ")}
      </figcaption>
    </figure>
  );
}
