import { useQuery } from "@tanstack/react-query";
import { getRouteApi, Link } from "@tanstack/react-router";
import type { DatabaseStatus, RecoveryWindow } from "../../generated/api.ts";
import { usePace } from "../api/live.tsx";
import { query } from "../api/queries.ts";
import { Block, Empty } from "../ui/block.tsx";
import { Facts } from "../ui/facts.tsx";
import { Ago, Instant, useNow } from "../ui/instant.tsx";
import { Loaded } from "../ui/loaded.tsx";
import { durationText, sizeText } from "../ui/size.ts";
import { Table } from "../ui/table.tsx";
import { LagBlock } from "./trend-blocks.tsx";
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
                addon={params.addon}
                range={reply.recovery_window}
                onChoose={(at) => navigate({ search: { restore: true, at: at.toISOString() } })}
              />
            )
          }
        </Loaded>
      </Block>
      <LagBlock addon={params.addon} />
      <RestoreHistory addon={params.addon} />
      {restore === true && range !== undefined && (
        <RestoreDialog addon={params.addon} range={range} onClose={() => navigate({ search: {} })} />
      )}
    </>
  );
}

function WindowFacts(props: { addon: string; range: RecoveryWindow; onChoose: (at: Date) => void }) {
  const { range, onChoose } = props;
  // As the database's frame asks for it.
  const status = useQuery(query("showStatus", {}));
  const now = useNow();
  const health = status.data?.databases.find((database) => database.addon_id === props.addon);
  const lagMs = lagOf(health, now - status.dataUpdatedAt);
  return (
    <>
      <WindowTimeline range={range} lagMs={lagMs} onChoose={onChoose} />
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
          ["Lag now", lagText(health, lagMs)],
          ["Base backups", String(range.base_backups)],
          ["Branches", range.branches.length > 1 ? `${range.branches.length}, each made by a restore` : undefined],
          ["Receiver of the log", streamText(range)],
        ]}
      />
      <BaseBackupList range={range} />
    </>
  );
}

/** How far the newest restorable moment is behind. A server that has written nothing since is not behind, however old its last change is. */
function lagOf(health: DatabaseStatus | undefined, ageMs: number): number | null {
  const lag = health?.restorable?.lag_seconds ?? null;
  return lag === null ? null : lag * 1000 + Math.max(0, ageMs);
}

function lagText(health: DatabaseStatus | undefined, lagMs: number | null): string {
  if (lagMs !== null) return durationText(lagMs);
  return health?.status === "stopped" ? "none: the database is stopped, and writes nothing" : "not known yet";
}

/** The marks on the line, for whoever reads rather than looks. */
function BaseBackupList({ range }: { range: RecoveryWindow }) {
  const live = range.branches.find((branch) => branch.is_live);
  return (
    <details>
      <summary>Base backups, newest first</summary>
      <Table
        label="Base backups, newest first"
        columns={[
          { title: "Done", cell: ({ finished_at: at }) => <Instant at={at} /> },
          {
            title: "Branch",
            cell: ({ branch_id: id, timeline }) =>
              id === live?.id && (live.timeline === null || live.timeline === timeline)
                ? "the one that goes on"
                : `timeline ${timeline}`,
          },
          { title: "Data", kind: "number", cell: ({ data_size: bytes }) => sizeText(bytes) },
          { title: "Stored", kind: "number", cell: ({ stored_size: bytes }) => sizeText(bytes) },
        ]}
        rows={range.newest_base_backups}
        keyOf={({ id }) => id}
      />
    </details>
  );
}

function streamText({ stream }: RecoveryWindow): string {
  if (stream === null) return "not started yet";
  return stream.reason === null ? stream.state : `${stream.state}: ${stream.reason}`;
}
