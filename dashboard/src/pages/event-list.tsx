import type { Event } from "../../generated/api.ts";
import { Ago, Instant } from "../ui/instant.tsx";
import { type Column, Table } from "../ui/table.tsx";

const COLUMNS: readonly Column<Event>[] = [
  {
    title: "When",
    cell: (event) => (
      <>
        <Ago at={event.created_at} />
        <div className="muted small">
          <Instant at={event.created_at} />
        </div>
      </>
    ),
  },
  {
    title: "What",
    cell: (event) => (
      <>
        <strong>{event.title}</strong>
        <div className="muted small">{event.text}</div>
      </>
    ),
  },
  { title: "Who", cell: ({ user }) => user.username },
];

/** One page of events, newest first. `more` stand after who did it. */
export function EventList<Each extends Event>(props: { events: readonly Each[]; more?: readonly Column<Each>[] }) {
  return (
    <Table
      label="Events, newest first"
      columns={[...COLUMNS, ...(props.more ?? [])]}
      rows={props.events}
      keyOf={({ id }) => id}
    />
  );
}
