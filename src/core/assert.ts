import { TidemarkError } from "./errors.ts";

/** Ends the caller when a programmer's assumption is false. Not for input: input gets a `user` error. */
export function assert(condition: unknown, what: string): asserts condition {
  if (!condition) throw new TidemarkError("bug", `Assertion failed: ${what}`);
}
