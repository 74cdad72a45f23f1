import { useQuery } from "@tanstack/react-query";
import { getRouteApi, Link } from "@tanstack/react-router";
import { useState } from "react";
import type { Addon } from "../../generated/api.ts";
import { usePace } from "../api/live.tsx";
import { query, useCall } from "../api/queries.ts";
import { Block, Empty } from "../ui/block.tsx";
import { ConfirmName } from "../ui/confirm-name.tsx";
import { Icon } from "../ui/icons.tsx";
import { Loaded } from "../ui/loaded.tsx";
import { AddAddonDialog } from "./add-addon-dialog.tsx";
import { AddonList, addonsInterval } from "./addon-list.tsx";

const route = getRouteApi("/signed-in/apps/$app/resources");

export function AppResourcesPage() {
  const pace = usePace();
  const params = route.useParams();
  const { add } = route.useSearch();
  const navigate = route.useNavigate();
  const [removing, setRemoving] = useState<Addon | null>(null);
  const addons = useQuery({
    ...query("listAddons", { path: params }),
    refetchInterval: (current) => pace(addonsInterval(current.state.data?.addons)),
  });
  const addLink = (
    <Link to="/apps/$app/resources" params={params} search={{ add: true }} className="button primary">
      <Icon name="plus" />
      Add an addon
    </Link>
  );
  const removeButton = (addon: Addon) => (
    <button
      type="button"
      className="button danger compact"
      aria-label={`Remove ${addon.resource_id}`}
      onClick={() => setRemoving(addon)}
    >
      Remove
    </button>
  );
  return (
    <div className="stack">
      <Block title="Addons" actions={addLink} flush>
        <Loaded from={addons}>
          {(reply) =>
            reply.addons.length === 0 ? (
              <Empty title="No database yet">
                Add a PostgreSQL database: choose a plan, and it runs within a minute.
              </Empty>
            ) : (
              <AddonList app={params.app} addons={reply.addons} actionsFor={removeButton} />
            )
          }
        </Loaded>
      </Block>
      {add === true && <AddAddonDialog app={params.app} onClose={() => navigate({ search: {} })} />}
      {removing !== null && <RemoveAddon app={params.app} addon={removing} onClose={() => setRemoving(null)} />}
    </div>
  );
}

function RemoveAddon({ app, addon, onClose }: { app: string; addon: Addon; onClose: () => void }) {
  const remove = useCall("removeAddon", { onSuccess: onClose });
  return (
    <ConfirmName
      title={`Remove ${addon.resource_id}`}
      name={addon.resource_id}
      action="Remove the database"
      isPending={remove.isPending}
      error={remove.error}
      onConfirm={() => remove.mutate({ path: { app, addon: addon.id } })}
      onClose={onClose}
    >
      <p>
        The server, its data and its continuous backups go at once. Its logical backups stay for as long as the plan
        says.
      </p>
    </ConfirmName>
  );
}
