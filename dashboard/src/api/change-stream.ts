import type { Changes } from "../../generated/api.ts";
import { OPERATIONS } from "../../generated/api.ts";

/** The platform says something every 15 s: three that didn't come are a connection that doesn't carry, such as a proxy's that keeps all to itself. */
const SILENCE_MAX_MS = 45_000;
/** A stream that ended is tried again soon, one that is refused again and again more seldom. */
const RETRY_FIRST_MS = 3000;
const RETRY_LAST_MS = 60_000;

interface Listener {
  /** What the platform tells; the first of each connection says that everything may have changed. */
  readonly onChanges: (told: Changes) => void;
  /** Whether changes are told now. */
  readonly onLive: (isLive: boolean) => void;
}

/**
 * Follows what changes while the page is in sight, and again whenever that ends. A page out of sight follows nothing: browsers allow few connections to a
 * host, and hidden windows would take them from the one that is looked at. Returns how to stop.
 */
export function followChanges({ onChanges, onLive }: Listener): () => void {
  let source: EventSource | undefined;
  let retryMs = RETRY_FIRST_MS;
  let timer: ReturnType<typeof setTimeout> | undefined;

  const close = () => {
    clearTimeout(timer);
    source?.close();
    source = undefined;
    onLive(false);
  };
  const fail = () => {
    close();
    timer = setTimeout(open, retryMs);
    retryMs = Math.min(RETRY_LAST_MS, retryMs * 2);
  };
  const expectMore = () => {
    clearTimeout(timer);
    timer = setTimeout(fail, SILENCE_MAX_MS);
  };
  const open = () => {
    close();
    source = new EventSource(OPERATIONS.followChanges.path);
    // It would try again by itself, at its own pace, and never after a refusal.
    source.addEventListener("error", fail);
    source.addEventListener("beat", expectMore);
    source.addEventListener("changes", (event: MessageEvent<string>) => {
      retryMs = RETRY_FIRST_MS;
      expectMore();
      onLive(true);
      // As the API's document says of this address.
      onChanges(JSON.parse(event.data) as Changes);
    });
    expectMore();
  };
  const lookAgain = () => (document.visibilityState === "visible" ? open() : close());

  document.addEventListener("visibilitychange", lookAgain);
  lookAgain();
  return () => {
    document.removeEventListener("visibilitychange", lookAgain);
    close();
  };
}
