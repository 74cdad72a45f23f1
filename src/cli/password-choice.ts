import { TidemarkError } from "../core/errors.ts";
import { randomText } from "../core/random.ts";
import type { CommandCall } from "./command.ts";

/** 24 characters of 62: 142 bits. */
export const GENERATED_PASSWORD_LENGTH = 24;

/** The new password of somebody else: generated, from standard input, or typed twice, as the flags say. */
export async function choosePassword(call: CommandCall, question: string): Promise<string> {
  if (call.flag("generate-password")) return randomText(GENERATED_PASSWORD_LENGTH);
  if (call.flag("password-stdin")) return await call.prompt.readSecretLine();
  const insteadOf = "--password-stdin or --generate-password";
  const password = await call.prompt.askSecret(question, { insteadOf });
  const repeated = await call.prompt.askSecret("Once more: ", { insteadOf });
  if (password !== repeated) throw new TidemarkError("usage", "The two passwords are not the same");
  return password;
}

/** Says a password that was generated; nothing when it wasn't. The platform never repeats one: with --json it would be lost otherwise. */
export function sayGeneratedPassword(call: CommandCall, password: string): void {
  if (!call.flag("generate-password")) return;
  call.output.info(`Password: ${password}`);
  call.output.warning("It is shown this once only: keep it in a safe place");
  if (call.json) call.streams.stderr.write(`Password: ${password}\n`);
}
