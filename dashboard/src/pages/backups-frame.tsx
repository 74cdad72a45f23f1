import { getRouteApi, Link, Outlet } from "@tanstack/react-router";

const route = getRouteApi("/signed-in/apps/$app/databases/$addon");

export function BackupsFrame() {
  const params = route.useParams();
  return (
    <div className="stack">
      <div>
        <nav className="tabs sub" aria-label="Kinds of backups">
          <Link
            to="/apps/$app/databases/$addon/backups"
            params={params}
            activeOptions={{ exact: true, includeSearch: false }}
          >
            Logical backups
          </Link>
          <Link to="/apps/$app/databases/$addon/backups/continuous" params={params}>
            Continuous backups
          </Link>
        </nav>
      </div>
      <Outlet />
    </div>
  );
}
