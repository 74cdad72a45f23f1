import { asTidemarkError, TidemarkError } from "../../core/errors.ts";
import { createClient } from "../client.ts";
import type { CommandCall, CommandSpec } from "../command.ts";
import { anything } from "../decode.ts";
import { resolveUrl } from "../login.ts";
import { forgetLogin } from "../saved-logins.ts";
import { route } from "../transport.ts";

export const logout: CommandSpec = {
  name: "logout",
  group: "Account",
  summary: "Forget the saved login",
  details: "Also removes the API token that `login` made from the platform. A token that you brought stays valid.",
  examples: ["logout"],
  async run(call) {
    const url = await resolveUrl(call.loginFlags, call.settings);
    const forgotten = await forgetLogin(call.settings.loginFile, url);
    if (forgotten === undefined) {
      throw new TidemarkError("unauthenticated", `No login to ${url} is saved`);
    }
    if (forgotten.tokenId !== null)
      await removeToken(call, { url, token: forgotten.token, tokenId: forgotten.tokenId });
    call.output.status("Tidemark credentials have been deleted.");
  },
};

/** The login is forgotten whatever the platform says; a token that stays behind is told. */
async function removeToken(
  call: CommandCall,
  { url, token, tokenId }: { url: string; token: string; tokenId: string },
): Promise<void> {
  const login = { url, token, source: call.settings.loginFile };
  try {
    const client = createClient({ login, transport: call.transport(url), clock: call.clock });
    await client.delete(route`/v1/tokens/${tokenId}`, anything);
  } catch (error) {
    // Removed already: just what was wanted.
    const failure = asTidemarkError(error);
    if (failure.code === "unauthenticated" || failure.code === "not_found") return;
    call.output.warning(`The token ${tokenId} stays valid on the platform: ${failure.message}`);
  }
}
