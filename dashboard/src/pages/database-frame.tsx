import { useQuery } from "@tanstack/react-query";
import { getRouteApi, Link, Outlet } from "@tanstack/react-router";
import type { Database } from "../../generated/api.ts";
import { usePace } from "../api/live.tsx";
import { query } from "../api/queries.ts";
import { Badge, type Tone } from "../ui/badge.tsx";
import { Loaded } from "../ui/loaded.tsx";
import { Notice, sentence } from "../ui/notice.tsx";
import { PageHead } from "../ui/page-head.tsx";
import { Tabs } from "../ui/tabs.tsx";

const route = getRouteApi("/signed-in/apps/$app/databases/$addon");

const TONES: Readonly<Record<Database["status"], Tone>> = { creating: "busy", running: "good", stopped: "bad" };
const STATUS_INTERVAL_MS = 5000;

/** Title, status and tabs of a database, around each of its pages. */
export function DatabaseFrame() {
  const pace = usePace();
  const params = route.useParams();
  const reply = useQuery({
    ...query("showDatabase", { path: { addon: params.addon } }),
    refetchInterval: pace(STATUS_INTERVAL_MS),
  });
  const database = reply.data?.database;
  return (
    <>
      <PageHead
        title={database?.resource_id ?? "Database"}
        crumbs={[
          <Link key="apps" to="/apps">
            Apps
          </Link>,
          <Link key="app" to="/apps/$app" params={params}>
            {params.app}
          </Link>,
        ]}
        beside={database !== undefined && <Badge tone={TONES[database.status]}>{database.status}</Badge>}
      />
      <DatabaseTabs />
      <Loaded from={reply}>
        {({ database: shown }) => (
          <div className="stack">
            {shown.status === "stopped" && (
              <Notice tone="bad">
                <p>
                  <strong>The database is stopped.</strong> {shown.status_reason}
                </p>
              </Notice>
            )}
            <Health addon={params.addon} />
            <Outlet />
          </div>
        )}
      </Loaded>
    </>
  );
}

/** What is wrong with how it is backed up; nothing while all is well. */
function Health({ addon }: { addon: string }) {
  const pace = usePace();
  const status = useQuery({ ...query("showStatus", {}), refetchInterval: pace(STATUS_INTERVAL_MS) });
  const health = status.data?.databases.find((database) => database.addon_id === addon);
  if (health === undefined || health.problems.length === 0) return null;
  return (
    <Notice tone={health.is_restorable ? "warn" : "bad"}>
      {health.problems.map(({ code, text }) => (
        <p key={code}>{sentence(text)}</p>
      ))}
    </Notice>
  );
}

function DatabaseTabs() {
  const params = route.useParams();
  return (
    <Tabs label="Pages of this database">
      <Link to="/apps/$app/databases/$addon" params={params} activeOptions={{ exact: true }}>
        Overview
      </Link>
      <Link to="/apps/$app/databases/$addon/backups" params={params} activeOptions={{ includeSearch: false }}>
        Backups
      </Link>
      <Link to="/apps/$app/databases/$addon/logs" params={params}>
        Logs
      </Link>
      <Link to="/apps/$app/databases/$addon/settings" params={params}>
        Settings
      </Link>
    </Tabs>
  );
}
