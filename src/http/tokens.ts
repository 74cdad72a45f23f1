import { createRoute, z } from "@hono/zod-openapi";
import type { ApiToken } from "../control/model.ts";
import { TidemarkError } from "../core/errors.ts";
import { answer, bodyRefusals, optionalTimestamp, refusals, timestamp } from "./api-schemas.ts";
import { byApiToken, byPasswordOrUser, byUser } from "./authentication.ts";
import type { Router } from "./context.ts";
import { fields, jsonBody, pathName, plainText } from "./validation.ts";

const Token = z
  .object({ id: z.string(), name: z.string(), created_at: timestamp, last_used_at: optionalTimestamp })
  .openapi("Token");
const NewToken = Token.extend({
  token: z.string().openapi({ description: "The secret; shown this once" }),
}).openapi("NewToken");

const tokenName = plainText(255);

const exchangeToken = createRoute({
  operationId: "exchangeToken",
  method: "post",
  path: "/v1/tokens/exchange",
  summary: "Exchange an API token for a user's token of one hour",
  ...byApiToken,
  responses: { 200: answer("A JWT", z.object({ token: z.string() })), ...refusals(401, 429) },
});

const createToken = createRoute({
  operationId: "createToken",
  method: "post",
  path: "/v1/tokens",
  summary: "Make an API token; with a password this is the login",
  ...byPasswordOrUser,
  request: {
    // One of the clients of this API sends the name without the noun around it.
    body: jsonBody(fields({ token: fields({ name: tokenName }).optional(), name: tokenName.optional() })),
  },
  responses: { 201: answer("Made", z.object({ token: NewToken })), ...bodyRefusals(401, 429) },
});

const listTokens = createRoute({
  operationId: "listTokens",
  method: "get",
  path: "/v1/tokens",
  summary: "List your API tokens, newest first",
  ...byUser,
  responses: { 200: answer("Without their secrets", z.object({ tokens: z.array(Token) })), ...refusals(401) },
});

const removeToken = createRoute({
  operationId: "removeToken",
  method: "delete",
  path: "/v1/tokens/{id}",
  summary: "Remove an API token",
  ...byUser,
  request: { params: z.object({ id: pathName }) },
  responses: { 204: { description: "Removed" }, ...refusals(401, 404) },
});

export function registerTokens(router: Router): void {
  router.openapi(exchangeToken, async (c) =>
    c.json({ token: await c.var.face.services.identity.issueJwt(c.var.principal) }, 200),
  );
  router.openapi(createToken, async (c) => {
    const body = c.req.valid("json");
    const name = body.token?.name ?? body.name;
    if (name === undefined)
      throw new TidemarkError("invalid_fields", "A token needs a name", { fields: { name: ["is required"] } });
    const token = await c.var.face.services.identity.createToken(c.var.principal, { name });
    return c.json({ token: { ...viewToken(token), token: token.secret } }, 201);
  });
  router.openapi(listTokens, async (c) => {
    const tokens = await c.var.face.services.identity.listTokens(c.var.principal);
    return c.json({ tokens: tokens.map(viewToken) }, 200);
  });
  router.openapi(removeToken, async (c) => {
    await c.var.face.services.identity.removeToken(c.var.principal, c.req.valid("param").id);
    return c.body(null, 204);
  });
}

function viewToken(token: ApiToken): z.infer<typeof Token> {
  return {
    id: token.id,
    name: token.name,
    created_at: token.createdAt.toISOString(),
    last_used_at: token.lastUsedAt?.toISOString() ?? null,
  };
}
