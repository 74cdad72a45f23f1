import { keepPreviousData, useQuery } from "@tanstack/react-query";
import { getRouteApi } from "@tanstack/react-router";
import type { DatabaseStatus } from "../../generated/api.ts";
import { usePace } from "../api/live.tsx";
import { query } from "../api/queries.ts";
import { Badge, type Tone } from "../ui/badge.tsx";
import { Block, Empty } from "../ui/block.tsx";
import { Ago } from "../ui/instant.tsx";
import { Loaded } from "../ui/loaded.tsx";
import { sentence } from "../ui/notice.tsx";
import { durationText, sizeText } from "../ui/size.ts";
import { type Column, Table } from "../ui/table.tsx";
import { Pages } from "./page-links.tsx";

const route = getRouteApi("/signed-in/platform/");
const HEALTH_INTERVAL_MS = 5000;

const TONES: Readonly<Record<DatabaseStatus["continuous"]["state"], Tone>> = {
  healthy: "good",
  delayed: "warn",
  stale: "bad",
};

const COLUMNS: readonly Column<DatabaseStatus>[] = [
  {
    title: "Database",
    cell: (database) => (
      <>
        <strong>{database.resource_id}</strong>
        <div className="muted small">
          {database.app}, of {database.owner}
        </div>
      </>
    ),
  },
  {
    title: "Backed up",
    cell: (database) => (
      <Badge tone={database.is_restorable ? "good" : "bad"}>
        {database.is_restorable ? "as promised" : "not as promised"}
      </Badge>
    ),
  },
  {
    title: "Continuous",
    cell: ({ continuous }) => <Badge tone={TONES[continuous.state]}>{continuous.state}</Badge>,
  },
  {
    title: "Lag",
    kind: "number",
    cell: ({ restorable }) =>
      restorable === null || restorable.lag_seconds === null ? "none" : durationText(restorable.lag_seconds * 1000),
  },
  {
    title: "Log held back",
    kind: "number",
    cell: ({ continuous }) => (continuous.retained_wal_bytes === null ? "" : sizeText(continuous.retained_wal_bytes)),
  },
  {
    title: "Last good backup",
    cell: ({ last_good_backup: last }) => (last === null ? "none yet" : <Ago at={last.ended_at} />),
  },
];

/** All databases of the platform, worst health first. */
export function PlatformDatabasesPage() {
  const pace = usePace();
  const { page = 1 } = route.useSearch();
  const databases = useQuery({
    ...query("listPlatformDatabases", { query: { page } }),
    refetchInterval: pace(HEALTH_INTERVAL_MS),
    placeholderData: keepPreviousData,
  });
  return (
    <Block title="All databases, worst health first" flush>
      <Loaded from={databases}>
        {(reply) =>
          reply.databases.length === 0 ? (
            <Empty title="No database yet">Each database that somebody adds is watched here.</Empty>
          ) : (
            <>
              <Table
                label="All databases, worst health first"
                columns={COLUMNS}
                rows={reply.databases}
                keyOf={(database) => database.addon_id}
                detail={({ problems }) => (problems.length === 0 ? null : <Problems problems={problems} />)}
              />
              <Pages meta={reply.meta} />
            </>
          )
        }
      </Loaded>
    </Block>
  );
}

/** What is wrong with how a database is backed up, most urgent first. */
export function Problems({ problems }: { problems: DatabaseStatus["problems"] }) {
  return (
    <div className="notice warn">
      {problems.map(({ code, text }) => (
        <p key={code}>{sentence(text)}</p>
      ))}
    </div>
  );
}
