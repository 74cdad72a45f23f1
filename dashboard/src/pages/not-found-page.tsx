import { Link } from "@tanstack/react-router";
import { Empty } from "../ui/block.tsx";

export function NotFoundPage() {
  return (
    <Empty
      title="There is nothing at this address"
      action={
        <Link to="/apps" className="button primary">
          To your apps
        </Link>
      }
    >
      It may have been removed, or it belongs to somebody else.
    </Empty>
  );
}
