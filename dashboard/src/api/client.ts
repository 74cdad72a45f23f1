import { MutationCache, QueryCache, QueryClient } from "@tanstack/react-query";
import { ApiError } from "./api-error.ts";
import { SESSION } from "./session.ts";

/** A reply that is older is fetched again when its page is opened or comes back into sight. */
const STALE_AFTER_MS = 2000;
/** For a platform that restarts: three attempts over some seconds, then the page says so. */
const RETRIES_MAX = 3;

/** The store of replies. `onSessionEnd` is called when the platform no longer knows who asks. */
export function createClient({ onSessionEnd }: { onSessionEnd: () => void }): QueryClient {
  const watch = (error: unknown) => {
    if (!(error instanceof ApiError) || error.status !== 401) return;
    // Once for a session, however many replies miss it.
    if (client.getQueryData(SESSION.queryKey) === undefined) return;
    client.removeQueries({ queryKey: SESSION.queryKey });
    onSessionEnd();
  };
  const client: QueryClient = new QueryClient({
    queryCache: new QueryCache({ onError: watch }),
    mutationCache: new MutationCache({ onError: watch }),
    defaultOptions: {
      queries: {
        staleTime: STALE_AFTER_MS,
        retry: (failures, error) => failures < RETRIES_MAX && isPassing(error),
      },
    },
  });
  return client;
}

function isPassing(error: unknown): boolean {
  return error instanceof ApiError && (error.status === 0 || error.status === 503);
}
