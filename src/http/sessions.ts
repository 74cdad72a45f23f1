import { createRoute, z } from "@hono/zod-openapi";
import { deleteCookie, setCookie } from "hono/cookie";
import type { BrowserSession } from "../control/session-service.ts";
import { answer, refusals, timestamp } from "./api-schemas.ts";
import { byPassword, bySession } from "./authentication.ts";
import type { HttpFace, Router } from "./context.ts";
import { sessionCookieName } from "./session-cookie.ts";
import { UserJson, viewUser } from "./users.ts";

const Session = z
  .object({
    user: UserJson,
    csrf_token: z.string().openapi({
      description: "To be sent as X-CSRF-Token with every request that changes something and has no other credentials",
    }),
    expires_at: timestamp.openapi({ description: "At the latest; after 12 hours without a request it ends earlier" }),
  })
  .openapi("Session", { description: "A login of a browser, by a cookie that scripts can't read" });
const sessionReply = z.object({ session: Session });

const openSession = createRoute({
  operationId: "openSession",
  method: "post",
  path: "/v1/session",
  summary: "Log a browser in; the answer sets its cookie",
  description:
    "A 401 with the code `second_factor_required` means that the password is right: send it again with the header X-Authorization-OTP.",
  ...byPassword,
  responses: { 201: answer("Logged in", sessionReply), ...refusals(401, 429) },
});

const showSession = createRoute({
  operationId: "showSession",
  method: "get",
  path: "/v1/session",
  summary: "Who is logged in by this cookie",
  ...bySession,
  responses: { 200: answer("The session", sessionReply), ...refusals(401) },
});

const closeSession = createRoute({
  operationId: "closeSession",
  method: "delete",
  path: "/v1/session",
  summary: "Log the browser out",
  ...bySession,
  responses: { 204: { description: "Logged out" }, ...refusals(401, 403) },
});

export function registerSessions(router: Router): void {
  router.openapi(openSession, async (c) => {
    const { services, clock, region } = c.var.face;
    const { secret, ...session } = await services.sessions.open(c.var.principal);
    setCookie(c, sessionCookieName(region.publicUrl), secret, {
      ...cookieAttributes(c.var.face),
      maxAge: Math.floor((session.expiresAt.getTime() - clock.now().getTime()) / 1000),
    });
    return c.json({ session: await viewSession(c.var.face, session) }, 201);
  });
  router.openapi(showSession, async (c) => c.json({ session: await viewSession(c.var.face, c.var.session) }, 200));
  router.openapi(closeSession, async (c) => {
    await c.var.face.services.sessions.close(c.var.sessionSecret);
    deleteCookie(c, sessionCookieName(c.var.face.region.publicUrl), cookieAttributes(c.var.face));
    return c.body(null, 204);
  });
}

async function viewSession({ services }: HttpFace, session: BrowserSession): Promise<z.infer<typeof Session>> {
  const user = await services.identity.self(session.principal);
  return { user: viewUser(user), csrf_token: session.csrfToken, expires_at: session.expiresAt.toISOString() };
}

/** Never sent with a request that another site makes, and never readable by a script. */
function cookieAttributes({ region }: HttpFace) {
  const secure = region.publicUrl.startsWith("https:");
  return { path: "/", httpOnly: true, sameSite: "Strict", secure } as const;
}
