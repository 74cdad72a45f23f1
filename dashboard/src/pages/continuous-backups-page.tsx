import { useQuery } from "@tanstack/react-query";
import { getRouteApi, Link } from "@tanstack/react-router";
import type { RecoveryWindow } from "../../generated/api.ts";
import { usePace } from "../api/live.tsx";
import { query } from "../api/queries.ts";
import { Block, Empty } from "../ui/block.tsx";
import { Facts } from "../ui/facts.tsx";
import { Ago, Instant, useNow } from "../ui/instant.tsx";
import { Loaded } from "../ui/loaded.tsx";
import { durationText } from "../ui/size.ts";
import { RestoreDialog } from "./restore-dialog.tsx";
import { RestoreHistory } from "./restore-history.tsx";
import { WindowTimeline } from "./window-timeline.tsx";

const route = getRouteApi("/signed-in/apps/$app/databases/$addon/backups/continuous");
const WINDOW_INTERVAL_MS = 2000;

export function ContinuousBackupsPage() {
  const pace = usePace();
  const params = route.useParams();
  const { restore } = route.useSearch();
  const navigate = route.useNavigate();
  const recovery = useQuery({
    ...query("showRecoveryWindow", { path: { addon: params.addon } }),
    refetchInterval: pace(WINDOW_INTERVAL_MS),
  });
  const range = recovery.data?.recovery_window;
  const start = range !== undefined && range.earliest_recoverable_at !== null && (
    <Link
      to="/apps/$app/databases/$addon/backups/continuous"
      params={params}
      search={{ restore: true }}
      className="button primary"
    >
      Start a PiTR
    </Link>
  );
  return (
    <>
      <Block title="Point-in-Time Recovery" actions={start}>
        <Loaded from={recovery}>
          {(reply) =>
            reply.recovery_window.earliest_recoverable_at === null ? (
              <Empty title="No moment can be restored yet">
                The recovery window opens as soon as the first base backup is stored: on a small database that takes
                seconds. Nothing has to be set up.
              </Empty>
            ) : (
              <WindowFacts
                range={reply.recovery_window}
                onChoose={(at) => navigate({ search: { restore: true, at: at.toISOString() } })}
              />
            )
          }
        </Loaded>
      </Block>
      <RestoreHistory addon={params.addon} />
      {restore === true && range !== undefined && (
        <RestoreDialog addon={params.addon} range={range} onClose={() => navigate({ search: {} })} />
      )}
    </>
  );
}

function WindowFacts({ range, onChoose }: { range: RecoveryWindow; onChoose: (at: Date) => void }) {
  return (
    <>
      <WindowTimeline range={range} onChoose={onChoose} />
      <p className="muted small">
        Click the line to choose a moment, or choose it by date and time with the button above.
      </p>
      <Facts
        rows={[
          [
            "Restorable",
            <>
              from <Instant at={range.earliest_recoverable_at} /> (<Ago at={range.earliest_recoverable_at} />) to{" "}
              <Instant at={range.latest_recoverable_at} />
            </>,
          ],
          ["Lag now", <Lag at={range.latest_recoverable_at} />],
          ["Base backups", String(range.base_backups)],
          ["Branches", range.branches.length > 1 ? `${range.branches.length}, each made by a restore` : undefined],
          ["Receiver of the log", streamText(range)],
        ]}
      />
    </>
  );
}

/** How far the newest stored change lies behind the clock. */
function Lag({ at }: { at: string | null }) {
  const now = useNow();
  return at === null ? "unknown" : durationText(now - Date.parse(at));
}

function streamText({ stream }: RecoveryWindow): string {
  if (stream === null) return "not started yet";
  return stream.reason === null ? stream.state : `${stream.state}: ${stream.reason}`;
}
