import { useQueryClient } from "@tanstack/react-query";
import { getRouteApi, Link } from "@tanstack/react-router";
import { useState } from "react";
import { useCall } from "../api/queries.ts";
import { Block } from "../ui/block.tsx";
import { NotifiersBlock } from "./notifiers-block.tsx";
import { CollaboratorsBlock } from "./collaborators-block.tsx";
import { ConfirmName } from "../ui/confirm-name.tsx";

const route = getRouteApi("/signed-in/apps/$app");

export function AppSettingsPage() {
  const { app } = route.useParams();
  const [isRemoving, setIsRemoving] = useState(false);
  return (
    <div className="stack">
      <NotifiersBlock app={app} />
      <CollaboratorsBlock app={app} />
      <Block title="SSH keys">
        <div className="row spread">
          <p className="muted">
            Tunnels to the app's databases open to the keys of whoever may connect to them. Yours are part of your
            account.
          </p>
          <Link to="/account" className="button">
            Your keys
          </Link>
        </div>
      </Block>
      <Block title="Delete the app">
        <div className="row spread">
          <p className="muted">
            Its databases and their continuous backups go; logical backups stay for as long as their plans say.
          </p>
          <button type="button" className="button danger" onClick={() => setIsRemoving(true)}>
            Delete the app
          </button>
        </div>
      </Block>
      {isRemoving && <RemoveApp app={app} onClose={() => setIsRemoving(false)} />}
    </div>
  );
}

function RemoveApp({ app, onClose }: { app: string; onClose: () => void }) {
  const navigate = route.useNavigate();
  const client = useQueryClient();
  const remove = useCall("removeApp", {
    onSuccess: () => {
      client.removeQueries({ queryKey: ["showApp"] });
      void navigate({ to: "/apps" });
    },
  });
  return (
    <ConfirmName
      title={`Delete ${app}`}
      name={app}
      action="Delete the app"
      isPending={remove.isPending}
      error={remove.error}
      onConfirm={() => remove.mutate({ path: { app }, query: { current_name: app } })}
      onClose={onClose}
    >
      <p>This removes the app {app}, its databases and their data.</p>
    </ConfirmName>
  );
}
