import type { CommandCall } from "./command.ts";
import { newTokenReply, regionsReply } from "./replies.ts";
import { findIdentities } from "./ssh-identity.ts";
import { openSshSession, readGateway, requestJwt } from "./ssh-session.ts";

/**
 * Logs in by SSH key and makes an API token: what `login --ssh` does. Errors as those of `findIdentities` and `openSshSession`.
 *
 * @param url the platform's address.
 */
export async function makeTokenBySsh(call: CommandCall, url: string): Promise<{ token: string; tokenId: string }> {
  const transport = call.transport(url);
  const { value } = await transport({ method: "GET", path: "/v1/regions", decode: regionsReply });
  const client = await openSshSession({
    gateway: readGateway(value.regions.find((region) => region.default === true) ?? value.regions[0]),
    identities: await findIdentities({
      file: call.option("ssh-identity"),
      agentSocket: call.settings.sshAgentSocket,
      userHome: call.settings.userHome,
      prompt: call.prompt,
    }),
    signal: call.signal,
  });
  try {
    const jwt = await requestJwt(client);
    const made = await transport({
      method: "POST",
      path: "/v1/tokens",
      authorization: `Bearer ${jwt}`,
      body: { token: { name: `Tidemark CLI - ${call.hostName}` } },
      decode: newTokenReply,
    });
    return { token: made.value.token.token, tokenId: made.value.token.id };
  } finally {
    client.end();
  }
}
