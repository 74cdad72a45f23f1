import { useQuery } from "@tanstack/react-query";
import { getRouteApi } from "@tanstack/react-router";
import type { RecoveryWindow } from "../../generated/api.ts";
import { query } from "../api/queries.ts";
import { Block, Empty } from "../ui/block.tsx";
import { Facts } from "../ui/facts.tsx";
import { Ago, Instant } from "../ui/instant.tsx";
import { Loaded } from "../ui/loaded.tsx";
import { WindowTimeline } from "./window-timeline.tsx";

const route = getRouteApi("/signed-in/apps/$app/databases/$addon");
const WINDOW_INTERVAL_MS = 2000;

export function ContinuousBackupsPage() {
  const { addon } = route.useParams();
  const recovery = useQuery({
    ...query("showRecoveryWindow", { path: { addon } }),
    refetchInterval: WINDOW_INTERVAL_MS,
  });
  return (
    <Block title="Point-in-Time Recovery">
      <Loaded from={recovery}>
        {({ recovery_window: range }) =>
          range.earliest_recoverable_at === null ? (
            <Empty title="No moment can be restored yet">
              The recovery window opens as soon as the first base backup is stored: on a small database that takes
              seconds. Nothing has to be set up.
            </Empty>
          ) : (
            <WindowFacts range={range} />
          )
        }
      </Loaded>
    </Block>
  );
}

function WindowFacts({ range }: { range: RecoveryWindow }) {
  return (
    <>
      <WindowTimeline range={range} />
      <Facts
        rows={[
          [
            "Restorable",
            <>
              from <Instant at={range.earliest_recoverable_at} /> to <Instant at={range.latest_recoverable_at} />
            </>,
          ],
          ["Behind the server", <Ago at={range.latest_recoverable_at} />],
          ["Base backups", String(range.base_backups)],
          ["Receiver of the log", streamText(range)],
        ]}
      />
    </>
  );
}

function streamText({ stream }: RecoveryWindow): string {
  if (stream === null) return "not started yet";
  return stream.reason === null ? stream.state : `${stream.state}: ${stream.reason}`;
}
