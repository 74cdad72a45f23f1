import { keepPreviousData, useQuery } from "@tanstack/react-query";
import { getRouteApi } from "@tanstack/react-router";
import { query } from "../api/queries.ts";
import { Block, Empty } from "../ui/block.tsx";
import { Loaded } from "../ui/loaded.tsx";
import { EventList } from "./event-list.tsx";
import { Pages } from "./page-links.tsx";

const route = getRouteApi("/signed-in/apps/$app/activity");

export function AppActivityPage() {
  const { app } = route.useParams();
  const { page = 1 } = route.useSearch();
  const events = useQuery({
    ...query("listAppEvents", { path: { app }, query: { page } }),
    placeholderData: keepPreviousData,
  });
  return (
    <Block title="Activity" flush>
      <Loaded from={events}>
        {(reply) =>
          reply.events.length === 0 ? (
            <Empty title="Nothing happened yet">Backups, restores, changes and who made them are told here.</Empty>
          ) : (
            <>
              <EventList events={reply.events} />
              <Pages meta={reply.meta} />
            </>
          )
        }
      </Loaded>
    </Block>
  );
}
