import { createMiddleware } from "hono/factory";
import { HTTPException } from "hono/http-exception";
import { bodyLimit } from "hono/body-limit";
import { methodNotAllowed } from "hono/method-not-allowed";
import { requestId } from "hono/request-id";
import { matchedRoutes } from "hono/route";
import { secureHeaders } from "hono/secure-headers";
import type { Context } from "hono";
import type { ContentfulStatusCode } from "hono/utils/http-status";
import { asTidemarkError, TidemarkError } from "../core/errors.ts";
import type { FaceEnv, HttpFace, Router } from "./context.ts";
import { allowDashboard, registerDashboard } from "./dashboard.ts";
import { errorReply } from "./error-reply.ts";
import { METRICS_PATH, registerMetrics } from "./metrics.ts";
import { describeApi } from "./openapi.ts";
import { emptyRouter, registerRoutes } from "./routes.ts";

/** A request id of ours is a UUID; one that a client or proxy chose may be somewhat longer. */
const MAX_REQUEST_ID_CHARS = 100;

/** Addresses that take files: they read as they store, and have a limit of their own. */
const STREAMED_BODY = /^\/attach\/[^/]+\/files$/;

/** What monitoring asks for again and again. */
const PROBED: ReadonlySet<string> = new Set(["/healthz", METRICS_PATH]);

/** All routes behind the middleware that every request passes: id, log, headers, limits, and errors as JSON. */
export function createRouter(face: HttpFace): Router {
  const router = emptyRouter();
  router.use(provideFace(face), requestId({ limitLength: MAX_REQUEST_ID_CHARS }), logRequest);
  router.use(
    allowDashboard,
    secureHeaders({
      contentSecurityPolicy: { defaultSrc: ["'none'"], frameAncestors: ["'none'"] },
      xFrameOptions: "DENY",
      // Whether everything on this host speaks TLS is the operator's to say, at the proxy.
      strictTransportSecurity: false,
    }),
    forbidCaching,
    methodNotAllowed({ app: router, onMethodNotAllowed: refuseMethod }),
    limitBody(face.maxBodyBytes),
  );
  registerRoutes(router);
  const document = describeApi(router, face.version);
  router.get("/openapi.json", (c) => c.json(document));
  registerMetrics(router);
  registerDashboard(router);
  router.notFound((c) => reply(c, new TidemarkError("not_found", "There is nothing at this address")));
  router.onError((thrown, c) => reply(c, classify(thrown, c)));
  return router;
}

function provideFace(face: HttpFace) {
  return createMiddleware<FaceEnv>(async (c, next) => {
    c.set("face", face);
    await next();
  });
}

/** One line a request. The path is logged as its template: real paths and queries hold names and signatures. */
const logRequest = createMiddleware<FaceEnv>(async (c, next) => {
  const { clock, logger, services } = c.var.face;
  const startedAt = clock.now().getTime();
  await next();
  const route = matchedRoutes(c).findLast(({ method }) => method !== "ALL")?.path ?? null;
  const answered = {
    method: c.req.method,
    route,
    status: c.res.status,
    durationMs: clock.now().getTime() - startedAt,
  };
  services.metrics.observeRequest(answered);
  const facts = { requestId: c.var.requestId, ...answered };
  // Probes come every few seconds and say nothing.
  if (route !== null && PROBED.has(route)) logger.debug(facts, "Request");
  else logger.info(facts, "Request");
});

const forbidCaching = createMiddleware<FaceEnv>(async (c, next) => {
  await next();
  if (!c.res.headers.has("Cache-Control")) c.res.headers.set("Cache-Control", "no-store");
});

function limitBody(maxBodyBytes: number) {
  const limit = bodyLimit({
    maxSize: maxBodyBytes,
    onError: () => {
      throw new TidemarkError("payload_too_large", `The request's body has more than ${maxBodyBytes} bytes`);
    },
  });
  return createMiddleware<FaceEnv>((c, next) =>
    c.req.method === "GET" || c.req.method === "HEAD" || STREAMED_BODY.test(c.req.path) ? next() : limit(c, next),
  );
}

function refuseMethod(c: Context<FaceEnv>, methods: readonly string[]): Response {
  c.header("Allow", methods.join(", "));
  return reply(c, new TidemarkError("method_not_allowed", `This address takes ${methods.join(", ")} only`));
}

/** What the framework or a handler threw, as a row of our own table. */
function classify(thrown: Error, c: Context<FaceEnv>): TidemarkError {
  if (thrown instanceof HTTPException && thrown.status === 415)
    return new TidemarkError("unsupported_media_type", "The request's body must be JSON", {
      hint: "Send it with the header Content-Type: application/json",
      cause: thrown,
    });
  if (thrown instanceof HTTPException && thrown.status < 500)
    return new TidemarkError("bad_request", "The request's body is not valid JSON", { cause: thrown });
  if (!(thrown instanceof TidemarkError) && c.req.raw.signal.aborted)
    return new TidemarkError("bad_request", "The client left before its request was complete", { cause: thrown });
  return asTidemarkError(thrown);
}

function reply(c: Context<FaceEnv>, error: TidemarkError): Response {
  const { status, headers, body } = errorReply(error, c.var.requestId);
  c.var.face.services.metrics.countError(error.code);
  if (status >= 500) {
    const facts = { requestId: c.var.requestId, code: error.code, err: error };
    // While something is away each request would say so: whoever watches the platform is told of it once, elsewhere.
    if (error.kind === "transient") c.var.face.logger.info(facts, "Request failed for now");
    else c.var.face.logger.error(facts, "Request failed");
  }
  // The table's statuses are all of answers with a body.
  return c.json(body, status as ContentfulStatusCode, headers);
}
