import { createClient, basicAuthorization } from "../client.ts";
import type { CommandCall, CommandSpec } from "../command.ts";
import { isErrorCode } from "../../core/errors.ts";
import { resolveUrl } from "../login.ts";
import { newTokenReply, userReply } from "../replies.ts";
import { saveLogin } from "../saved-logins.ts";

/** A mistyped password may be typed again. */
const PASSWORD_ATTEMPTS_MAX = 3;

export const login: CommandSpec = {
  name: "login",
  group: "Account",
  summary: "Log in and remember it",
  details:
    "Asks for user name and password, makes an API token with them and saves that token in ~/.config/tidemark/auth.json, " +
    "readable by you only. The password is not kept.",
  options: [
    { flags: "--api-token <token>", summary: "Log in with an API token that you have" },
    { flags: "--ssh", summary: "Log in with an SSH key that the platform knows" },
    {
      flags: "--ssh-identity <file>",
      summary: "The same with this private key, instead of the agent's or ~/.ssh/id_*",
    },
    { flags: "--username <name>", summary: "User name or e-mail address, instead of the question" },
    { flags: "--password-stdin", summary: "Read the password from standard input" },
    { flags: "--otp <code>", summary: "One-time password or recovery code, where a second factor is enabled" },
  ],
  examples: [
    "login",
    "login --url https://backups.example.com",
    "login --ssh",
    "login --username alice --password-stdin < password-file",
  ],
  async run(call) {
    const url = await resolveUrl(call.loginFlags, call.settings);
    const given = call.option("api-token") ?? call.loginFlags.token;
    const made = given === undefined ? await makeAnyToken(call, url) : { token: given, tokenId: null };
    const source = "the login";
    const client = createClient({
      login: { url, token: made.token, source },
      transport: call.transport(url),
      clock: call.clock,
    });
    const { value, body } = await client.get("/v1/users/self", userReply);
    await saveLogin(call.settings.loginFile, { url, login: { ...made, username: value.user.username } });
    call.output.status(`Hello ${value.user.username}, nice to see you!`);
    call.output.json(body);
  },
};

async function makeAnyToken(call: CommandCall, url: string): Promise<{ token: string; tokenId: string }> {
  if (!call.flag("ssh") && call.option("ssh-identity") === undefined) return await makeToken(call, url);
  // Loaded only here: SSH takes longer to load than most commands to run.
  const { makeTokenBySsh } = await import("../ssh-login.ts");
  return await makeTokenBySsh(call, url);
}

/** Repeats the question after a wrong password that was typed; one from a pipe doesn't get better. */
async function makeToken(call: CommandCall, url: string): Promise<{ token: string; tokenId: string }> {
  const piped = call.flag("password-stdin");
  const user =
    call.option("username") ??
    (await call.prompt.ask("Username or email: ", { insteadOf: "--username or --api-token" }));
  for (let attempt = 1; ; attempt++) {
    const password = piped
      ? await call.prompt.readSecretLine()
      : await call.prompt.askSecret("Password: ", { insteadOf: "--password-stdin or --api-token" });
    try {
      return await askForToken(call, url, { user, password });
    } catch (error) {
      if (piped || attempt >= PASSWORD_ATTEMPTS_MAX || !isErrorCode(error, "unauthenticated")) throw error;
      call.output.error(error);
    }
  }
}

/** With the second factor, asked for when the platform says that it is wanted. */
async function askForToken(
  call: CommandCall,
  url: string,
  { user, password }: { user: string; password: string },
): Promise<{ token: string; tokenId: string }> {
  const send = async (oneTimePassword: string | undefined) => {
    const { value } = await call.transport(url)({
      method: "POST",
      path: "/v1/tokens",
      authorization: basicAuthorization({ user, password }),
      ...(oneTimePassword === undefined ? {} : { oneTimePassword }),
      body: { token: { name: `Tidemark CLI - ${call.hostName}` } },
      decode: newTokenReply,
    });
    return { token: value.token.token, tokenId: value.token.id };
  };
  try {
    return await send(call.option("otp"));
  } catch (error) {
    if (!isErrorCode(error, "second_factor_required")) throw error;
    return await send(await call.prompt.ask("OTP: ", { insteadOf: "--otp" }));
  }
}
