/** What an Authorization header offers. Nothing here is checked yet. */
export type Credentials =
  | { readonly kind: "bearer"; readonly token: string }
  | { readonly kind: "apiToken"; readonly secret: string }
  | { readonly kind: "password"; readonly identifier: string; readonly password: string };

/** Longer than any token or password that we give out or accept; keeps absurd input away from hashing and SQL. */
const MAX_HEADER_CHARS = 4096;

/**
 * Reads an Authorization header: `Bearer T`, `Basic base64(":" + API token)` or `Basic base64(identifier:password)`, where the password may hold
 * colons. Undefined for anything else, control characters included: those can't be part of a stored name or secret.
 */
export function parseAuthorization(header: string | undefined): Credentials | undefined {
  if (header === undefined || header.length > MAX_HEADER_CHARS) return undefined;
  const match = /^(Bearer|Basic) +(\S+) *$/i.exec(header);
  const [, scheme = "", value = ""] = match ?? [];
  if (scheme.toLowerCase() === "bearer") return { kind: "bearer", token: value };
  if (scheme.toLowerCase() === "basic") return parseBasic(value);
  return undefined;
}

function parseBasic(encoded: string): Credentials | undefined {
  const text = Buffer.from(encoded, "base64").toString("utf8");
  const colon = text.indexOf(":");
  // oxlint-disable-next-line no-control-regex -- control characters are what this looks for
  if (colon === -1 || /[\u0000-\u001f\u007f]/.test(text)) return undefined;
  const identifier = text.slice(0, colon);
  const secret = text.slice(colon + 1);
  if (secret === "") return undefined;
  return identifier === "" ? { kind: "apiToken", secret } : { kind: "password", identifier, password: secret };
}
