import { keepPreviousData, useQuery } from "@tanstack/react-query";
import { getRouteApi } from "@tanstack/react-router";
import { useState, type FormEvent } from "react";
import type { AuditedEvent } from "../../generated/api.ts";
import { query } from "../api/queries.ts";
import { Block, Empty } from "../ui/block.tsx";
import { TextField } from "../ui/field.tsx";
import { Loaded } from "../ui/loaded.tsx";
import type { Column } from "../ui/table.tsx";
import { EventList } from "./event-list.tsx";
import { Pages } from "./page-links.tsx";

const route = getRouteApi("/signed-in/platform/audit");

const MORE: readonly Column<AuditedEvent>[] = [
  { title: "App", cell: (event) => event.app_name },
  { title: "From", cell: ({ address }) => <span className="mono small">{address}</span> },
];

export function AuditPage() {
  const { page = 1, app, user } = route.useSearch();
  const filter = { ...(app === undefined ? {} : { app }), ...(user === undefined ? {} : { user }) };
  const events = useQuery({
    ...query("listAudit", { query: { page, ...filter } }),
    placeholderData: keepPreviousData,
  });
  return (
    <Block title="Audit log" flush>
      <AuditFilter key={`${app} ${user}`} />
      <Loaded from={events}>
        {(reply) =>
          reply.events.length === 0 ? (
            <Empty title="No event">Nothing on this platform matches.</Empty>
          ) : (
            <>
              <EventList events={reply.events} more={MORE} />
              <Pages meta={reply.meta} />
            </>
          )
        }
      </Loaded>
    </Block>
  );
}

function AuditFilter() {
  const search = route.useSearch();
  const navigate = route.useNavigate();
  const [app, setApp] = useState(search.app ?? "");
  const [user, setUser] = useState(search.user ?? "");
  const submit = (event: FormEvent) => {
    event.preventDefault();
    void navigate({ search: { ...(app === "" ? {} : { app }), ...(user === "" ? {} : { user }) } });
  };
  return (
    <form onSubmit={submit} className="inline-form block-body">
      <TextField label="App" value={app} onChange={setApp} autoComplete="off" />
      <TextField label="User" value={user} onChange={setUser} autoComplete="off" />
      <button type="submit" className="button">
        Filter
      </button>
    </form>
  );
}
