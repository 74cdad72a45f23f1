import { Link } from "@tanstack/react-router";
import { PageHead } from "../ui/page-head.tsx";

export function NotFoundPage() {
  return (
    <>
      <PageHead title="There is nothing at this address" />
      <div className="stack">
        <p className="muted">It may have been removed, or it belongs to somebody else.</p>
        <div>
          <Link to="/apps" className="button primary">
            To your apps
          </Link>
        </div>
      </div>
    </>
  );
}
