import type { Router } from "./context.ts";
import type { SecurityScheme } from "./authentication.ts";

export type ApiDocument = ReturnType<Router["getOpenAPI31Document"]>;

type SchemeDescription =
  | { type: "http"; scheme: string; description: string }
  | { type: "apiKey"; in: "cookie"; name: string; description: string };

const SECURITY_SCHEMES: Record<SecurityScheme, SchemeDescription> = {
  userToken: { type: "http", scheme: "bearer", description: "A user's JWT of one hour, from /v1/tokens/exchange" },
  apiToken: { type: "http", scheme: "basic", description: "Empty user name; the API token is the password" },
  password: { type: "http", scheme: "basic", description: "User name or e-mail address, and password" },
  sessionAsPassword: {
    type: "http",
    scheme: "basic",
    description: "Empty user name; the user's JWT of one hour is the password",
  },
  databaseToken: { type: "http", scheme: "bearer", description: "An addon's token, which opens that database alone" },
  session: {
    type: "apiKey",
    in: "cookie",
    name: "tidemark_session",
    description:
      "A browser's login, from POST /v1/session; over TLS its name begins with `__Host-`. Requests that change something need the header X-CSRF-Token",
  },
};

/** The OpenAPI 3.1 description of all routes registered on `router`. Call it once for a router. */
export function describeApi(router: Router, version: string): ApiDocument {
  for (const [name, scheme] of Object.entries(SECURITY_SCHEMES))
    router.openAPIRegistry.registerComponent("securitySchemes", name, scheme);
  return router.getOpenAPI31Document({
    openapi: "3.1.0",
    info: {
      title: "Tidemark",
      version,
      description: "Managed PostgreSQL backups: apps, databases, backups and their archives.",
      license: { name: "Apache-2.0", url: "https://www.apache.org/licenses/LICENSE-2.0" },
    },
    servers: [{ url: "/" }],
  });
}
