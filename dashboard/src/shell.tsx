import { useQuery, useQueryClient } from "@tanstack/react-query";
import { Link, Outlet, useNavigate } from "@tanstack/react-router";
import { LiveUpdates } from "./api/live.tsx";
import { endSession, SESSION } from "./api/session.ts";
import { Mark } from "./ui/icons.tsx";
import { ThemeButton } from "./ui/theme.tsx";

/** What stands around every page. */
export function Shell() {
  const session = useQuery(SESSION);
  return (
    <>
      <a className="skip-link" href="#content">
        Skip to the content
      </a>
      <header className="top-bar">
        <div className="top-bar-inner">
          <Link to="/apps" className="brand" aria-label="Tidemark">
            <Mark />
            <span>Tidemark</span>
          </Link>
          <nav className="main-nav" aria-label="Main">
            <Link to="/apps">Apps</Link>
            {session.data?.session.user.platform_owner === true && <Link to="/platform">Platform</Link>}
          </nav>
          <UserActions />
        </div>
      </header>
      <main className="page" id="content" tabIndex={-1}>
        <LiveUpdates>
          <Outlet />
        </LiveUpdates>
      </main>
    </>
  );
}

function UserActions() {
  const session = useQuery(SESSION);
  const client = useQueryClient();
  const navigate = useNavigate();
  const logOut = async () => {
    await endSession(client);
    await navigate({ to: "/login" });
    client.clear();
  };
  return (
    <div className="bar-actions">
      <ThemeButton />
      <Link to="/account" className="bar-link" title="Your account">
        {session.data?.session.user.username ?? "Account"}
      </Link>
      <button type="button" className="button plain compact" onClick={logOut}>
        Log out
      </button>
    </div>
  );
}
