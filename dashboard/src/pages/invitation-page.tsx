import { useQuery } from "@tanstack/react-query";
import { getRouteApi, Link } from "@tanstack/react-router";
import { query } from "../api/queries.ts";
import { Empty } from "../ui/block.tsx";
import { Loaded } from "../ui/loaded.tsx";
import { PageHead } from "../ui/page-head.tsx";

const route = getRouteApi("/signed-in/invitations/$token");

/** Where the link of an invitation leads: accepting needs no more than being logged in. */
export function InvitationPage() {
  const { token } = route.useParams();
  const accepted = useQuery({
    ...query("acceptInvitation", { query: { token } }),
    staleTime: Infinity,
    retry: false,
  });
  return (
    <>
      <PageHead title="Invitation" />
      <Loaded from={accepted}>
        {({ app }) => (
          <Empty
            title={`You are a collaborator of ${app.name} now`}
            action={
              <Link to="/apps/$app" params={{ app: app.name }} className="button primary">
                Open {app.name}
              </Link>
            }
          >
            Its databases and backups are among your apps from now on.
          </Empty>
        )}
      </Loaded>
    </>
  );
}
