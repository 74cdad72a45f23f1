import { keepPreviousData, useQuery } from "@tanstack/react-query";
import { getRouteApi, Link } from "@tanstack/react-router";
import type { Operation } from "../../generated/api.ts";
import { usePace } from "../api/live.tsx";
import { query } from "../api/queries.ts";
import { Badge, type Tone } from "../ui/badge.tsx";
import { Block, Empty } from "../ui/block.tsx";
import { Ago } from "../ui/instant.tsx";
import { Loaded } from "../ui/loaded.tsx";
import { sizeText } from "../ui/size.ts";
import { type Column, Table } from "../ui/table.tsx";
import { Pages } from "./page-links.tsx";

const route = getRouteApi("/signed-in/platform/queue");
const QUEUE_INTERVAL_MS = 2000;

const TONES: Readonly<Record<Operation["state"], Tone>> = {
  scheduled: "quiet",
  running: "busy",
  done: "good",
  error: "bad",
};
const STATES = [
  { state: "open", text: "Under way" },
  { state: "done", text: "Done" },
  { state: "error", text: "Failed" },
] as const;

const COLUMNS: readonly Column<Operation>[] = [
  { title: "What", cell: ({ kind }) => <strong>{kind.replaceAll("_", " ")}</strong> },
  {
    title: "Database",
    cell: (operation) => (
      <>
        {operation.resource_id} <span className="muted small">{operation.app}</span>
      </>
    ),
  },
  { title: "State", cell: ({ state }) => <Badge tone={TONES[state]}>{state}</Badge> },
  { title: "Begun", cell: (operation) => <Ago at={operation.started_at ?? operation.created_at} /> },
  { title: "Attempt", kind: "number", cell: ({ attempt }) => attempt },
  {
    title: "Progress",
    kind: "number",
    cell: ({ progress_bytes: bytes }) => (bytes === 0 ? "" : sizeText(bytes)),
  },
];

/** The platform's long work. */
export function PlatformQueuePage() {
  const pace = usePace();
  const { page = 1, state = "open" } = route.useSearch();
  const operations = useQuery({
    ...query("listPlatformOperations", { query: { page, state } }),
    refetchInterval: pace(QUEUE_INTERVAL_MS),
    placeholderData: keepPreviousData,
  });
  return (
    <div className="stack">
      <div>
        <nav className="tabs sub" aria-label="States of work">
          {STATES.map((each) => (
            <Link
              key={each.state}
              to="/platform/queue"
              // Told that it is undefined, the first isn't also the present one while another is.
              search={{ state: each.state === "open" ? undefined : each.state }}
              activeOptions={{ explicitUndefined: true }}
            >
              {each.text}
            </Link>
          ))}
        </nav>
      </div>
      <Block title="Queue" flush>
        <Loaded from={operations}>
          {(reply) =>
            reply.operations.length === 0 ? (
              <Empty title="Nothing here">
                Backups, restores and changes of servers appear while they are in this state.
              </Empty>
            ) : (
              <>
                <Table
                  label="Operations, newest first"
                  columns={COLUMNS}
                  rows={reply.operations}
                  keyOf={({ id }) => id}
                  detail={({ error }) => (error === null ? null : <div className="notice bad">{error.message}</div>)}
                />
                <Pages meta={reply.meta} />
              </>
            )
          }
        </Loaded>
      </Block>
    </div>
  );
}
