import { useQuery, useQueryClient } from "@tanstack/react-query";
import { Link, Outlet, useNavigate } from "@tanstack/react-router";
import { query } from "./api/queries.ts";
import { endSession } from "./api/session.ts";
import { Mark } from "./ui/icons.tsx";
import { ThemeButton } from "./ui/theme.tsx";

/** What stands around every page. */
export function Shell() {
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
          </nav>
          <UserActions />
        </div>
      </header>
      <main className="page" id="content" tabIndex={-1}>
        <Outlet />
      </main>
    </>
  );
}

function UserActions() {
  const self = useQuery(query("showSelf", {}));
  const client = useQueryClient();
  const navigate = useNavigate();
  const logOut = async () => {
    await endSession();
    client.clear();
    await navigate({ to: "/login" });
  };
  return (
    <div className="bar-actions">
      <ThemeButton />
      <Link to="/account" className="bar-link" title="Your account">
        {self.data?.user.username ?? "Account"}
      </Link>
      <button type="button" className="button plain compact" onClick={logOut}>
        Log out
      </button>
    </div>
  );
}
