import { TidemarkError } from "../core/errors.ts";
import type { ApiClient } from "./client.ts";
import { addonsReply } from "./replies.ts";
import type { Addon } from "./replies.ts";
import { route } from "./transport.ts";

/** Other words for the provider, as users of the original client type them. */
const PROVIDER_ALIASES: ReadonlySet<string> = new Set([
  "psql",
  "pgsql",
  "postgres",
  "postgre",
  "scalingo-postgresql",
  "scalingo-postgres",
]);

export function canonicalProvider(word: string): string {
  return PROVIDER_ALIASES.has(word.toLowerCase()) ? "postgresql" : word;
}

/**
 * The id of the addon that `reference` names: an id (taken as it is, without a request), a resource id, or `postgresql`, which is the app's
 * first. `not_found` otherwise.
 */
export async function resolveAddonId(
  client: ApiClient,
  { app, reference }: { app: string; reference: string },
): Promise<string> {
  if (reference.startsWith("ad-")) return reference;
  const { addons } = (await client.get(route`/v1/apps/${app}/addons`, addonsReply)).value;
  const found = addons.find((addon) => addon.resource_id === reference) ?? ofProvider(addons, reference);
  if (found !== undefined) return found.id;
  throw new TidemarkError("not_found", `no '${reference}' addon exists`, {
    hint: `See the addons of the app with: tidemark --app ${app} addons`,
  });
}

function ofProvider(addons: readonly Addon[], reference: string): Addon | undefined {
  const provider = canonicalProvider(reference).toLowerCase();
  return addons.find(({ addon_provider: { id, name } }) => [id, name].some((word) => word.toLowerCase() === provider));
}
