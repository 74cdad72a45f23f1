import { useQuery } from "@tanstack/react-query";
import type { ReactNode } from "react";
import { usePace } from "../api/live.tsx";
import { query } from "../api/queries.ts";
import { Block } from "../ui/block.tsx";
import { Loaded } from "../ui/loaded.tsx";
import { durationText, sizeText } from "../ui/size.ts";
import { type Sample, TrendChart } from "../ui/trend-chart.tsx";

/** Samples are of ten minutes: asking more often shows the same. */
const SAMPLES_INTERVAL_MS = 60_000;
/** A stream is a second or two behind as a rule. */
const LAG_TOP_MIN_MS = 5000;
/** Fewer are no line. */
const SAMPLES_MIN = 2;

/** How far the newest restorable moment was behind, over the last days. */
export function LagBlock({ addon }: { addon: string }) {
  const samples = useSamples(addon);
  return (
    <Block title="Lag in the last seven days">
      <Loaded from={samples}>
        {(reply) => (
          <Trend
            samples={reply.samples.flatMap(({ at, lag_seconds: lag }) =>
              lag === null ? [] : { at: Date.parse(at), value: lag * 1000 },
            )}
          >
            {(known) => (
              <TrendChart
                title="Lag of the continuous backups"
                samples={known}
                format={durationText}
                keeps="largest"
                topMin={LAG_TOP_MIN_MS}
              />
            )}
          </Trend>
        )}
      </Loaded>
    </Block>
  );
}

/** How large the database was, over the last days. */
export function SizeBlock({ addon }: { addon: string }) {
  const samples = useSamples(addon);
  return (
    <Block title="Size in the last seven days">
      <Loaded from={samples}>
        {(reply) => (
          <Trend
            samples={reply.samples.flatMap(({ at, size }) =>
              size === null ? [] : { at: Date.parse(at), value: size },
            )}
          >
            {(known) => (
              <TrendChart title="Size of the database" samples={known} format={sizeText} keeps="last" topMin={1} />
            )}
          </Trend>
        )}
      </Loaded>
    </Block>
  );
}

function useSamples(addon: string) {
  const pace = usePace();
  return useQuery({
    ...query("listDatabaseSamples", { path: { addon } }),
    refetchInterval: pace(SAMPLES_INTERVAL_MS),
  });
}

function Trend(props: { samples: readonly Sample[]; children: (samples: readonly Sample[]) => ReactNode }) {
  if (props.samples.length >= SAMPLES_MIN) return props.children(props.samples);
  return (
    <p className="muted">
      It is measured every minute and kept for each ten: there is a line to draw once the database has run for twenty
      minutes.
    </p>
  );
}
