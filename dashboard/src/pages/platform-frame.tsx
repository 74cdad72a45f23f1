import { Link, Outlet } from "@tanstack/react-router";
import { PageHead } from "../ui/page-head.tsx";

/** What the owner of the platform sees of all of it. */
export function PlatformFrame() {
  return (
    <>
      <PageHead title="Platform" />
      <nav className="tabs" aria-label="Pages of the platform">
        <Link to="/platform" activeOptions={{ exact: true, includeSearch: false }}>
          Databases
        </Link>
        <Link to="/platform/queue" activeOptions={{ includeSearch: false }}>
          Queue
        </Link>
        <Link to="/platform/audit" activeOptions={{ includeSearch: false }}>
          Audit log
        </Link>
      </nav>
      <Outlet />
    </>
  );
}
