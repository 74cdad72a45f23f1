import { createRoute, z } from "@hono/zod-openapi";
import { type Change, type ChangeBatch, type ChangeFollower, CHANGE_TOPICS } from "../control/change-service.ts";
import { asTidemarkError } from "../core/errors.ts";
import { refusals } from "./api-schemas.ts";
import { type Asked, authenticateUser, byUser } from "./authentication.ts";
import type { Router } from "./context.ts";

/** At most one message in this time: progress of long work changes many times a second, and each message makes its reader ask. */
const MESSAGE_INTERVAL_MS = 1000;
/** So that proxies keep the connection, readers know that it lives, and a login that has ended is noticed. */
const BEAT_INTERVAL_MS = 15_000;
/** A reader that takes nothing for so long has gone, or may as well. */
const STALLED_AFTER_MS = 30_000;

const ChangesJson = z
  .object({
    everything: z.boolean().openapi({
      description: "Anything may have changed: true at the beginning, and where too much changed to tell it apart",
    }),
    changes: z.array(
      z.object({
        app_id: z.string().nullable().openapi({ description: "Null for what is about you, or about the platform" }),
        app_name: z.string().nullable(),
        addon_id: z.string().nullable().openapi({ description: "Null for what is about the app itself" }),
        topics: z.array(z.enum(CHANGE_TOPICS)),
      }),
    ),
  })
  .openapi("Changes");
type ChangesJson = z.infer<typeof ChangesJson>;

const followChanges = createRoute({
  operationId: "followChanges",
  method: "get",
  path: "/v1/changes",
  summary: "Follow what changes of your apps and databases, as server-sent events",
  description:
    "Events of the type `changes` say which app or database has changed and what about it, never how: ask for that. At most one comes in a second. Events of the type `beat` say that " +
    "the connection lives. Nothing is told twice, and nothing is kept for whoever was away: the first event says that everything may have changed. The stream ends with the login, and " +
    "with the platform. A user may follow a few times at once; 429 beyond that.",
  ...byUser,
  responses: {
    200: { description: "The events; their data is JSON", content: { "text/event-stream": { schema: ChangesJson } } },
    ...refusals(401, 429),
  },
});

export function registerChanges(router: Router): void {
  router.openapi(followChanges, (c) => {
    c.header("Content-Type", "text/event-stream");
    c.header("Cache-Control", "no-store, no-transform");
    // For proxies that would gather the events before they pass them on.
    c.header("X-Accel-Buffering", "no");
    if (c.req.method === "HEAD") return c.body(null, 200);
    const follower = c.var.face.services.changes.follow(c.var.principal);
    // A reader that leaves before the first event is asked for starts no generator, so nothing in it would run.
    c.req.raw.signal.addEventListener("abort", () => follower.close(), { once: true });
    return c.body(ReadableStream.from(sendChanges(c, follower)), 200);
  });
}

/** What the reader gets, until it leaves, its login ends, changes can't be followed any more or the server closes. */
async function* sendChanges(c: Asked, follower: ChangeFollower): AsyncGenerator<Uint8Array> {
  const { clock, closing, logger } = c.var.face;
  const signal = AbortSignal.any([c.req.raw.signal, closing]);
  try {
    yield* unlessStalled(c, event("changes", { everything: true, changes: [] }));
    let sentAt = clock.now().getTime();
    while (!signal.aborted) {
      const beatInMs = Math.max(0, sentAt + BEAT_INTERVAL_MS - clock.now().getTime());
      await follower.wait({ timeoutMs: beatInMs, signal });
      if (signal.aborted) return;
      const batch = await follower.take(await authenticateUser(c));
      const isBeatDue = clock.now().getTime() >= sentAt + BEAT_INTERVAL_MS;
      if (batch === "all" || batch.length > 0) yield* unlessStalled(c, event("changes", viewBatch(batch)));
      else if (isBeatDue) yield* unlessStalled(c, event("beat", null));
      if (batch === "all" || batch.length > 0 || isBeatDue) sentAt = clock.now().getTime();
      await clock.sleep(MESSAGE_INTERVAL_MS, signal).catch(() => undefined);
    }
  } catch (thrown) {
    // The end of the stream is all that its reader can be told; the same request, made again, says why.
    const error = asTidemarkError(thrown);
    if (error.kind === "bug")
      logger.error({ requestId: c.var.requestId, err: error }, "Could not go on telling changes");
  } finally {
    follower.close();
  }
}

/** One chunk, for a reader that takes it in time: for another one the connection is cut, since nothing else wakes a stream that isn't read. */
async function* unlessStalled(c: Asked, chunk: Uint8Array): AsyncGenerator<Uint8Array> {
  const taken = new AbortController();
  const watch = c.var.face.clock.sleep(STALLED_AFTER_MS, taken.signal).then(
    () => c.env.outgoing.destroy(),
    () => undefined,
  );
  try {
    yield chunk;
  } finally {
    taken.abort();
    await watch;
  }
}

function event(type: "changes" | "beat", data: ChangesJson | null): Uint8Array {
  return new TextEncoder().encode(`event: ${type}\ndata: ${JSON.stringify(data)}\n\n`);
}

function viewBatch(batch: ChangeBatch): ChangesJson {
  if (batch === "all") return { everything: true, changes: [] };
  const groups = Map.groupBy(batch, ({ app, addonId }) => `${app?.id} ${addonId}`);
  return { everything: false, changes: [...groups.values()].map(viewGroup) };
}

/** Changes of one app or database, of which there is at least one. */
function viewGroup(group: readonly Change[]): ChangesJson["changes"][number] {
  const [first] = group;
  return {
    app_id: first?.app?.id ?? null,
    app_name: first?.app?.name ?? null,
    addon_id: first?.addonId ?? null,
    topics: [...new Set(group.map(({ topic }) => topic))],
  };
}
