import { randomBytes, randomUUID } from "node:crypto";
import { assert } from "./assert.ts";

/** 24 hex digits: 6 bytes of milliseconds since 1970, then 6 random bytes. Ordered by time of creation to the millisecond. */
export type ObjectId = string & { readonly brand: "ObjectId" };
/** `ad-` and a UUID: the API's clients take a word that starts with `ad-` for an addon's id. */
export type AddonId = string & { readonly brand: "AddonId" };

const OBJECT_ID = /^[0-9a-f]{24}$/;
const ADDON_ID = /^ad-[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;

export function newObjectId(now: Date): ObjectId {
  const time = now.getTime().toString(16).padStart(12, "0");
  assert(time.length === 12, "time fits 6 bytes");
  return (time + randomBytes(6).toString("hex")) as ObjectId; // brand
}

export function newAddonId(): AddonId {
  return `ad-${randomUUID()}` as AddonId; // brand
}

export function isObjectId(text: string): text is ObjectId {
  return OBJECT_ID.test(text);
}

export function isAddonId(text: string): text is AddonId {
  return ADDON_ID.test(text);
}
