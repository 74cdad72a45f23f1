import { getRouteApi } from "@tanstack/react-router";
import { useEffect, useRef, useState } from "react";
import { useQuery } from "@tanstack/react-query";
import { call } from "../api/call.ts";
import { readError, type ApiError } from "../api/api-error.ts";
import { Block, Empty } from "../ui/block.tsx";
import { Check } from "../ui/field.tsx";
import { Loaded } from "../ui/loaded.tsx";

const route = getRouteApi("/signed-in/apps/$app/databases/$addon");

const LINES_SHOWN = 300;
/** As often as a person reads on. */
const FOLLOW_INTERVAL_MS = 1500;

/** The last lines of the server's log, followed while the box is ticked. */
export function DatabaseLogsPage() {
  const { addon } = route.useParams();
  const [isFollowing, setIsFollowing] = useState(true);
  const log = useQuery<string, ApiError>({
    queryKey: ["log", addon],
    queryFn: ({ signal }) => readLog(addon, signal),
    refetchInterval: isFollowing ? FOLLOW_INTERVAL_MS : false,
  });
  const follow = (
    <Check checked={isFollowing} onChange={setIsFollowing}>
      Follow
    </Check>
  );
  return (
    <Block title="Log of the server" actions={follow} flush>
      <Loaded from={log}>
        {(text) =>
          text === "" ? (
            <Empty title="Nothing yet">The server has written nothing since its log began.</Empty>
          ) : (
            <LogText text={text} isFollowing={isFollowing} />
          )
        }
      </Loaded>
    </Block>
  );
}

function LogText({ text, isFollowing }: { text: string; isFollowing: boolean }) {
  const element = useRef<HTMLPreElement>(null);
  useEffect(() => {
    if (isFollowing && element.current !== null) element.current.scrollTop = element.current.scrollHeight;
  }, [text, isFollowing]);
  return (
    <pre ref={element} className="log" tabIndex={0} role="log" aria-label="Log of the server">
      {text}
    </pre>
  );
}

async function readLog(addon: string, signal: AbortSignal): Promise<string> {
  const { url } = await call("linkDatabaseLog", { path: { addon } }, { signal });
  const { pathname, searchParams } = new URL(url);
  searchParams.set("n", String(LINES_SHOWN));
  const response = await fetch(`${pathname}?${searchParams.toString()}`, { signal });
  if (!response.ok) throw await readError(response);
  return await response.text();
}
