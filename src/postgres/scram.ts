import { createHash, createHmac, pbkdf2, randomBytes, timingSafeEqual } from "node:crypto";
import { promisify } from "node:util";
import { assert } from "../core/assert.ts";

/** PostgreSQL's own default (scram_iterations). */
const ITERATIONS = 4096;
const SALT_BYTES = 16;
const KEY_BYTES = 32;

/** Characters that SASLprep leaves as they are, so that the verifier is the one the server would have made. */
const PRINTABLE_ASCII = /^[\x20-\x7e]+$/;
const VERIFIER = /^SCRAM-SHA-256\$(\d+):([A-Za-z0-9+/=]+)\$([A-Za-z0-9+/=]+):([A-Za-z0-9+/=]+)$/;

const derive = promisify(pbkdf2);

/**
 * What PostgreSQL keeps of a password (RFC 5803), made on this side so that the password itself never travels in SQL,
 * where a log could catch it. `password`: printable ASCII, not empty.
 */
export async function scramVerifier(password: string, salt: Buffer = randomBytes(SALT_BYTES)): Promise<string> {
  assert(PRINTABLE_ASCII.test(password), "password is printable ASCII");
  const { storedKey, serverKey } = await scramKeys(password, { salt, iterations: ITERATIONS });
  return `SCRAM-SHA-256$${ITERATIONS}:${salt.toString("base64")}$${storedKey.toString("base64")}:${serverKey.toString("base64")}`;
}

/**
 * Whether `verifier`, as pg_authid holds it, is one of this password. False for anything that is no SCRAM-SHA-256
 * verifier.
 */
export async function verifierMatches(verifier: string, password: string): Promise<boolean> {
  const [, iterations, salt, storedKey] = VERIFIER.exec(verifier) ?? [];
  if (iterations === undefined || salt === undefined || storedKey === undefined) return false;
  const expected = Buffer.from(storedKey, "base64");
  const keys = await scramKeys(password, { salt: Buffer.from(salt, "base64"), iterations: Number(iterations) });
  return expected.length === keys.storedKey.length && timingSafeEqual(expected, keys.storedKey);
}

async function scramKeys(
  password: string,
  { salt, iterations }: { readonly salt: Buffer; readonly iterations: number },
): Promise<{ readonly storedKey: Buffer; readonly serverKey: Buffer }> {
  const salted = await derive(password, salt, iterations, KEY_BYTES, "sha256");
  const clientKey = createHmac("sha256", salted).update("Client Key").digest();
  return {
    storedKey: createHash("sha256").update(clientKey).digest(),
    serverKey: createHmac("sha256", salted).update("Server Key").digest(),
  };
}
