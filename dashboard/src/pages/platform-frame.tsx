import { useQuery } from "@tanstack/react-query";
import { Link, Outlet } from "@tanstack/react-router";
import { SESSION } from "../api/session.ts";
import { PageHead } from "../ui/page-head.tsx";
import { Tabs } from "../ui/tabs.tsx";
import { NotFoundPage } from "./not-found-page.tsx";

/** What the owner of the platform sees of all of it. To others it isn't there; the API would refuse them each part of it. */
export function PlatformFrame() {
  const session = useQuery(SESSION);
  if (session.data?.session.user.platform_owner !== true) return <NotFoundPage />;
  return (
    <>
      <PageHead title="Platform" />
      <Tabs label="Pages of the platform">
        <Link to="/platform" activeOptions={{ exact: true, includeSearch: false }}>
          Databases
        </Link>
        <Link to="/platform/queue" activeOptions={{ includeSearch: false }}>
          Queue
        </Link>
        <Link to="/platform/users" activeOptions={{ includeSearch: false }}>
          Users
        </Link>
        <Link to="/platform/audit" activeOptions={{ includeSearch: false }}>
          Audit log
        </Link>
      </Tabs>
      <Outlet />
    </>
  );
}
