import { Link } from "@tanstack/react-router";
import type { Event, PageMeta } from "../../generated/api.ts";
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

/** Links to the pages around this one; nothing when there is one page. */
export function Pages({ meta: { pagination } }: { meta: PageMeta }) {
  const { current_page: page, total_pages: total, prev_page: previous, next_page: next } = pagination;
  if (total <= 1) return null;
  return (
    <nav className="pages" aria-label="Pages">
      {previous === null ? <span /> : <PageLink page={previous} text="Newer" />}
      <span className="muted">
        Page {page} of {total}
      </span>
      {next === null ? <span /> : <PageLink page={next} text="Older" />}
    </nav>
  );
}

function PageLink({ page, text }: { page: number; text: string }) {
  return (
    <Link from="/" to="." search={(search) => ({ ...search, page })} className="button compact">
      {text}
    </Link>
  );
}
