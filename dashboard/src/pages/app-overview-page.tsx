import { useQuery } from "@tanstack/react-query";
import { getRouteApi, Link } from "@tanstack/react-router";
import { usePace } from "../api/live.tsx";
import { query } from "../api/queries.ts";
import { Block, Empty } from "../ui/block.tsx";
import { Loaded } from "../ui/loaded.tsx";
import { AddonList, addonsInterval } from "./addon-list.tsx";

const route = getRouteApi("/signed-in/apps/$app");

export function AppOverviewPage() {
  const pace = usePace();
  const params = route.useParams();
  const addons = useQuery({
    ...query("listAddons", { path: params }),
    refetchInterval: (current) => pace(addonsInterval(current.state.data?.addons)),
  });
  return (
    <div className="stack">
      <Block title="Addons" flush>
        <Loaded from={addons}>
          {(reply) =>
            reply.addons.length === 0 ? (
              <Empty
                title="No database yet"
                action={
                  <Link to="/apps/$app/resources" params={params} search={{ add: true }} className="button primary">
                    Add an addon
                  </Link>
                }
              >
                Add one: it gets a server of its own, its address in the variable SCALINGO_POSTGRESQL_URL, and backups
                from its first minute.
              </Empty>
            ) : (
              <AddonList app={params.app} addons={reply.addons} />
            )
          }
        </Loaded>
      </Block>
    </div>
  );
}
