import { useQuery } from "@tanstack/react-query";
import { getRouteApi, Link } from "@tanstack/react-router";
import { useState, type FormEvent } from "react";
import type { App } from "../../generated/api.ts";
import { query, useCall } from "../api/queries.ts";
import { Badge } from "../ui/badge.tsx";
import { Block, Empty } from "../ui/block.tsx";
import { Dialog } from "../ui/dialog.tsx";
import { TextField } from "../ui/field.tsx";
import { Icon } from "../ui/icons.tsx";
import { Instant } from "../ui/instant.tsx";
import { Loaded } from "../ui/loaded.tsx";
import { Failure } from "../ui/notice.tsx";
import { type Column, Table } from "../ui/table.tsx";
import { PageHead } from "../ui/page-head.tsx";

const route = getRouteApi("/signed-in/apps");

export function AppsPage() {
  const apps = useQuery(query("listApps", {}));
  const { create } = route.useSearch();
  const navigate = route.useNavigate();
  const createLink = (
    <Link to="/apps" search={{ create: true }} className="button primary">
      <Icon name="plus" />
      Create an app
    </Link>
  );
  return (
    <>
      <PageHead title="Apps" actions={createLink} />
      <Loaded from={apps}>
        {(reply) => (reply.apps.length === 0 ? <NoApps action={createLink} /> : <AppTable apps={reply.apps} />)}
      </Loaded>
      {create === true && <CreateAppDialog onClose={() => navigate({ search: {} })} />}
    </>
  );
}

function NoApps({ action }: { action: React.ReactNode }) {
  return (
    <div className="block">
      <Empty title="No app yet" action={action}>
        An app owns databases and the variables that lead to them. Create one, add a database to it, and it is backed up
        from its first minute.
      </Empty>
    </div>
  );
}

const COLUMNS: readonly Column<App>[] = [
  {
    title: "Name",
    cell: (app) => (
      <Link to="/apps/$app" params={{ app: app.name }}>
        <strong>{app.name}</strong>
      </Link>
    ),
  },
  {
    title: "Status",
    cell: ({ status }) => <Badge tone={status === "running" ? "good" : "quiet"}>{status}</Badge>,
  },
  { title: "Owner", cell: ({ owner }) => owner.username },
  { title: "Created", cell: (app) => <Instant at={app.created_at} /> },
];

function AppTable({ apps }: { apps: readonly App[] }) {
  return (
    <Block title="Your apps" flush>
      <Table label="Your apps" columns={COLUMNS} rows={apps} keyOf={({ id }) => id} />
    </Block>
  );
}

function CreateAppDialog({ onClose }: { onClose: () => void }) {
  const [name, setName] = useState("");
  const navigate = route.useNavigate();
  const create = useCall("createApp", {
    onSuccess: (reply) => void navigate({ to: "/apps/$app/resources", params: { app: reply.app.name }, search: {} }),
  });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    create.mutate({ body: { app: { name } } });
  };
  return (
    <Dialog title="Create an app" onClose={onClose}>
      <form onSubmit={submit} className="stack">
        <TextField
          label="Name"
          value={name}
          onChange={setName}
          autoComplete="off"
          spellCheck={false}
          required
          hint="Lower-case letters, digits and hyphens, such as my-app."
          problems={create.error?.fields["name"]}
        />
        {create.error?.fields["name"] === undefined && <Failure error={create.error} />}
        <div className="dialog-actions">
          <button type="button" className="button" onClick={onClose}>
            Cancel
          </button>
          <button type="submit" className="button primary" disabled={create.isPending}>
            Create
          </button>
        </div>
      </form>
    </Dialog>
  );
}
