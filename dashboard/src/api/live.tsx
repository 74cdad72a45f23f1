import { useQuery, useQueryClient } from "@tanstack/react-query";
import { createContext, type ReactNode, useContext, useEffect, useState } from "react";
import { followChanges } from "./change-stream.ts";
import { createRefresher } from "./change-topics.ts";
import { SESSION } from "./session.ts";

/** While changes are told, pages ask this seldom: for what a fault of that might have kept from them. */
const SAFETY_INTERVAL_MS = 60_000;
/** A cookie that is gone ends no stream: whether the session goes on is asked for by itself. */
const SESSION_INTERVAL_MS = 20_000;

const LiveContext = createContext(false);

/** Around the pages of whoever is logged in: what changes is fetched again as the platform tells of it. While it doesn't, each page asks at its own pace. */
export function LiveUpdates({ children }: { children: ReactNode }) {
  const client = useQueryClient();
  const [isLive, setLive] = useState(false);
  useEffect(() => followChanges({ onChanges: createRefresher(client), onLive: setLive }), [client]);
  useQuery({ ...SESSION, refetchInterval: isLive ? SESSION_INTERVAL_MS : false });
  return <LiveContext value={isLive}>{children}</LiveContext>;
}

/** How often to ask, given how often to ask while changes are not told. */
export function usePace(): (intervalMs: number) => number {
  const isLive = useContext(LiveContext);
  return (intervalMs) => (isLive ? Math.max(intervalMs, SAFETY_INTERVAL_MS) : intervalMs);
}
