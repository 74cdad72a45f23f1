import { TidemarkError } from "../core/errors.ts";

/** Turns parsed JSON into an exact type. `where` names the place in the reply; throws `reply_unreadable` naming it. Unknown fields are ignored. */
export type Decoder<T> = (value: unknown, where: string) => T;

export const text: Decoder<string> = (value, where) =>
  typeof value === "string" ? value : refuse(value, { where, wanted: "a text" });

export const number: Decoder<number> = (value, where) =>
  typeof value === "number" ? value : refuse(value, { where, wanted: "a number" });

export const flag: Decoder<boolean> = (value, where) =>
  typeof value === "boolean" ? value : refuse(value, { where, wanted: "true or false" });

/** One of these words. */
export function oneOf<Word extends string>(...words: readonly Word[]): Decoder<Word> {
  return (value, where) => {
    const found = words.find((word) => word === value);
    return found ?? refuse(value, { where, wanted: `one of ${words.join(", ")}` });
  };
}

export const instant: Decoder<Date> = (value, where) => {
  const date = new Date(text(value, where));
  return Number.isNaN(date.getTime()) ? refuse(value, { where, wanted: "a date" }) : date;
};

/** Anything at all: for replies of which nothing is read. */
export const anything: Decoder<unknown> = (value) => value;

/** A missing field counts as null, so that a platform that sends less than ours is still understood. */
export function nullable<T>(decode: Decoder<T>): Decoder<T | null> {
  return (value, where) => (value === null || value === undefined ? null : decode(value, where));
}

/** A null list is an empty one: some servers of this API send it so. */
export function list<T>(decode: Decoder<T>): Decoder<T[]> {
  return (value, where) => {
    if (value === null) return [];
    if (!Array.isArray(value)) return refuse(value, { where, wanted: "a list" });
    return value.map((item, index) => decode(item, `${where}[${index}]`));
  };
}

export function record<T extends object>(fields: { readonly [K in keyof T]: Decoder<T[K]> }): Decoder<T> {
  return (value, where) => {
    if (!isJsonObject(value)) return refuse(value, { where, wanted: "an object" });
    const read: Partial<T> = {};
    for (const name in fields) read[name] = fields[name](value[name], where === "" ? name : `${where}.${name}`);
    return read as T; // each field of T was decoded above
  };
}

export function isJsonObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function refuse(value: unknown, { where, wanted }: { where: string; wanted: string }): never {
  const found = value === null ? "null" : Array.isArray(value) ? "a list" : `of type ${typeof value}`;
  throw new TidemarkError(
    "reply_unreadable",
    `Cannot understand the platform's reply: "${where}" is ${found} instead of ${wanted}`,
    { hint: "Check that the address is a Tidemark platform's, and that it is not older than this command line." },
  );
}
