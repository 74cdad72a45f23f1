import { useQuery } from "@tanstack/react-query";
import { getRouteApi, Link, Outlet } from "@tanstack/react-router";
import { query } from "../api/queries.ts";
import { Loaded } from "../ui/loaded.tsx";
import { PageHead } from "../ui/page-head.tsx";
import { Tabs } from "../ui/tabs.tsx";

const route = getRouteApi("/signed-in/apps/$app");

/** Title and tabs of an app, around each of its pages. */
export function AppFrame() {
  const params = route.useParams();
  const app = useQuery(query("showApp", { path: params }));
  return (
    <>
      <PageHead
        title={params.app}
        crumbs={[
          <Link key="apps" to="/apps">
            Apps
          </Link>,
        ]}
      />
      <Tabs label={`Pages of ${params.app}`}>
        <Link to="/apps/$app" params={params} activeOptions={{ exact: true, includeSearch: false }}>
          Overview
        </Link>
        <Link to="/apps/$app/resources" params={params} activeOptions={{ includeSearch: false }}>
          Resources
        </Link>
        <Link to="/apps/$app/environment" params={params} activeOptions={{ includeSearch: false }}>
          Environment
        </Link>
        <Link to="/apps/$app/activity" params={params} activeOptions={{ includeSearch: false }}>
          Activity
        </Link>
        <Link to="/apps/$app/settings" params={params}>
          Settings
        </Link>
      </Tabs>
      <Loaded from={app}>{() => <Outlet />}</Loaded>
    </>
  );
}
