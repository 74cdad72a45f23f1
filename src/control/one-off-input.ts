import { TidemarkError } from "../core/errors.ts";
import type { OneOffRequest } from "./one-off-service.ts";

const MIB = 1024 * 1024;

/** Memory that a one-off's processes may use together, and bytes of files in its home and in its /tmp, each. */
export interface OneOffSize {
  readonly memoryBytesMax: number;
  readonly fileBytesMax: number;
}

/** By the names that clients of the API know. Files live in memory. */
export const ONE_OFF_SIZES: Readonly<Record<string, OneOffSize>> = {
  S: { memoryBytesMax: 256 * MIB, fileBytesMax: 256 * MIB },
  M: { memoryBytesMax: 512 * MIB, fileBytesMax: 512 * MIB },
  L: { memoryBytesMax: 1024 * MIB, fileBytesMax: 1024 * MIB },
  XL: { memoryBytesMax: 2048 * MIB, fileBytesMax: 2048 * MIB },
  "2XL": { memoryBytesMax: 4096 * MIB, fileBytesMax: 4096 * MIB },
};
export const ONE_OFF_SIZE_DEFAULT = "M";

/** A command line is typed or scripted; a program that long belongs into a file. */
const COMMAND_CHARACTERS_MAX = 16_384;
const VARIABLES_MAX = 200;
/** Below what the system takes for all of a program's environment. */
const VARIABLES_CHARACTERS_MAX = 65_536;
const VARIABLE_NAME = /^[A-Za-z_][A-Za-z0-9_-]{0,99}$/;

/** The request, checked; the size by its name. `invalid_fields` names each field that can't be. */
export function readOneOffRequest(request: OneOffRequest): OneOffRequest & { readonly size: string } {
  const size = request.size ?? ONE_OFF_SIZE_DEFAULT;
  const fields: Record<string, string[]> = {};
  const { command, environment } = request;
  if (command.trim() === "") fields["command"] = ["is required"];
  else if (!isText(command) || command.length > COMMAND_CHARACTERS_MAX)
    fields["command"] = [`must be text of at most ${COMMAND_CHARACTERS_MAX} characters`];
  if (!Object.hasOwn(ONE_OFF_SIZES, size)) fields["size"] = [`is not one of ${Object.keys(ONE_OFF_SIZES).join(", ")}`];
  const problem = environmentProblem(environment);
  if (problem !== undefined) fields["env"] = [problem];
  if (Object.keys(fields).length === 0) return { ...request, size };
  throw new TidemarkError("invalid_fields", "The one-off can't run as asked", { fields });
}

/** A command as it may be shown and stored: without the passwords of URIs in it, as `pgsql-console` has one. */
export function withoutPasswords(command: string): string {
  return command.replaceAll(/(\b[a-z][a-z0-9+.-]*:\/\/[^\s:/@'"]*):[^\s@'"]*@/gi, "$1:***@");
}

function environmentProblem(environment: Readonly<Record<string, string>>): string | undefined {
  const entries = Object.entries(environment);
  const characters = entries.reduce((sum, [name, value]) => sum + name.length + value.length, 0);
  if (entries.length > VARIABLES_MAX || characters > VARIABLES_CHARACTERS_MAX)
    return `must have at most ${VARIABLES_MAX} variables of ${VARIABLES_CHARACTERS_MAX} characters together`;
  const bad = entries.find(([name, value]) => !VARIABLE_NAME.test(name) || !isText(value));
  return bad === undefined ? undefined : `"${bad[0].slice(0, 100)}" is not a variable's name with a text`;
}

/** Whole Unicode without the character that ends a string for the system. */
function isText(value: string): boolean {
  return value.isWellFormed() && !value.includes("\0");
}
