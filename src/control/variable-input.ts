import { TidemarkError } from "../core/errors.ts";
import type { VariableChange } from "./variable-service.ts";

/** What the API's clients let through; shells and programs take fewer, which is theirs to say. */
const NAME = /^[A-Za-z0-9_-]+$/;
const NAME_CHARACTERS_MAX = 64;
/** A certificate chain fits; a file does not. */
const VALUE_CHARACTERS_MAX = 8192;
/** Together with the longest value this is what a process's environment can hold on Linux: 2 MiB. */
const VARIABLES_PER_APP_MAX = 250;

/** Name and value as they are, checked: `invalid_fields` says what is wrong with either. A value may have several lines. */
export function readVariable({ name, value }: VariableChange): VariableChange {
  const fields: Record<string, string[]> = {};
  if (!NAME.test(name) || name.length > NAME_CHARACTERS_MAX) {
    fields["name"] = [`must be 1 to ${NAME_CHARACTERS_MAX} letters, digits, _ and -`];
  }
  // A NUL would end the value early in every program that reads it.
  if (value === "" || value.length > VALUE_CHARACTERS_MAX || value.includes("\0") || !value.isWellFormed()) {
    fields["value"] = [`must have 1 to ${VALUE_CHARACTERS_MAX} characters, and be text`];
  }
  const [wrong] = Object.keys(fields);
  if (wrong === undefined) return { name, value };
  const shown = JSON.stringify(name.slice(0, NAME_CHARACTERS_MAX).toWellFormed());
  throw new TidemarkError("invalid_fields", `The ${wrong} of the variable ${shown} is not allowed`, { fields });
}

export function requireRoom(count: number): void {
  if (count <= VARIABLES_PER_APP_MAX) return;
  throw new TidemarkError(
    "invalid_fields",
    `An app has ${VARIABLES_PER_APP_MAX} variables at most; this would make ${count}`,
    {
      fields: { variables: [`are more than ${VARIABLES_PER_APP_MAX}`] },
    },
  );
}
